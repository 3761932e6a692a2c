"""A gap between groups compared on the same images: two models, one set of pictures, redrawn together.

How wide the gap is follows from counts by group and by right or wrong; a paired bootstrap of these counts
(`vision.redrawn`) tells whether one model's is wider than the other's. Groups are known by a number hashed from their
values, so that any shard may hold any of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial

import numpy as np

from vision.accumulator import Array, Batch
from vision.contribution import PerCell, PerImage
from vision.fairness.direction import PARTS
from vision.grouping import MISSING, rows_by_values

WORST = "worst"


def split(metric: str) -> tuple[str, str] | None:
    """The rate and the part that a metric's name says, None for one that is no gap.

    >>> split("top1.difference"), split("top1"), split("few_shot.5")
    (('top1', 'difference'), None, None)
    """
    rate, _, part = metric.rpartition(".")
    return (rate, part) if rate and part in (*PARTS, WORST) else None


def gap(part: str, image: PerImage, columns: Sequence[str], least: int, upwards: bool) -> PerCell:
    """A rate's gap between the groups of some columns, as it follows from counts.

    Args:
        part: difference (highest minus lowest), ratio (lowest over highest) or worst.
        image: the rate, image by image.
        least: images that a group needs; without two such groups the gap is nan, and so is the worst.
        upwards: whether more of the rate is better.

    Raises:
        ValueError: if the metric is no rate.
    """
    if not image.rate:
        raise ValueError(f"the {part} between groups is known for rates only, not for other means")
    cell = partial(_cells, image=image, columns=tuple(columns))
    return PerCell(cell, None, partial(_gap, part=part, least=least, upwards=upwards), (*image.needs, *columns))


def _cells(batch: Batch, image: PerImage, columns: tuple[str, ...]) -> Array:
    """(N,) twice the group's number, and one more where the answer is right; -1 where either is not known."""
    values = np.asarray(image.value(batch), np.float64)
    cells = np.full(len(values), -1, np.int64)
    for group, rows in rows_by_values(batch, columns):
        if MISSING not in (value for _, value in group):
            cells[rows] = _number(group) << 1
    known = np.isfinite(values) & (cells >= 0)
    return np.where(known, cells + (values > 0.5), -1)


def _number(group: tuple[tuple[str, str], ...]) -> int:
    """61 bits of a group's values."""
    return int.from_bytes(hashlib.blake2b(repr(group).encode(), digest_size=8).digest(), "big") >> 3


def _gap(cells: Array, counts: Array, _sums: Array, part: str, least: int, upwards: bool) -> Array:
    """(B,) the gap in each draw; which groups are large enough is settled by the first, which is what was counted."""
    numbers, place = np.unique(cells >> 1, return_inverse=True)
    n, hits = (np.zeros((len(counts), len(numbers)), np.int64) for _ in range(2))
    for column, (group, right) in enumerate(zip(place.tolist(), (cells & 1).tolist(), strict=True)):
        n[:, group] += counts[:, column]
        hits[:, group] += counts[:, column] * right
    enough = n[0] >= least
    if enough.sum() < 2:
        return np.full(len(counts), np.nan)
    shares = hits[:, enough] / np.maximum(1, n[:, enough])
    low, high = shares.min(axis=1), shares.max(axis=1)
    ratio = np.where(high > 0, low / np.where(high > 0, high, 1.0), np.nan)
    values: Array = {"difference": high - low, "ratio": ratio, WORST: low if upwards else high}[part]
    return values
