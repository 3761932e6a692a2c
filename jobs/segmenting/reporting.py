"""What a segmentation reports: scores at the threshold that was taken, and the curve over all thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from vision.accumulator import Estimate, plotted

SWEEPS = {
    "sweep": ("vi", "vi_split", "vi_merge", "adapted_rand_skimage"),
    "sweep_run_length": ("erl_nm",),
}
"""Scores that are drawn together over thresholds, by the name of the table."""

Scores = Mapping[float, Mapping[str, Estimate]]


def sweeps(by_threshold: Scores) -> dict[str, pa.Table]:
    """A table for each group of scores that there are: a row for each threshold and score, drawn as lines."""
    found = {}
    for table, names in SWEEPS.items():
        rows = [
            {"threshold": threshold, "score": name, "value": e.value, "low": e.low, "high": e.high}
            for threshold, scored in sorted(by_threshold.items())
            for name, e in scored.items()
            if name in names
        ]
        how = {"kind": "lines", "x": "threshold", "y": "value", "low": "low", "high": "high", "series": ["score"]}
        if rows:
            found[table] = plotted(pa.Table.from_pylist(rows), **how, logarithmic=False, stretched=False)
    return found


def best(by_threshold: Scores) -> float:
    """The threshold of the least VI, or without a truth of the longest expected runs; of several the lowest."""
    by_vi = all("vi" in scored for scored in by_threshold.values())
    name, sign = ("vi", 1) if by_vi else ("erl_nm", -1)
    return min(sorted(by_threshold), key=lambda threshold: sign * by_threshold[threshold][name].value)


def counts(done: Sequence[tuple[str, Mapping[str, int], int, int]]) -> pa.Table:
    """What stages did, from (name, what was counted, blocks, how many of them now): a row for each number."""
    rows = []
    for name, counted, blocks, made in done:
        for what, value in {"blocks": blocks, "made now": made, **counted}.items():
            rows.append({"stage": name, "what": what, "count": value})
    return pa.Table.from_pylist(rows)
