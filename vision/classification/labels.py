"""Logits to a label: softmax, the best class, the runners-up, and what later metrics need of the whole distribution."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np
import pyarrow as pa

from vision.accumulator import Array
from vision.predictor import vectors
from vision.softmax import log_softmax

TOP = 5


def decode(logits: Array, truth: Array) -> dict[str, pa.Array]:
    """The answer columns of a classifier.

    Args:
        logits: (N, K) float32.
        truth: (N,) int64 label, -1 where unknown.

    Returns:
        label int32 (ties go to the lower index), score float32 in 0..1, top_labels and top_scores (the best
        min(5, K), best first), truth_log_score float32 (log-probability of the true class, null where unknown) and
        score_squares float32 (the sum of squared probabilities): with these two, cross entropy and Brier score need
        no logits.
    """
    wide = logits.astype(np.float64)
    log_probabilities = log_softmax(wide)
    probabilities = np.exp(log_probabilities)
    order = np.argsort(-wide, axis=1, kind="stable")[:, :TOP]  # (N, TOP)
    scores = np.take_along_axis(probabilities, order, axis=1).astype(np.float32)
    known = (truth >= 0) & (truth < logits.shape[1])
    of_truth = log_probabilities[np.arange(len(truth)), np.where(known, truth, 0)].astype(np.float32)
    return {
        "label": pa.array(order[:, 0].astype(np.int32)),
        "score": pa.array(scores[:, 0]),
        "top_labels": vectors(order.astype(np.int32)),
        "top_scores": vectors(scores),
        "truth_log_score": pa.array(of_truth, mask=~known),
        "score_squares": pa.array((probabilities**2).sum(axis=1).astype(np.float32)),
    }


def scores(logits: Array) -> Array:
    """(N, K) float64 log-probabilities of the classes, in which answers are explained."""
    return log_softmax(logits.astype(np.float64))


def averaged(views: Sequence[Array]) -> Array:
    """The logarithm of the mean posterior of several answers to the same pictures: their logits as one.

    Args:
        views: one or more of (N, K) logits.

    Returns:
        (N, K) float64, whose softmax is the mean of the views' softmaxes.
    """
    logs = [log_softmax(logits.astype(np.float64)) for logits in views]
    best: Array = reduce(np.maximum, logs)  # (N, K); what underflows beside it adds nothing
    # One after the other: numpy's own sum would depend on how many pictures there are.
    total: Array = reduce(np.add, (np.exp(log - best) for log in logs))
    mean: Array = best + np.log(total / len(logs))
    return mean
