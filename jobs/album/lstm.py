"""PlaNet's album model as a step of a job: learnt from the embeddings of some albums, asked about those of others.

Training looks at whole albums in the order of their photos' times; a photo in no album is an album of one. Albums are
put in the order of their first photo's id, so shards do not matter. All embeddings are held in memory, 4 bytes a
number: a million photos of 512 numbers take 2 GB.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from jobs.album.photos import Photos
from jobs.embeddings import Embeddings
from vision.accumulator import Array

if TYPE_CHECKING:
    from vision.geolocation.planet import Objective
    from vision.geolocation.sequence import Kind


@dataclass(frozen=True)
class Learner:
    """How the net is made and learns; see `vision.geolocation.sequence`."""

    kind: Kind = "repeated"
    units: int = 256
    epochs: int = 20
    learning_rate: float = 3e-3
    seed: int = 0


def told(embedded: Embeddings, album: str, time: str) -> tuple[Photos, pa.Table]:
    """Photos with their embeddings, and the records of those that have one."""
    tables = list(embedded.tables())
    parts = [
        (file, table, vectors) for file, (table, vectors) in zip(embedded.answers.shards, tables, strict=True)
    ]  # fmt: skip
    photos = Photos.of(parts, album, time, embedded.answers.output)
    return photos, pa.concat_tables([table.filter(table["answered"]) for table, _ in tables])


def logits(
    train: tuple[Photos, pa.Table], test: Photos, objective: Objective, how: Learner, say: Callable[[str], None]
) -> Array:
    """(N, K) float32: what the net, learnt from some photos, says of others, each within its album.

    Raises:
        ValueError: if no photo lies in any of the cells.
    """
    import torch

    from vision.geolocation.sequence import CHUNK, album_lstm, answer, fit

    torch.set_num_threads(1)  # a second thread would fight with whatever else runs here
    photos, records = train
    targets = objective.targets(records)
    objective.check(objective.census(targets))
    size = CHUNK if how.kind == "bidirectional" else None
    albums = list(_parts(_ordered(photos, records["id"].to_pylist()), size))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(how.seed)
        net = album_lstm(photos.values.shape[1], objective.outputs, how.kind, how.units)
        fit(
            net, [photos.values[rows] for rows in albums], [targets[rows] for rows in albums], objective,
            epochs=how.epochs, learning_rate=how.learning_rate, seed=how.seed,
            say=lambda epoch, loss: say(f"epoch {epoch}: {loss:.3f} nats a photo") if epoch == how.epochs else None,
        )  # fmt: skip
    found = np.empty((len(test.values), objective.outputs), np.float32)
    for rows in [*test.groups(), *test.alone()]:
        found[rows] = answer(net, test.values[rows], size)
    return found


def _ordered(photos: Photos, ids: list[str]) -> list[Array]:
    """Albums and single photos in the order of ids, those of one time within an album too."""
    found = []
    for rows in [*photos.groups(), *photos.alone()]:
        found.append(np.array(sorted(rows.tolist(), key=lambda row: (_late(float(photos.times[row])), ids[row]))))
    return sorted(found, key=lambda rows: min(ids[row] for row in rows))


def _late(time: float) -> float:
    """A time to sort by; unknown ones come last."""
    return math.inf if math.isnan(time) else time


def _parts(albums: list[Array], size: int | None) -> Iterator[Array]:
    from vision.geolocation.sequence import chunks

    for rows in albums:
        yield from (rows[part] for part in chunks(len(rows), size or len(rows)))
