"""Some pictures of a corpus in memory, as a net takes them, with what is true of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from jobs import flow
from jobs.answers import batch_of
from jobs.reading import PREDICTED
from jobs.train import Train
from jobs.training.reading import Pictures, Reader
from jobs.training.rows import Objective, survey
from vision import draws, names
from vision.accumulator import Estimate
from vision.augmentation import Augmentation
from vision.preprocessing import Preprocessing

if TYPE_CHECKING:
    import torch

BATCH = 64


@dataclass(frozen=True, eq=False)
class Seen:
    """Pictures that were read, and what scores answers to them; broken ones are not among them."""

    pictures: Pictures
    look: Preprocessing
    objective: Objective
    suite: Any
    broken: int

    def batches(self) -> Iterator[tuple[torch.Tensor, slice]]:
        """(B, 3, h, w) float32 at a time, and which pictures they are."""
        import torch

        for start in range(0, len(self.pictures.ids), BATCH):
            part = slice(start, start + BATCH)
            yield torch.from_numpy(self.look.normalise(self.pictures.pixels[part])), part

    def score(self, net: torch.nn.Module) -> dict[str, Estimate]:
        """The room's metrics of a net's answers."""
        import torch

        state = self.suite
        for inputs, part in self.batches():
            with torch.inference_mode():
                columns = self.objective.answers(net(inputs), self.pictures.targets[part])
            table: dict[str, Any] = {PREDICTED + name: column for name, column in columns.items()}
            table |= self.objective.truths(self.pictures.targets[part])
            ids = list(self.pictures.ids[part])
            table |= {"id": ids, "answered": pa.array([True] * len(ids))}
            state = state.update(batch_of(pa.table(table)))
        found: dict[str, Estimate] = state.compute()
        return found


def see(chosen: Mapping[str, Any], task: str, look: Preprocessing, count: int | None = None, seed: int = 0) -> Seen:
    """Read pictures.

    Args:
        chosen: fields of `jobs.records.Reads`, which choose records.
        count: how many at most, drawn from them with `seed`; None for all.

    Raises:
        SpecError: if nothing is chosen.
        JobFailed: if the corpus is not whole.
    """
    reading = flow.read(Train(**chosen, output="-"))  # chosen as a training would; nothing is trained
    room = names.room(task)
    objective: Objective = room.objective(reading.corpus, 0.0)
    rows = survey(reading, objective, learned=False)
    reader = Reader(rows, objective, look, Augmentation(), 0, 0)
    wanted = np.sort(draws.permutation(rows.count, seed)[: rows.count if count is None else count])
    found = reader.pictures(wanted, reader.fetch(wanted), 0)
    good = np.array([id_ not in reader.broken for id_ in found.ids])
    ids = tuple(id_ for id_, ok in zip(found.ids, good, strict=True) if ok)
    pictures = Pictures(found.pixels[good], found.targets[good], ids)
    return Seen(pictures, look, objective, room.suite(reading.corpus), len(reader.broken))
