"""Answers averaged over views: windows in batches of one shape, whole pictures one at a time."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import reduce

import numpy as np

from vision.accumulator import Array
from vision.kernel import Kernel
from vision.protocol import Seen

Mean = Callable[[Sequence[Array]], Array]
"""A room's mean of several answers to the same pictures: (N, K) logits of each, to (N, K) that stand for all."""

Outputs = tuple[Array, Array | None]
"""(N, K) logits, and (N, D) of an embedding where one was asked for."""


class Averaged:
    """A model's answers to pictures that were looked at several times.

    Args:
        mean: the room's mean.
        windows: answers pictures of the model's own size, at most `batch` at once; None where there are none.
        wholes: answers pictures of any size, a picture and its mirror image at once; None where there are none.
    """

    def __init__(self, mean: Mean, windows: Kernel | None, wholes: Kernel | None, batch: int) -> None:
        self._mean, self._windows, self._wholes, self._batch = mean, windows, wholes, batch

    def __call__(self, seen: Sequence[Seen]) -> Outputs:
        """The answers to N pictures, at least one; an embedding is the mean over the windows."""
        kinds: list[Array] = []
        embedding: Array | None = None
        if self._windows is not None:
            logits, embeddings = _by_view(self._cut(self._windows, seen), len(seen))
            kinds.append(self._mean(logits))
            embedding = None if embeddings is None else _mean(embeddings)
        if self._wholes is not None:
            kinds.append(self._mean(self._whole(self._wholes, seen)))
        return self._mean(kinds), embedding

    def _cut(self, answer: Kernel, seen: Sequence[Seen]) -> list[Outputs]:
        """Every window of every picture, in batches that windows of several pictures share."""
        windows = np.concatenate([one.windows for one in seen])  # (N V, h, w, 3)
        return [answer(windows[start : start + self._batch]) for start in range(0, len(windows), self._batch)]

    def _whole(self, answer: Kernel, seen: Sequence[Seen]) -> list[Array]:
        """(N, K) for each scale and each of its mirror images."""
        found = [np.concatenate([answer(whole)[0] for whole in one.wholes]) for one in seen]  # N of (V, K)
        _give_back()
        return list(np.stack(found, axis=1))


def _give_back() -> None:
    """Hand the holes between buffers of many sizes back to the machine, where its C library can: they add up.

    60 sizes of picture left 700 MB behind, and 220 MB with this.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _mean(views: Sequence[Array]) -> Array:
    """(N, D) float32, added one after the other so that N does not matter."""
    total: Array = reduce(np.add, (view.astype(np.float64) for view in views))
    return (total / len(views)).astype(np.float32)


def _by_view(parts: Sequence[Outputs], pictures: int) -> tuple[list[Array], list[Array] | None]:
    """V arrays of (N, K) logits, and of (N, D) embeddings, from batches in the order of pictures and their windows."""
    logits = np.concatenate([logits for logits, _ in parts])  # (N V, K)
    split = logits.reshape(pictures, -1, logits.shape[1])
    kept = [embedding for _, embedding in parts if embedding is not None]
    if not kept:
        return [split[:, view] for view in range(split.shape[1])], None
    embeddings = np.concatenate(kept).reshape(pictures, split.shape[1], -1)
    views = range(split.shape[1])
    return [split[:, view] for view in views], [embeddings[:, view] for view in views]
