"""What a segmentation reports: scores at the threshold that was taken, and the curve over all thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from vision.accumulator import Estimate, plotted
from vision.connectomics.contingency import Contingency
from vision.connectomics.scores import scores

SERIES = ("vi", "vi_split", "vi_merge", "adapted_rand_skimage")


def sweep(by_threshold: Mapping[float, Mapping[str, Estimate]]) -> pa.Table:
    """A row for each threshold and score, drawn as lines."""
    rows = [
        {"threshold": threshold, "score": name, "value": e.value, "low": e.low, "high": e.high}
        for threshold, found in sorted(by_threshold.items())
        for name, e in found.items()
        if name in SERIES
    ]
    how = {"kind": "lines", "x": "threshold", "y": "value", "low": "low", "high": "high", "series": ["score"]}
    return plotted(pa.Table.from_pylist(rows), **how, logarithmic=False, stretched=False)


def best(by_threshold: Mapping[float, Mapping[str, Estimate]]) -> float:
    """The threshold of the least VI; of several the lowest."""
    return min(sorted(by_threshold), key=lambda threshold: by_threshold[threshold]["vi"].value)


def scored(tables: Mapping[float, Contingency]) -> dict[float, dict[str, Estimate]]:
    """The scores of each threshold."""
    return {threshold: scores(table) for threshold, table in tables.items()}


def counts(done: Sequence[tuple[str, Mapping[str, int], int, int]]) -> pa.Table:
    """What stages did, from (name, what was counted, blocks, how many of them now): a row for each number."""
    rows = []
    for name, counted, blocks, made in done:
        for what, value in {"blocks": blocks, "made now": made, **counted}.items():
            rows.append({"stage": name, "what": what, "count": value})
    return pa.Table.from_pylist(rows)
