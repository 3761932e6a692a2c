"""Columns in, columns out: encoded images to pixels, pixels to logits, logits to the room's answer.

A picture that cannot be read becomes a row whose answers are null and whose `error` says why; it never disturbs its
neighbours, because only good pictures enter a batch and every batch has the same shape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from vision import image, kernel
from vision.accumulator import Array
from vision.image import CorruptImage
from vision.model import Model
from vision.preprocessing import Preprocessing

Decode = Callable[[Array, Array], dict[str, pa.Array]]
"""(N, K) logits and (N,) true labels (-1: none) to the room's columns, a row each."""


@dataclass(frozen=True)
class Asked:
    """What a user may ask of any predictor.

    Attributes:
        library, precision, artifact, streams: as `vision.kernel.compiled` takes them.
    """

    batch_size: int = kernel.CPU_BATCH
    device: str = "cpu"
    keep_logits: bool = False
    embedding: str | None = None
    library: str | None = None
    precision: str = "fp32"
    artifact: str | None = None
    streams: int = 1


Pixels = Array | CorruptImage
"""(h, w, 3) uint8, or why there are none."""


Loaded = Mapping[Preprocessing, Sequence[Pixels]]


class Loader:
    """Encoded images to pixels, once for each distinct preprocessing.

    Args:
        looks: the preprocessings that are wanted.
        threads: decode in so many threads, to keep a GPU busy; 0 decodes in the caller's, where the time limit holds.
        image_time_s: the longest that one image may take.
    """

    def __init__(self, looks: Sequence[Preprocessing], threads: int = 0, image_time_s: float = 30.0) -> None:
        self._looks, self._image_time_s = tuple(looks), image_time_s
        self._pool = ThreadPoolExecutor(threads) if threads else None

    def load(self, images: Iterable[bytes | CorruptImage]) -> Loaded:
        """The pixels of each image, in order, for each preprocessing."""
        rows = list((self._pool.map if self._pool else map)(self._all, images))
        return {look: [row[index] for row in rows] for index, look in enumerate(self._looks)}

    def _all(self, data: bytes | CorruptImage) -> list[Pixels]:
        return [self._one(data, look) for look in self._looks]

    def _one(self, data: bytes | CorruptImage, look: Preprocessing) -> Pixels:
        if isinstance(data, CorruptImage):
            return data
        try:
            with image.time_limit_s(self._image_time_s):
                return look.load(data)
        except CorruptImage as error:
            return error


class Predictor:
    """Answers records with one model.

    Args:
        model: what answers.
        asked: batch, device and extra columns.
        decode: the room's reading of logits.
    """

    def __init__(self, model: Model, asked: Asked, decode: Decode) -> None:
        self._model, self._asked, self._decode = model, asked, decode
        self._kernel = kernel.compiled(
            model,
            asked.device,
            asked.batch_size,
            asked.embedding,
            library=asked.library,
            precision=asked.precision,
            artifact=asked.artifact,
            streams=asked.streams,
        )

    def answer(self, pixels: Sequence[Pixels], truth: Array) -> pa.Table:
        """One row for each picture, in order: the room's columns and `error` (null where there is an answer).

        Args:
            pixels: as `Loader` gives them for the model's preprocessing.
            truth: (N,) int64 labels for columns that compare with them, -1 where unknown.
        """
        good = np.array([index for index, one in enumerate(pixels) if not isinstance(one, CorruptImage)], np.int64)
        batches = [
            good[start : start + self._asked.batch_size] for start in range(0, len(good), self._asked.batch_size)
        ]
        parts = [self._kernel(np.stack([pixels[index] for index in batch])) for batch in batches]
        columns = self._columns(parts, truth[good])
        # A row of nulls stands where a picture failed: row -> place among the good ones, or null.
        places = np.full(len(pixels), -1, np.int64)
        places[good] = np.arange(len(good))
        take = pa.array(places, mask=places < 0)
        table = pa.table({name: column.take(take) for name, column in columns.items()})
        errors = [str(one) if isinstance(one, CorruptImage) else None for one in pixels]
        return table.append_column("error", pa.array(errors, pa.string()))

    def _columns(self, parts: list[tuple[Array, Array | None]], truth: Array) -> dict[str, pa.Array]:
        """The answers of the good pictures; with none of them the columns are empty and have the same types."""
        logits = np.concatenate([part for part, _ in parts]) if parts else np.empty((0, 1), np.float32)
        columns = self._decode(logits, truth)
        if self._asked.keep_logits:
            columns["logits"] = vectors(logits)
        if self._asked.embedding:
            seen = [embedding for _, embedding in parts if embedding is not None]
            columns["embedding"] = vectors(np.concatenate(seen) if seen else np.empty((0, 1), np.float32))
        return columns


def vectors(values: Array) -> pa.Array:
    """(N, D) numbers as a list column of their type."""
    offsets = np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(np.ascontiguousarray(values).reshape(-1)))
