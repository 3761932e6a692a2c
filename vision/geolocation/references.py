"""Runs of one's own among published results: a ranking for each metric of a test set, with an interval for each share.

Of a published share the interval follows from the number of photos, which is small: with the 237 of Im2GPS one photo is
0.42 points, and 24.5 % at 25 km is 19.4 to 30.4 %. A run of one's own is on whatever it was scored on.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from vision.accumulator import Estimate
from vision.geolocation.results import Reported, published_results
from vision.intervals import wilson

Metrics = Mapping[str, Estimate]

OWN = "a run of one's own"
_USUAL = "planet"
_ORDER = (
    "within_1_km", "within_25_km", "within_200_km", "within_750_km", "within_2500_km", "median_km", "mean_km",
    "geoscore", "rounds_won",
)  # fmt: skip
_SHARES = ("within_", "rounds_")

_SCHEMA = pa.schema([
    ("metric", pa.string()), ("entry", pa.string()), ("year", pa.int32()), ("test_set", pa.string()),
    ("value", pa.float64()), ("low", pa.float64()), ("high", pa.float64()), ("photos", pa.int64()),
    ("source", pa.string()), ("basis", pa.string()),
])  # fmt: skip


def references(classes: tuple[str, ...] | None, asked: str | None, own: Mapping[str, Metrics]) -> dict[str, pa.Table]:
    """A reference table by name, with runs of one's own among its rows.

    Args:
        classes: of the corpus; they decide nothing here.
        asked: `planet` (PlaNet and Im2GPS on all their test sets; this by default), or a test set.
        own: metrics of each run by its name.

    Raises:
        ValueError: if there is no such table, with the nearest name.
    """
    name = asked or _USUAL
    if name not in tables():
        close = difflib.get_close_matches(name, tables(), n=1, cutoff=0.4)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ValueError(f"reference: there is no table {name!r}{hint} (there are: {', '.join(tables())})")
    rows = [_published(row) for row in published_results() if _belongs(row, name)]
    measured = {row["metric"] for row in rows}
    rows += [_own(run, metric, found[metric]) for run, found in own.items() for metric in measured if metric in found]
    several = len({row["test_set"] for row in rows if row.get("test_set")}) > 1
    rows.sort(key=lambda row: (row.get("test_set") or "" if several else "", *_rank(row)))
    return {f"reference_{name}": pa.Table.from_pylist(rows, _SCHEMA)}


def tables() -> tuple[str, ...]:
    """The names of the tables."""
    return (_USUAL, *dict.fromkeys(_named(row.test_set) for row in published_results()))


def _named(test_set: str) -> str:
    return "scenes" if test_set.startswith("scene: ") else "-".join(test_set.lower().replace("+", "").split())


def _belongs(row: Reported, name: str) -> bool:
    if name == _USUAL:
        return row.system.startswith("PlaNet") or "Im2GPS" in row.system
    return _named(row.test_set) == name


def _published(row: Reported) -> dict[str, Any]:
    found = {name: getattr(row, name) for name in ("metric", "year", "test_set", "value", "photos", "source", "basis")}
    low = high = None
    if row.metric.startswith(_SHARES) and row.photos:
        low, high = (100 * limit for limit in wilson(row.value / 100 * row.photos, row.photos))
    return {**found, "entry": row.system, "low": low, "high": high}


def _own(run: str, metric: str, estimate: Estimate) -> dict[str, Any]:
    scale = 100.0 if metric.startswith(_SHARES) else 1.0
    numbers = {name: _known(getattr(estimate, name), scale) for name in ("value", "low", "high")}
    return {"metric": metric, "entry": run, "photos": estimate.n, "source": OWN, "basis": "measured", **numbers}


def _known(value: float, scale: float) -> float | None:
    return round(scale * value, 10) if math.isfinite(value) else None


def _rank(row: Mapping[str, Any]) -> tuple[int, float]:
    """By metric, then the best first; what is not known last."""
    value = row["value"]
    if value is None:
        return _ORDER.index(row["metric"]), math.inf
    return _ORDER.index(row["metric"]), value if row["metric"].endswith(("median_km", "mean_km")) else -value
