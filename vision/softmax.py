"""Logits to logarithms of probabilities, without overflow, row by row."""

from __future__ import annotations

import numpy as np

from vision.accumulator import Array


def log_softmax(logits: Array) -> Array:
    """(N, K) logits to (N, K) natural logarithms of probabilities, in the type that they come in.

    >>> np.exp(log_softmax(np.array([[1000.0, 1000.0]]))).tolist()
    [[0.5, 0.5]]
    """
    shifted: Array = logits - logits.max(axis=1, keepdims=True)
    found: Array = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return found
