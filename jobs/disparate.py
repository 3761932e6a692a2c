"""Gates on the gap between groups: `top1.difference`, `top1.ratio`, `top1.worst` of two models on the same images.

Such a metric needs the columns whose groups are meant (`by`). With several, each combination up to `order` is a
question of its own, which its finding names.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Any

from jobs.findings import BETWEEN
from jobs.spec import SpecError
from vision.accumulator import Cell
from vision.contribution import PerCell
from vision.fairness.direction import PARTS
from vision.fairness.paired import gap, split

if TYPE_CHECKING:
    from jobs.gates import Gate


def upwards(room: Any, metric: str) -> bool:
    """Whether more of a room's metric, or of a gap in it, is better."""
    parts = split(metric)
    if parts is None:
        return bool(room.higher_is_better(metric))
    return PARTS[parts[1]] if parts[1] in PARTS else bool(room.higher_is_better(parts[0]))


def asked(gate: Gate) -> dict[tuple[str, ...], Cell]:
    """The combinations of columns that a gate asks about, with what names each; one alone needs no name."""
    sides = [c for size in range(1, gate.order + 1) for c in combinations(gate.by, size)]
    return {side: ((BETWEEN, " x ".join(side)),) if len(sides) > 1 else () for side in sides}


def kinds(gate: Gate, room: Any) -> Mapping[Cell, PerCell] | None:
    """How each question of a gate about gaps is compared; None for a gate about another metric.

    Raises:
        SpecError: if it names no columns, or no rate that the room knows image by image.
    """
    parts = split(gate.metric)
    if parts is None:
        return None
    if not gate.by:
        raise SpecError(f"gates: {gate.metric} is a gap between groups; by names their columns")
    rate, part = parts
    try:
        image, more = room.per_image(rate), bool(room.higher_is_better(rate))
        return {cell: gap(part, image, side, gate.min_group, more) for side, cell in asked(gate).items()}
    except ValueError as error:
        raise SpecError(f"gates: {gate.metric}: {error}") from None
