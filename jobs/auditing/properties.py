"""Properties of the pictures themselves, by group: size, brightness, contrast, sharpness.

A model may learn a camera, or the hour of a session, in place of what it is asked; where a group's pictures are darker
or smaller than the others', that can be. Pictures are decoded once, as small as will do, and counted by group and bin.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from jobs.auditing import reporting
from jobs.auditing.checked import Checked
from jobs.auditing.pixels import Part, Picture
from jobs.reading import Reading
from jobs.spec import SpecError
from vision.fairness import spread
from vision.fairness.appearance import SIDE, appearance
from vision.fairness.coding import coded, constant
from vision.fairness.counts import Cube
from vision.fairness.representation import spelt
from vision.fairness.significance import benjamini_hochberg
from vision.fairness.spread import BIN, PROPERTY, SHARES, Spread

_SAID = 3


@dataclass(frozen=True)
class Properties:
    """Counts of pictures by group, property and bin; `broken` could not be decoded."""

    by: tuple[str, ...]
    cube: Cube | None = None
    broken: int = 0
    least: int | None = SIDE

    def update(self, part: Part) -> Self:
        if part.source:  # of a split that this one is only held against
            return self
        good = [row for row, one in enumerate(part.pictures) if isinstance(one, Picture)]
        added = replace(self, cube=None, broken=len(part.pictures) - len(good))
        if good:
            rows = part.rows.take(good)
            groups = {name: coded(rows[name]) for name in self.by}
            for name, values in _measured([part.pictures[row] for row in good]).items():
                found = Cube.of({**groups, PROPERTY: constant(name, len(good)), BIN: spread.counted(values)})
                added = added.merge(replace(self, cube=found, broken=0))
        return self.merge(added)

    def merge(self, other: Self) -> Self:
        cubes = [one.cube for one in (self, other) if one.cube is not None]
        cube = cubes[0].merge(cubes[1]) if len(cubes) == 2 else cubes[0] if cubes else None
        return replace(self, cube=cube, broken=self.broken + other.broken)


def _measured(pictures: Sequence[Any]) -> dict[str, Any]:
    """(N,) of each property; the size is that of the file's picture, however small it was decoded."""
    looks = np.array([appearance(one.image) for one in pictures], np.float64)
    sizes = np.array([(one.facts.width, one.facts.height) for one in pictures], np.float64)
    return {
        "width": sizes[:, 0], "height": sizes[:, 1], "aspect": sizes[:, 0] / sizes[:, 1],
        "brightness": looks[:, 0], "contrast": looks[:, 1], "sharpness": looks[:, 2],
    }  # fmt: skip


def find(state: Properties, reading: Reading, level: float) -> Checked:
    """Quantiles of each property, of all pictures and of each group, and which groups lie apart.

    Args:
        level: share of findings that may be false.

    Raises:
        SpecError: if no picture can be decoded.
    """
    by = state.by
    if state.cube is None:
        raise SpecError(f"checks: properties finds no picture in {reading.url} that can be decoded")
    found = [one for column in by for one in spread.by_group(state.cube, [column])]
    adjusted = benjamini_hochberg(np.array([one.p for one in found])).tolist()
    rows = [_row(one, math.nan) for one in spread.whole(state.cube)]
    rows += [_row(one, p) for one, p in zip(found, adjusted, strict=True)]
    metrics = {f"properties.{one.name}.median": one.median for one in spread.whole(state.cube)}
    notes = _said(found, adjusted, level)
    if state.broken:
        notes.append(f"{state.broken:,} pictures cannot be decoded: they are in no property")
    return Checked(metrics, {"properties": reporting.table(rows)}, tuple(notes))


def _row(one: Spread, adjusted: float) -> dict[str, Any]:
    quantiles = {f"p{share * 100:02.0f}": value for share, value in zip(SHARES, one.quantiles, strict=True)}
    row = {"property": one.name, "group": spelt(one.cell) or "all", "n": one.n, **quantiles}
    row |= {"median_low": one.median.low, "median_high": one.median.high}
    return row | {"rest_median": one.rest_median, "distance": one.distance, "p": one.p, "p_adjusted": adjusted}


def _said(found: Sequence[Spread], adjusted: Sequence[float], level: float) -> list[str]:
    """The groups that lie farthest from the rest, where that is more than noise."""
    apart = [one for one, p in zip(found, adjusted, strict=True) if p <= level]
    asked = sum(not math.isnan(p) for p in adjusted)
    if not asked:
        return []
    said = [f"properties of pictures: {len(apart)} of {asked} differ from the rest (Benjamini-Hochberg at {level:g})"]
    for one in sorted(apart, key=lambda one: (-one.distance, one.name, one.cell))[:_SAID]:
        said.append(
            f"{one.name} of {spelt(one.cell)}: median {one.quantiles[2]:.3g}, {one.rest_median:.3g} of the rest "
            f"(distance {one.distance:.2f} of 1)"
        )
    return said
