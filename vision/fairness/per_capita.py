"""Images for each million people: how far a data set looks where people are.

Counts of images are taken as Poisson, whose exact limits go with a count of 0 too; populations are taken as exact.

Reference: Garwood, "Fiducial limits for the Poisson distribution", Biometrika 1936; Shankar et al., "No classification
without representation", 2017, for what per-country counts of image collections look like.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from vision.accumulator import Cell, Estimate
from vision.fairness.representation import Composition

MILLION = 1e6


@dataclass(frozen=True)
class PerCapita:
    """One group.

    Attributes:
        population: people; nan where nobody said how many.
        per_million: images for each million of them, `n` the images.
        to_all: the same over that of all groups whose population is known; 1 is even.
    """

    cell: Cell
    images: int
    population: float
    per_million: Estimate
    to_all: float


def per_capita(found: Composition, population: Mapping[Cell, float]) -> list[PerCapita]:
    """Every group that has images or people, those with the most images a head first, unknown ones last.

    Raises:
        ValueError: if a population is not above 0, or no group's is known.
    """
    for cell, people in population.items():
        if not (people > 0 and math.isfinite(people)):
            raise ValueError(f"the population of {_spelt(cell)} must be above 0, got {people:g}")
    images = dict(zip(found.cells, found.counts.tolist(), strict=True))
    known = [cell for cell in images if cell in population]
    if not known:
        raise ValueError("no group has a population in the table")
    # Where people live and no image is from is what is looked for: these groups count.
    people_of_all = sum(population.values())
    even = sum(images[cell] for cell in known) / people_of_all
    rows = [_row(cell, images.get(cell, 0), population.get(cell, math.nan), even) for cell in {**images, **population}]
    return sorted(rows, key=lambda one: (math.isnan(one.to_all), -one.to_all, one.cell))


def poisson_limits(count: int, confidence: float = 0.95) -> tuple[float, float]:
    """Exact limits of a Poisson mean, given one count."""
    from scipy.special import gammaincinv

    tail = (1 - confidence) / 2
    return float(gammaincinv(count, tail)) if count else 0.0, float(gammaincinv(count + 1, 1 - tail))


def _row(cell: Cell, images: int, people: float, even: float) -> PerCapita:
    if math.isnan(people):
        return PerCapita(cell, images, people, Estimate(math.nan, math.nan, math.nan, images), math.nan)
    low, high = (limit * MILLION / people for limit in poisson_limits(images))
    rate = Estimate(images * MILLION / people, low, high, images)
    return PerCapita(cell, images, people, rate, images / people / even if even else math.nan)


def _spelt(cell: Cell) -> str:
    return ", ".join("=".join(pair) for pair in cell)
