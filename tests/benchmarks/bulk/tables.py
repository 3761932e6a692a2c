"""Rounds to medians, spreads and ratios, as text."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Any

Rounds = Sequence[dict[str, dict[str, Any]]]
"""For each round: contender to what was measured."""

_COLUMNS = {
    "wall s": "wall_s",
    "first s": "first_s",
    "CPU s": "cpu_s",
    "CPU s to first": "first_cpu_s",
    "steady img/CPU-s": "steady",
    "peak MB": "peak_mb",
}


def spread(values: Iterable[float | None]) -> tuple[float, float, float] | None:
    """Median, least, greatest; None of nothing."""
    known = [value for value in values if value is not None]
    return (statistics.median(known), min(known), max(known)) if known else None


def good(one: dict[str, dict[str, Any]], name: str) -> bool:
    """Whether a contender finished a round."""
    return name in one and one[name].get("failure") is None


def summary(rounds: Rounds, names: Sequence[str]) -> str:
    """A line a contender: medians, with the range in brackets where there are several rounds."""
    rows = [["", *_COLUMNS, "labels as the first"]]
    for name in names:
        done = [one[name] for one in rounds if good(one, name)]
        cells = [_cell(spread(result[key] for result in done)) for key in _COLUMNS.values()]
        failures = [one[name]["failure"] for one in rounds if name in one and one[name].get("failure")]
        same = f"{statistics.median(result['agreement'] for result in done):.3f}" if done else ""
        rows.append([name, *cells, same, *(f"FAILED {len(failures)}x: {failures[0]}" for _ in failures[:1])])
    return aligned(rows)


def ratios(rounds: Rounds, ours: str, names: Sequence[str]) -> str:
    """How many times longer the others took than `ours` in the same round, and how much steadier ours is."""
    rows = [[f"{ours} against", "wall", "steady", "CPU", "peak memory"]]
    for name in names:
        both = [(one[ours], one[name]) for one in rounds if good(one, ours) and good(one, name)]
        if name == ours or not both:
            continue
        rows.append([
            name,
            *(
                _cell(spread(map(ratio, both)))
                for ratio in (_times("wall_s"), _times("steady", True), _times("cpu_s"), _times("peak_mb"))
            ),
        ])  # fmt: skip
    return aligned(rows)


def _times(key: str, more_is_better: bool = False) -> Callable[[tuple[dict[str, Any], dict[str, Any]]], float | None]:
    def ratio(pair: tuple[dict[str, Any], dict[str, Any]]) -> float | None:
        ours, theirs = pair[0][key], pair[1][key]
        if not ours or not theirs:
            return None
        return float(ours / theirs if more_is_better else theirs / ours)

    return ratio


def _cell(found: tuple[float, float, float] | None) -> str:
    if found is None:
        return "-"
    middle, low, high = (_short(value) for value in found)
    return middle if low == high else f"{middle} ({low}..{high})"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Columns of equal width."""
    widths = [max(len(row[index]) if index < len(row) else 0 for row in rows) for index in range(max(map(len, rows)))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)) for row in rows)
