"""Rows to pixels for training: bytes fetched a window ahead, decoded once where memory allows, varied each epoch.

Decoded pictures are kept until the budget is full, and those that came first stay: with a new order each epoch,
replacing the oldest would keep nothing that comes back. A picture of 32 x 32 takes 3 KB, one of 224 x 224 150 KB. Each
worker keeps what it has trained on itself, so that a corpus that fits is decoded once by each worker at most.

A picture that cannot be read is black and has no target: it teaches nothing, changes no other row's place, and is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

from jobs import storage
from jobs.engine.shard import referenced
from jobs.training.rows import Held, Objective, Rows, hold
from jobs.training.source import Place
from vision import draws, image
from vision.accumulator import Array
from vision.augmentation import Augmentation
from vision.image import CorruptImage
from vision.preprocessing import Preprocessing

if TYPE_CHECKING:
    import torch

Encoded = Mapping[int, bytes | CorruptImage]
MIB = 2**20
_IMAGE_TIME_S = 30.0


@dataclass(frozen=True)
class Pictures:
    """Rows as a net takes them: (B, h, w, 3) uint8 RGB, (B, ...) targets, and their ids."""

    pixels: Array
    targets: Array
    ids: tuple[str, ...]


class Reader:
    """Pictures of rows by their numbers.

    Args:
        rows: where they lie.
        objective: what is learned of them.
        look: the net's preprocessing.
        augmentation: how they are varied; none for validation.
        budget: bytes of decoded pictures to keep.
        decoders: threads that decode; 0 decodes in the caller's.
    """

    def __init__(
        self,
        rows: Rows,
        objective: Objective,
        look: Preprocessing,
        augmentation: Augmentation,
        budget: int,
        decoders: int,
    ) -> None:
        self._rows, self._objective, self._look, self._augmentation = rows, objective, look, augmentation
        self._whole = look
        if augmentation.scales is not None:  # nothing is cut here, but a shorter side wants a crop to go with it
            self._whole = replace(look, resize=augmentation.scales[1], crop=max(look.size))
        self._offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(rows.sizes)])
        self._shards: dict[int, Held] = {}
        self._facts: dict[int, tuple[list[str], Array, Array]] = {}
        self._decoded: dict[int, Array | CorruptImage] = {}
        self._room = budget
        self._pool = ThreadPoolExecutor(decoders) if decoders else None
        self._statistics: tuple[torch.Tensor, torch.Tensor] | None = None
        self.broken: dict[str, str] = {}

    def fetch(self, wanted: Array) -> Encoded:
        """The encoded bytes of rows that are not decoded yet; may run in another thread than the rest."""
        missing = np.sort(wanted[[int(row) not in self._decoded for row in wanted]] if len(wanted) else wanted)
        units = self._units(missing)
        found: dict[int, bytes | CorruptImage] = {}
        for unit in np.unique(units):
            rows = missing[units == unit]
            found.update(zip(rows.tolist(), self._encoded(int(unit), rows - self._offsets[unit]), strict=True))
        return found

    def pictures(self, rows: Array, encoded: Encoded, *parts: int) -> Pictures:
        """Pictures with their targets.

        Args:
            rows: (B,) row numbers.
            encoded: what `fetch` gave for them, and maybe others.
            parts: what their variation depends on besides their ids: seed and epoch.
        """
        facts = [self._of(int(row)) for row in rows]
        keys = draws.mix(draws.mix(*parts), np.array([key for _, key, _ in facts], np.uint64))
        jobs = [(int(row), encoded.get(int(row))) for row in rows]
        decoded = list((self._pool.map if self._pool else map)(lambda job: self._picture(*job), jobs))
        targets = np.stack([target for _, _, target in facts])
        for index, found in enumerate(decoded):
            if isinstance(found, CorruptImage):
                self.broken[facts[index][0]] = str(found)
                targets[index] = -1
        pixels = np.stack([self._fitted(one, keys[i : i + 1]) for i, one in enumerate(decoded)])
        return Pictures(self._augmentation.apply(pixels, keys), targets, tuple(id_ for id_, _, _ in facts))

    def inputs(self, part: Pictures, place: Place) -> torch.Tensor:
        """(B, 3, h, w) float32, normalised, channels last."""
        if self._statistics is None:
            look = self._look
            mean, std = (place(np.array(v, np.float32)).view(1, 3, 1, 1) for v in (look.mean, look.std))
            self._statistics = (mean, std)
        pixels = place(part.pixels).permute(0, 3, 1, 2)
        pixels = pixels.flip(1) if self._look.order == "BGR" else pixels
        return pixels.float().div_(255).sub_(self._statistics[0]).div_(self._statistics[1])

    def _fitted(self, found: Array | CorruptImage, key: Array) -> Array:
        if isinstance(found, CorruptImage):
            return np.zeros((*self._look.size, 3), np.uint8)
        return self._augmentation.cut(found, key, self._look.size) if self._augmentation.cuts else found

    def _picture(self, row: int, data: bytes | CorruptImage | None) -> Array | CorruptImage:
        kept = self._decoded.get(row)
        if kept is not None:
            return kept
        assert data is not None
        try:
            found: Array | CorruptImage = self._loaded(data)
        except CorruptImage as error:
            found = error
        size = found.nbytes if isinstance(found, np.ndarray) else 100
        if size <= self._room:
            self._room -= size
            self._decoded[row] = found
        return found

    def _loaded(self, data: bytes | CorruptImage) -> Array:
        if isinstance(data, CorruptImage):
            raise data
        with image.time_limit_s(_IMAGE_TIME_S):
            return self._whole.whole(data) if self._augmentation.cuts else self._look.load(data)

    def _units(self, rows: Array) -> Array:
        return np.searchsorted(self._offsets, rows, side="right") - 1

    def _of(self, row: int) -> tuple[str, int, Array]:
        """A row's id, its key and its target."""
        unit = int(np.searchsorted(self._offsets, row, side="right")) - 1
        if unit not in self._facts:
            _, table = self._held(unit)
            ids = table["id"].to_pylist()
            self._facts[unit] = (ids, draws.keys_of(ids), self._objective.targets(table))
        ids, keys, targets = self._facts[unit]
        place = row - int(self._offsets[unit])
        return ids[place], int(keys[place]), targets[place]

    def _held(self, unit: int) -> tuple[Array, Any]:
        file, group = (int(n) for n in self._rows.units[unit])
        if file not in self._shards:
            self._shards[file] = hold(self._rows.url, self._rows.files[file], self._rows.selection)
        return self._shards[file].groups[group]

    def _encoded(self, unit: int, chosen: Array) -> Iterable[bytes | CorruptImage]:
        """The bytes of some of a unit's rows; its column of images is read as one range."""
        places = self._held(unit)[0][chosen]
        file, group = (int(n) for n in self._rows.units[unit])
        filesystem, path = storage.locate(storage.join(self._rows.url, self._rows.files[file]))
        with filesystem.open_input_file(path) as stream:
            parquet = pq.ParquetFile(stream, metadata=self._shards[file].metadata)
            if "image" in parquet.schema_arrow.names:
                column = parquet.read_row_group(group, columns=["image"], use_threads=False)["image"]
                return [_or_none(column[int(place)].as_py()) for place in places]
            table = parquet.read_row_group(group, columns=["uri", "etag"], use_threads=False)
            return [referenced(table["uri"][int(p)].as_py(), table["etag"][int(p)].as_py()) for p in places]


def _or_none(data: bytes | None) -> bytes | CorruptImage:
    return CorruptImage("no image") if data is None else data
