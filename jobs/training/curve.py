"""The curve of a training: means over runs of steps, so few that a checkpoint can hold all of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

POINTS = 2000


class Curve:
    """Means of what each step says, over `every` steps a point.

    Args:
        names: of the values.
        steps: of the whole training, which must give at most about `POINTS` points.
        facts: what `facts` gave before, to go on from.
    """

    def __init__(self, names: Sequence[str], steps: int, facts: Mapping[str, Any] | None = None) -> None:
        self.names, self.every = tuple(names), max(1, steps // POINTS)
        self.points: list[list[float]] = [list(point) for point in facts["points"]] if facts else []
        self._sums: list[float] = list(facts["sums"]) if facts else [0.0] * len(self.names)
        self._seen = int(facts["seen"]) if facts else 0

    def add(self, step: int, values: Sequence[float]) -> None:
        """Take in what a step said; steps come in order."""
        self._sums = [total + value for total, value in zip(self._sums, values, strict=True)]
        self._seen += 1
        if self._seen == self.every:
            self.points.append([step, *(total / self._seen for total in self._sums)])
            self._sums, self._seen = [0.0] * len(self.names), 0

    def facts(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return {"points": [list(point) for point in self.points], "sums": list(self._sums), "seen": self._seen}

    def table(self) -> pa.Table:
        """A row a point: the last step of it, and the means."""
        columns = list(zip(*self.points, strict=True)) or [()] * (len(self.names) + 1)
        steps = pa.array([int(step) for step in columns[0]], pa.int64())
        values = {name: pa.array(column, pa.float64()) for name, column in zip(self.names, columns[1:], strict=True)}
        return pa.table({"step": steps, **values})
