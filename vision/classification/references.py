"""Runs of one's own among published results: a table that says where each stands, and who says the others.

Published errors are on ILSVRC's validation or test images, mostly with several crops and scales; a run of one's own is
on whatever it was scored on, so its interval and its number of images stand beside it.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from vision.accumulator import Estimate
from vision.corpora.imagenet import imagenet_classes, imagenet_wnids
from vision.nets.ilsvrc import Reported, ilsvrc_results

Metrics = Mapping[str, Estimate]

OWN = "a run of one's own"

_SCHEMA = pa.schema([
    ("place", pa.int32()), ("entry", pa.string()), ("year", pa.int32()), ("layers", pa.int32()), ("nets", pa.string()),
    ("train_side", pa.string()), ("test_sides", pa.string()), ("top1_val", pa.float64()), ("top5_val", pa.float64()),
    ("top5_test", pa.float64()), ("top5_low", pa.float64()), ("top5_high", pa.float64()), ("images", pa.int64()),
    ("source", pa.string()),
])  # fmt: skip


def references(classes: tuple[str, ...] | None, asked: str | None, own: Mapping[str, Metrics]) -> dict[str, pa.Table]:
    """The reference tables that fit, by name, with runs of one's own among them; none where nothing fits.

    Args:
        classes: of the corpus; those of ILSVRC bring its table by themselves.
        asked: a table by name, whatever the classes.
        own: metrics of each run by its name.

    Raises:
        ValueError: if there is no such table, with the nearest name.
    """
    if asked is not None and asked not in _TABLES:
        close = difflib.get_close_matches(asked, _TABLES, n=1, cutoff=0.4)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ValueError(f"reference: there is no table {asked!r}{hint} (there are: {', '.join(_TABLES)})")
    name = asked or ("ilsvrc" if classes in (imagenet_classes(), imagenet_wnids()) else None)
    return {f"reference_{name}": _TABLES[name](own)} if name is not None else {}


def among_ilsvrc(own: Mapping[str, Metrics]) -> pa.Table:
    """The lectures' ILSVRC results and one's own, best first, all errors in percent.

    They are ordered by top-5 error (on test images where it is told, else on validation images; of a claimed range
    its middle), with those that tell none at the end, by top-1 error. `top5_low` and `top5_high` are the 95 %
    interval of a run of one's own, or a claimed range.

    Args:
        own: `top1` and `top5` (shares of right answers) of each run, by its name.
    """
    rows = [_published(row) for row in ilsvrc_results()] + [_own(name, metrics) for name, metrics in own.items()]
    rows.sort(key=_rank)
    placed = [{**row, "place": place if _error(row) is not None else None} for place, row in enumerate(rows, 1)]
    return pa.Table.from_pylist(placed, _SCHEMA)


def _published(row: Reported) -> dict[str, Any]:
    top5 = row.top5_test or row.top5_val
    claimed = top5 is not None and top5[0] != top5[1]
    return {
        "entry": row.entry,
        "year": row.year,
        "layers": row.layers,
        "nets": row.nets or None,
        "train_side": row.train_side or None,
        "test_sides": ", ".join(map(str, row.test_sides)) or None,
        "top1_val": _single(row.top1_val),
        "top5_val": _single(row.top5_val),
        "top5_test": _single(row.top5_test),
        "top5_low": top5[0] if top5 and claimed else None,
        "top5_high": top5[1] if top5 and claimed else None,
        "source": row.source,
    }


def _own(name: str, metrics: Metrics) -> dict[str, Any]:
    top1, top5 = metrics.get("top1"), metrics.get("top5")
    return {
        "entry": name,
        "top1_val": None if top1 is None else _percent(top1.value),
        "top5_val": None if top5 is None else _percent(top5.value),
        "top5_low": None if top5 is None else _percent(top5.high),
        "top5_high": None if top5 is None else _percent(top5.low),
        "images": max((one.n for one in (top1, top5) if one is not None), default=0),
        "source": OWN,
    }


def _percent(right: float) -> float | None:
    """The error of a share of right answers; None where it is not known."""
    return round(100 * (1 - right), 10) if math.isfinite(right) else None


def _single(span: tuple[float, float] | None) -> float | None:
    return span[0] if span is not None and span[0] == span[1] else None


def _error(row: Mapping[str, Any]) -> float | None:
    """The top-5 error that a row is placed by."""
    known = [row.get(name) for name in ("top5_test", "top5_val") if row.get(name) is not None]
    if known:
        return known[0]
    low, high = row.get("top5_low"), row.get("top5_high")
    return None if low is None or high is None else (low + high) / 2


def _rank(row: Mapping[str, Any]) -> tuple[bool, float]:
    error = _error(row)
    if error is not None:
        return False, error
    return True, row["top1_val"] if row.get("top1_val") is not None else 100.0


_TABLES: dict[str, Callable[[Mapping[str, Metrics]], pa.Table]] = {"ilsvrc": among_ilsvrc}
