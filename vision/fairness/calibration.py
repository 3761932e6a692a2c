"""Is a score of 0.8 right eight times in ten in every group? Reliability by group, from counts by bin of the score."""

from __future__ import annotations

from collections.abc import Sequence

from vision.accumulator import FIXED_BITS, Cell
from vision.fairness.counts import Cube
from vision.fairness.tally import BIN, FIXED, RIGHT
from vision.grouping import MISSING
from vision.reliability import BINS, Reliability


def by_group(scores: Cube, sums: Cube, columns: Sequence[str]) -> list[tuple[Cell, Reliability]]:
    """The reliability of every group that is known, in sorted order.

    Args:
        scores, sums: rows and their scores by (..., bin, right), as a `Tally` has them.
    """
    counts, totals = (_table(cube, columns) for cube in (scores, sums))
    shift = FIXED_BITS - FIXED
    found = []
    for cell in sorted(counts):
        amounts = totals.get(cell, [0] * (2 * BINS))  # scores of 0 have no sum
        found.append((cell, Reliability(tuple(counts[cell]), tuple(amount << shift for amount in amounts))))
    return found


def _table(cube: Cube, columns: Sequence[str]) -> dict[Cell, list[int]]:
    """For each group the amounts keyed 2 * bin + right."""
    part = cube.over([*columns, BIN, RIGHT])
    values = [[levels[code] for code in row] for levels, row in zip(part.levels, part.codes().tolist(), strict=True)]
    found: dict[Cell, list[int]] = {}
    for *group, place, right, amount in zip(*values, part.counts.counts.tolist(), strict=True):
        if MISSING not in group:
            cell = tuple(zip(columns, group, strict=True))
            found.setdefault(cell, [0] * (2 * BINS))[2 * int(place) + int(right)] += amount
    return found
