"""What a batch of classified images holds, and which of its rows count.

id                         (N,) strings
label                      (N,) int64 true class, -1 where there is none: such rows are not counted
answered                   (N,) bool, false where the image could not be read or classified
count                      (N,) int64, how many answers a row stands for
predicted_label            (N,) int64, -1 where not answered
predicted_score            (N,) float64 probability of that label, nan where missing
predicted_top_labels       (N, k) int64, best first, filled up with -1; may be absent
predicted_truth_log_score  (N,) float64 natural logarithm of the truth's probability, nan where unknown; may be absent
predicted_score_squares    (N,) float64 sum of the squared probabilities, nan where unknown; may be absent

A metric whose columns are absent, or missing in every row, does not appear; one that saw no rows at all is nan.
"""

from __future__ import annotations

import numpy as np

from vision.accumulator import Array, Batch, weights

NEEDS = ("label", "answered", "predicted_label")
"""Columns without which there is nothing to score."""


def counted(batch: Batch) -> Array:
    """(N,) bool: the rows that have a truth and an answer.

    Raises:
        ValueError: if a row is answered without a label.
    """
    rows: Array = (batch["label"] >= 0) & batch["answered"]
    empty = int((rows & (batch["predicted_label"] < 0)).sum())
    if empty:
        raise ValueError(f"{empty} answered rows have no predicted label")
    return rows


def measured(batch: Batch, *names: str) -> tuple[list[Array], Array, int]:
    """The columns `names` over the counted rows that have them all.

    Returns:
        one (M,) float64 array for each name, their counts (M,) int64, and how many answers lack a value.
    """
    rows, counts = counted(batch), weights(batch)
    if any(name not in batch for name in names):
        return [np.empty(0) for _ in names], np.empty(0, np.int64), int(counts[rows].sum())
    columns = [np.asarray(batch[name], np.float64) for name in names]
    present = rows & ~np.isnan(columns).any(axis=0)
    return [column[present] for column in columns], counts[present], int(counts[rows & ~present].sum())
