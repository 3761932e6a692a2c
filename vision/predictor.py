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
from vision.explaining import Explaining, Method, Scores, Truth
from vision.image import CorruptImage
from vision.model import Model
from vision.preprocessing import Preprocessing
from vision.protocol import Seen, Views
from vision.viewing import Averaged, Mean, Outputs

Decode = Callable[[Array, Array], dict[str, pa.Array]]
"""(N, K) logits and (N,) true labels (-1: none) to the room's columns, a row each."""


@dataclass(frozen=True)
class Asked:
    """What a user may ask of any predictor.

    Attributes:
        library, precision, artifact, streams: as `vision.kernel.compiled` takes them.
        views: how each picture is looked at, where that is more than the preprocessing's one crop.
        method: how each answer is explained, if at all.
    """

    batch_size: int = kernel.CPU_BATCH
    device: str = "cpu"
    keep_logits: bool = False
    embedding: str | None = None
    library: str | None = None
    precision: str = "fp32"
    artifact: str | None = None
    streams: int = 1
    views: Views | None = None
    method: Method | None = None

    @property
    def precision_of_wholes(self) -> str:
        """Of pictures of any size, which torch answers whatever answers the windows, and never a second time."""
        return "fp32" if self.precision == "fp32" else "bf16-only"


Pixels = Array | Seen | CorruptImage
"""(h, w, 3) uint8, several views, or why there are none."""

Look = Preprocessing | Views
"""From a file's bytes to what a model sees of it."""

Loaded = Mapping[Look, Sequence[Pixels]]


def labels(rows: pa.Table) -> Array:
    """(N,) int64 labels, -1 where there are none."""
    if "label" not in rows.column_names or not pa.types.is_integer(rows["label"].type):
        return np.full(len(rows), -1, np.int64)
    return np.asarray(rows["label"].fill_null(-1).to_numpy(), np.int64)


class Loader:
    """Encoded images to pixels, once for each distinct look.

    Args:
        looks: the looks that are wanted.
        threads: decode in so many threads, to keep a GPU busy; 0 decodes in the caller's, where the time limit holds.
        image_time_s: the longest that one image may take.
    """

    def __init__(self, looks: Sequence[Look], threads: int = 0, image_time_s: float = 30.0) -> None:
        self._looks, self._image_time_s = tuple(looks), image_time_s
        self._pool = ThreadPoolExecutor(threads) if threads else None

    def load(self, images: Iterable[bytes | CorruptImage]) -> Loaded:
        """The pixels of each image, in order, for each look."""
        rows = list((self._pool.map if self._pool else map)(self._all, images))
        return {look: [row[index] for row in rows] for index, look in enumerate(self._looks)}

    def _all(self, data: bytes | CorruptImage) -> list[Pixels]:
        return [self._one(data, look) for look in self._looks]

    def _one(self, data: bytes | CorruptImage, look: Look) -> Pixels:
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
        mean: the room's mean of answers to several views; None where it has none.
        scores: log-probabilities of what can be answered; None where answers have none.
        truth: which of them is true of each record.

    Raises:
        ValueError: if several views are asked for and the room has no mean of them, answers are to be explained that
            have no scores or come from several views, or the kernel cannot be had.
    """

    def __init__(
        self,
        model: Model,
        asked: Asked,
        decode: Decode,
        mean: Mean | None = None,
        scores: Scores | None = None,
        truth: Truth = labels,
    ) -> None:
        self._model, self._asked, self._decode, self.truth = model, asked, decode, truth
        self._explaining = None if asked.method is None else _explaining(model, asked, asked.method, scores)
        self._run = self._batches if asked.views is None else self._averaged(asked.views, mean)
        if asked.views is None:
            self._kernel = self._compiled()

    def _compiled(self) -> kernel.Kernel:
        asked = self._asked
        return kernel.compiled(
            self._model,
            asked.device,
            asked.batch_size,
            asked.embedding,
            library=asked.library,
            precision=asked.precision,
            artifact=asked.artifact,
            streams=asked.streams,
        )

    def _averaged(self, views: Views, mean: Mean | None) -> Averaged:
        if mean is None:
            raise ValueError(f"answers of the task {self._model.task} have no mean over several views of a picture")
        asked, wholes = self._asked, None
        if views.dense:
            # A picture and its mirror image have one size, and no other needs to.
            batch, precision = 1 + views.flip, asked.precision_of_wholes
            wholes = kernel.compiled(self._model, asked.device, batch, precision=precision, whole=True)
        return Averaged(mean, self._compiled() if views.crops else None, wholes, asked.batch_size)

    def answer(self, pixels: Sequence[Pixels], truth: Array) -> pa.Table:
        """One row for each picture, in order: the room's columns and `error` (null where there is an answer).

        Args:
            pixels: as `Loader` gives them for the model's preprocessing, or for the views that were asked for.
            truth: (N,) int64 as `self.truth` says, for columns that compare with it, -1 where unknown.
        """
        good = np.array([index for index, one in enumerate(pixels) if not isinstance(one, CorruptImage)], np.int64)
        # With none of them the columns are empty and have the same types.
        nothing = np.empty((0, 1), np.float32)
        seen = [pixels[index] for index in good]
        found: Outputs = self._run(seen) if len(good) else (nothing, nothing)
        columns = self._columns(*found, truth[good])
        if self._explaining is not None:
            columns |= self._explaining.columns(seen, found[0], truth[good], lambda changed: self._batches(changed)[0])
        errors = [str(one) if isinstance(one, CorruptImage) else None for one in pixels]
        return beside_errors(columns, errors)

    def _batches(self, pixels: Sequence[Array]) -> Outputs:
        """The answers to pictures of the model's own size, at least one."""
        size = self._asked.batch_size
        parts = [self._kernel(np.stack(pixels[start : start + size])) for start in range(0, len(pixels), size)]
        seen = [embedding for _, embedding in parts if embedding is not None]
        return np.concatenate([logits for logits, _ in parts]), np.concatenate(seen) if seen else None

    def _columns(self, logits: Array, embedding: Array | None, truth: Array) -> dict[str, pa.Array]:
        columns = self._decode(logits, truth)
        if self._asked.keep_logits:
            columns["logits"] = vectors(logits.astype(np.float32))
        if self._asked.embedding and embedding is not None:
            columns["embedding"] = vectors(embedding)
        return columns


def _explaining(model: Model, asked: Asked, method: Method, scores: Scores | None) -> Explaining:
    if scores is None:
        raise ValueError(f"answers of the task {model.task} have no scores to be explained")
    if asked.views is not None:
        raise ValueError("several views of a picture have no one map: explain the answer to one")
    method.check(model.preprocessing.size)
    return Explaining(method, scores)


def beside_errors(columns: Mapping[str, pa.Array], errors: Sequence[str | None]) -> pa.Table:
    """Answers with a row of nulls wherever there is none, and `error`, which says why.

    Args:
        columns: of those that have one, in order.
        errors: for each row, why it has no answer; None where it has one.
    """
    good = np.array([error is None for error in errors], bool)
    take = pa.array(np.cumsum(good) - 1, mask=~good)  # row -> place among the good ones, or null
    table = pa.table({name: column.take(take) for name, column in columns.items()})
    return table.append_column("error", pa.array(list(errors), pa.string()))


def vectors(values: Array) -> pa.Array:
    """(N, D) numbers as a list column of their type."""
    offsets = np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(np.ascontiguousarray(values).reshape(-1)))
