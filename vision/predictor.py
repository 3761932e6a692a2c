"""Columns in, columns out: encoded images to pixels, pixels to logits, logits to the room's answer.

A picture that cannot be read becomes a row whose answers are null and whose `error` says why; it never disturbs its
neighbours, because only good pictures enter a batch and every batch has the same shape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

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
        parts = [self._forward(batch) for batch in _batches(self._pixels(images, errors), self._asked.batch_size)]
        good = np.array([index for index, error in enumerate(errors) if error is None], np.int64)
        if parts:
            logits = np.concatenate([logits for logits, _ in parts])
            columns = self._decode(logits, truth[good]) | self._extra(logits, [extra for _, extra in parts])
        else:
            columns = self._decode(np.empty((0, 1), np.float32), truth[good])
        # A row of nulls stands where a picture failed: row -> place among the good ones, or null.
        places = np.full(len(errors), -1, np.int64)
        places[good] = np.arange(len(good))
        take = pa.array(places, mask=places < 0)
        table = pa.table({name: column.take(take) for name, column in columns.items()})
        return table.append_column("error", pa.array(errors, pa.string()))

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

    def _forward(self, batch: list[Array]) -> tuple[Array, Array | None]:
        return self._kernel(np.stack(batch))

    def _extra(self, logits: Array, embeddings: list[Any]) -> dict[str, pa.Array]:
        columns = {"logits": logits} if self._asked.keep_logits else {}
        if self._asked.embedding:
            columns["embedding"] = np.concatenate(embeddings)
        return {name: vectors(values) for name, values in columns.items()}


def vectors(values: Array) -> pa.Array:
    """(N, D) float32 as a fixed-size list column."""
    flat = pa.array(np.ascontiguousarray(values, np.float32).reshape(-1), pa.float32())
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])


def _batches(items: Iterator[Array], size: int) -> Iterator[list[Array]]:
    while batch := list(islice(items, size)):
        yield batch
