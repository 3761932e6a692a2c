"""Columns in, columns out: encoded images to pixels, pixels to logits, logits to the room's answer.

A picture that cannot be read becomes a row whose answers are null and whose `error` says why; it never disturbs its
neighbours, because only good pictures enter a batch and every batch has the same shape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pyarrow as pa

from vision import image, kernel
from vision.accumulator import Array
from vision.image import CorruptImage
from vision.model import Model

Decode = Callable[[Array, Array], dict[str, pa.Array]]
"""(N, K) logits and (N,) true labels (-1: none) to the room's columns, a row each."""


@dataclass(frozen=True)
class Asked:
    """What a user may ask of any predictor."""

    batch_size: int = kernel.CPU_BATCH
    device: str = "cpu"
    keep_logits: bool = False
    embedding: str | None = None
    image_time_s: float = 30.0


class Predictor:
    """Answers records with one model.

    Args:
        model: what answers.
        asked: batch, device and extra columns.
        decode: the room's reading of logits.
    """

    def __init__(self, model: Model, asked: Asked, decode: Decode) -> None:
        self._model, self._asked, self._decode = model, asked, decode
        self._kernel = kernel.compiled(model, asked.device, asked.batch_size, asked.embedding)

    def answer(self, images: Iterable[bytes | CorruptImage], truth: Array) -> pa.Table:
        """One row for each image, in order: the room's columns and `error` (null where there is an answer).

        Args:
            images: encoded bytes, or why there are none.
            truth: (N,) int64 labels for columns that compare with them, -1 where unknown.
        """
        errors: list[str | None] = []
        batches = _batches(self._pixels(images, errors), self._asked.batch_size)
        parts = [self._kernel(np.stack(batch)) for batch in batches]
        good = np.array([index for index, error in enumerate(errors) if error is None], np.int64)
        columns = self._columns(parts, truth[good])
        # A row of nulls stands where a picture failed: row -> place among the good ones, or null.
        places = np.full(len(errors), -1, np.int64)
        places[good] = np.arange(len(good))
        take = pa.array(places, mask=places < 0)
        table = pa.table({name: column.take(take) for name, column in columns.items()})
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

    def _pixels(self, images: Iterable[bytes | CorruptImage], errors: list[str | None]) -> Iterator[Array]:
        for data in images:
            try:
                if isinstance(data, CorruptImage):
                    raise data
                with image.time_limit_s(self._asked.image_time_s):
                    pixels = self._model.preprocessing.load(data)
            except CorruptImage as error:
                errors.append(str(error))
                continue
            errors.append(None)
            yield pixels


def vectors(values: Array) -> pa.Array:
    """(N, D) numbers as a list column of their type."""
    offsets = np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(np.ascontiguousarray(values).reshape(-1)))


def _batches(items: Iterator[Array], size: int) -> Iterator[list[Array]]:
    while batch := list(islice(items, size)):
        yield batch
