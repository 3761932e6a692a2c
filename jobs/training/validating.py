"""The validation split scored while training goes on, by the states that `evaluate` folds."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa

from jobs.answers import batch_of
from jobs.reading import PREDICTED
from jobs.training.course import Course
from jobs.training.crew import Crew
from jobs.training.reading import MIB, Pictures, Reader
from jobs.training.rows import Objective, Rows
from vision import names
from vision.accumulator import Accumulator
from vision.augmentation import Augmentation

if TYPE_CHECKING:
    import torch

BATCH = 64


class Validation:
    """Scores weights on the watched rows; each worker answers its share of the row groups, and states are merged."""

    def __init__(self, rows: Rows, course: Course, decoders: int) -> None:
        assert course.suite is not None
        self._course, self._rows, self._suite = course, rows, course.suite
        look, self._objective = course.model.preprocessing, cast(Objective, course.objective)
        self._reader = Reader(self._rows, self._objective, look, Augmentation(), course.cache_mb * MIB, decoders)
        self._net: Any = None

    def scored(self, state: Mapping[str, torch.Tensor], crew: Crew) -> dict[str, float]:
        """The metrics of weights, by name; the same for every worker."""
        net = self._ready(state, crew)
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(self._rows.sizes)])
        found: Accumulator = self._suite
        for unit in range(crew.rank, len(self._rows.sizes), crew.size):
            rows = np.arange(offsets[unit], offsets[unit + 1])
            encoded = self._reader.fetch(rows)
            for start in range(0, len(rows), BATCH):
                found = found.update(
                    self._answered(net, self._reader.pictures(rows[start : start + BATCH], encoded, 0), crew)
                )
        merged = reduce(lambda one, other: one.merge(other), crew.gather(found))
        return {name: estimate.value for name, estimate in merged.compute().items()}

    def _ready(self, state: Mapping[str, torch.Tensor], crew: Crew) -> Any:
        """A second net with these weights, in evaluation mode."""
        import torch

        if self._net is None:
            net = names.net(self._course.model.net, dict(self._course.model.arguments))
            self._net = net.to(crew.device, memory_format=torch.channels_last).eval().requires_grad_(False)
        self._net.load_state_dict(state)
        return self._net

    def _answered(self, net: Any, pictures: Pictures, crew: Crew) -> Any:
        """A batch as metrics take it."""
        import torch

        look = self._course.model.preprocessing
        with torch.inference_mode():
            outputs = net(torch.from_numpy(look.normalise(pictures.pixels)).to(crew.device))
        columns = self._objective.answers(outputs, pictures.targets)
        broken = np.array([id_ in self._reader.broken for id_ in pictures.ids])
        table: dict[str, Any] = {PREDICTED + name: column for name, column in columns.items()}
        table |= self._objective.truths(pictures.targets)
        table |= {"id": list(pictures.ids), "answered": pa.array(~broken)}
        return batch_of(pa.table(table))
