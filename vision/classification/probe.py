"""How much of a question do features answer? A linear probe: softmax regression on frozen embeddings.

A probe is whatever gives (N, K) log-scores for (N, D) features; `answers` reads them as a classifier's logits are read,
so that all metrics of the room apply. Features are standardised first, which makes one L2 penalty mean the same for
every layer. The optimum is unique, and nothing is drawn at random: equal rows in equal order give equal bits.

Memory is the features in float32 and 32 MiB a block: 1.28 million rows of 2,048 numbers take 10.5 GB. 10,000 rows of
1,280 numbers and ten classes are fitted in some seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa

from vision.accumulator import Array
from vision.classification.labels import decode
from vision.predictor import vectors

_BLOCK = 2**22  # numbers held in float64 at once
_ROWS = 512  # of a block of answers: always as many, for a matrix product may round by its shape
_HELD = 2**25  # numbers up to which standardised features stay in float64 between steps
_STEPS = 1000


class Probe(Protocol):
    """What answers features."""

    def __call__(self, features: Array) -> Array:
        """(N, K) float64 logarithms of scores up to a constant of each row, -inf for what is impossible."""
        ...


def answers(log_scores: Array, truth: Array) -> dict[str, pa.Array]:
    """The answer columns that `labels.decode` gives; an impossible label is -1 among `top_labels`, never a hit.

    Args:
        log_scores: (N, K), as a probe gives them.
        truth: (N,) int64 label, -1 where unknown.
    """
    columns = decode(log_scores, truth)
    top = np.asarray(columns["top_labels"].flatten(), np.int32).reshape(len(truth), -1)  # (N, min(5, K))
    possible = np.isfinite(np.take_along_axis(log_scores, top, axis=1))
    return {**columns, "top_labels": vectors(np.where(possible, top, np.int32(-1)))}


def blockwise(answer: Callable[[Array], Array], features: Array, rows: int = _ROWS) -> Array:
    """`answer` of (N, D) features in blocks of one shape, filled up with zeros: no answer depends on its neighbours."""
    parts = []
    for start in range(0, len(features), rows):
        part = features[start : start + rows]
        block = np.zeros((rows, features.shape[1]))
        block[: len(part)] = part
        parts.append(answer(block)[: len(part)])
    return np.concatenate(parts) if parts else answer(np.zeros((rows, features.shape[1])))[:0]


@dataclass(frozen=True, eq=False)
class Scale:
    """Mean and standard deviation of each feature, (D,) float64; a feature that never varies has deviation 1."""

    mean: Array
    deviation: Array

    @classmethod
    def of(cls, features: Array) -> Scale:
        """Of (N, D) features.

        Raises:
            ValueError: if a feature is not a finite number.
        """
        mean = sum(block.sum(axis=0) for block in _blocks(features)) / len(features)
        squares = sum(((block - mean) ** 2).sum(axis=0) for block in _blocks(features))
        deviation = np.sqrt(squares / len(features))
        if not np.isfinite(deviation).all():
            raise ValueError("features must be finite numbers, got nan or infinity among them")
        # What rounding leaves of a constant is no spread.
        constant = deviation <= 1e-7 * np.abs(mean)
        return cls(mean, np.where(constant, 1.0, deviation))

    def __call__(self, features: Array) -> Array:
        scaled: Array = (features - self.mean) / self.deviation
        return scaled


@dataclass(frozen=True, eq=False)
class Linear:
    """A fitted linear probe.

    Attributes:
        weights: (D, K) of standardised features.
        bias: (K,); -inf for a class without examples.
        scale: how features are standardised.
        steepest: the largest part of the gradient where the fit ended; up to 1e-4 it has arrived.
    """

    weights: Array
    bias: Array
    scale: Scale
    steepest: float

    def __call__(self, features: Array) -> Array:
        return blockwise(lambda block: self.scale(block) @ self.weights + self.bias, features)


def fit_linear(features: Array, labels: Array, classes: int, l2: float, scale: Scale | None = None) -> Linear:
    """The minimum of mean cross entropy + l2 / 2 * sum(weights**2), by L-BFGS from zero; the bias is free.

    scikit-learn's `LogisticRegression` with C = 1 / (l2 * N) has the same minimum.

    Args:
        features: (N, D) float32 or float64.
        labels: (N,) int64 in 0..classes-1.
        l2: above 0; without a penalty, separable classes have no minimum.
        scale: of a larger pool of features than these; None: of these.

    Raises:
        ValueError: if there are fewer than two classes among the labels, or a number does not fit.

    Reference: Alain & Bengio, "Understanding intermediate layers using linear classifier probes", 2016.
    """
    from scipy.optimize import minimize

    if l2 <= 0:
        raise ValueError(f"l2 must be above 0, got {l2}")
    present, codes = seen(labels, classes)
    scale = scale or Scale.of(features)
    loss = _loss(features, codes, len(present), l2, scale)
    start = np.zeros((features.shape[1] + 1) * len(present))
    options = {"maxiter": _STEPS, "maxfun": 2 * _STEPS, "gtol": min(1e-5, l2 * 1e-4), "ftol": 64 * np.finfo(float).eps}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options=options)
    fitted = found.x.reshape(-1, len(present))  # (D + 1, present)
    weights, bias = np.zeros((features.shape[1], classes)), np.full(classes, -np.inf)
    weights[:, present], bias[present] = fitted[:-1], fitted[-1]
    return Linear(weights, bias, scale, float(np.abs(found.jac).max()))


def seen(labels: Array, classes: int) -> tuple[Array, Array]:
    """The classes that occur, ascending, and each label's place among them.

    Raises:
        ValueError: if there are fewer than two, or a label is outside 0..classes-1.
    """
    present, codes = np.unique(labels, return_inverse=True)
    if len(present) and not 0 <= present[0] <= present[-1] < classes:
        raise ValueError(f"labels must be in 0..{classes - 1}, got {present[0]}..{present[-1]}")
    if len(present) < 2:
        raise ValueError(f"a probe needs examples of at least two classes, got {len(present)}")
    return present, codes


def _loss(
    features: Array, codes: Array, classes: int, l2: float, scale: Scale
) -> Callable[[Array], tuple[float, Array]]:
    """The objective and its gradient as a function of the flat (D + 1, K) weights, the bias last."""
    held = [scale(block) for block in _blocks(features)] if features.size <= _HELD else None

    def loss(flat: Array) -> tuple[float, Array]:
        both = flat.reshape(-1, classes)
        total, slope, start = 0.0, np.zeros_like(both), 0
        for block in held if held is not None else map(scale, _blocks(features)):
            truth = codes[start : start + len(block)]
            cost, residual = _residuals(block @ both[:-1] + both[-1], truth)
            total += cost
            slope[:-1] += block.T @ residual
            slope[-1] += residual.sum(axis=0)
            start += len(block)
        slope /= len(features)
        slope[:-1] += l2 * both[:-1]
        return total / len(features) + l2 / 2 * float((both[:-1] ** 2).sum()), slope.reshape(-1)

    return loss


def _residuals(logits: Array, truth: Array) -> tuple[float, Array]:
    """Summed cross entropy, and its (N, K) gradient by the logits: probabilities less the truth."""
    logits -= logits.max(axis=1, keepdims=True)
    logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
    rows = np.arange(len(truth))
    cost = -float(logits[rows, truth].sum())
    residual = np.exp(logits)
    residual[rows, truth] -= 1
    return cost, residual


def _blocks(features: Array) -> Iterator[Array]:
    """(N, D) in float64, some rows at a time."""
    rows = max(1, _BLOCK // max(1, features.shape[1]))
    for start in range(0, len(features), rows):
        yield features[start : start + rows].astype(np.float64)
