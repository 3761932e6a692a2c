"""PlaNet's album model as steps of a job: learnt from the embeddings of some albums, kept, asked about those of others.

Training looks at whole albums in the order of their photos' times; a photo in no album is an album of one. Albums are
put in the order of their first photo's id, so shards do not matter. All embeddings are held in memory, 4 bytes a
number: a million photos of 512 numbers take 2 GB.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from jobs.album.photos import Photos
from jobs.embeddings import Embeddings
from vision.accumulator import Array

if TYPE_CHECKING:
    from torch import nn

    from vision.geolocation.planet import Objective
    from vision.geolocation.sequence import Kind
    from vision.model import Model


@dataclass(frozen=True)
class Learner:
    """How the net is made and learns; see `vision.geolocation.sequence`."""

    kind: Kind = "repeated"
    units: int = 256
    epochs: int = 20
    learning_rate: float = 3e-3
    seed: int = 0


@dataclass(frozen=True, eq=False)
class AlbumNet:
    """An album model with its weights; `model` says what they are, and in memory alone has no folder."""

    net: nn.Module
    model: Model

    @classmethod
    def of(cls, model: Model) -> AlbumNet:
        """One that was kept.

        Raises:
            ValueError: if its weights are not those of its digest.
        """
        return cls(model.build(), model)

    def logits(self, photos: Photos) -> Array:
        """(N, K) float32: what it says of photos, each within its album."""
        import torch

        from vision.geolocation.sequence import answer

        torch.set_num_threads(1)
        arguments = self.model.arguments
        found = np.empty((len(photos.values), arguments["outputs"]), np.float32)
        for rows in [*photos.groups(), *photos.alone()]:
            found[rows] = answer(self.net, photos.values[rows], _size(arguments["kind"]))
        return found

    def keep(self, url: str) -> Model:
        """Write the model folder.

        Raises:
            JobFailed: if there is another model.
        """
        from jobs.training.ending import write_model

        return write_model(self.model, self.net.state_dict(), url)


def told(embedded: Embeddings, album: str, time: str) -> tuple[Photos, pa.Table]:
    """Photos with their embeddings, and the records of those that have one."""
    tables = list(embedded.tables())
    parts = [
        (file, table, vectors) for file, (table, vectors) in zip(embedded.answers.shards, tables, strict=True)
    ]  # fmt: skip
    photos = Photos.of(parts, album, time, embedded.answers.output)
    return photos, pa.concat_tables([table.filter(table["answered"]) for table, _ in tables])


def learnt(
    train: tuple[Photos, pa.Table], objective: Objective, how: Learner, body: Model, layer: str,
    say: Callable[[str], None],
) -> AlbumNet:  # fmt: skip
    """A net that has learnt from some photos.

    Args:
        body, layer: what the photos' embeddings were made by.

    Raises:
        ValueError: if no photo lies in any of the cells.
    """
    import torch

    from vision.geolocation.album_model import described
    from vision.geolocation.sequence import album_lstm, fit

    torch.set_num_threads(1)  # a second thread would fight with whatever else runs here
    photos, records = train
    targets = objective.targets(records)
    objective.check(objective.census(targets))
    features = photos.values.shape[1]
    albums = list(_parts(_ordered(photos, records["id"].to_pylist()), _size(how.kind)))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(how.seed)
        net = album_lstm(features, objective.outputs, how.kind, how.units)
        fit(
            net, [photos.values[rows] for rows in albums], [targets[rows] for rows in albums], objective,
            epochs=how.epochs, learning_rate=how.learning_rate, seed=how.seed,
            say=lambda epoch, loss: say(f"epoch {epoch}: {loss:.3f} nats a photo") if epoch == how.epochs else None,
        )  # fmt: skip
    return AlbumNet(net, described(body, layer, features, objective.outputs, how.kind, how.units))


def _size(kind: Any) -> int | None:
    """Photos that are read at once; None: the whole album."""
    from vision.geolocation.sequence import CHUNK

    return CHUNK if kind == "bidirectional" else None


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
