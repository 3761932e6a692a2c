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

OWN = "own run"

_SCHEMA = pa.schema([
    ("place", pa.int32()), ("entry", pa.string()), ("year", pa.string()), ("layers", pa.int32()), ("nets", pa.string()),
    ("sides", pa.string()), ("top1_val", pa.float64()), ("top5_val", pa.float64()), ("top5_test", pa.float64()),
    ("top5_range", pa.string()), ("source", pa.string()),
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
    its middle), with those that tell none at the end, by top-1 error. `top5_range` is the 95 % interval of a run of
    one's own, or a claimed range; `sides` are shorter sides in training and at test.

    Args:
        own: `top1` and `top5` (shares of right answers) of each run, by its name.
    """
    rows = [_published(row) for row in ilsvrc_results()] + [_own(name, metrics) for name, metrics in own.items()]
    rows.sort(key=_rank)
    placed = [{**row, "place": place if row["error"] is not None else None} for place, row in enumerate(rows, 1)]
    return pa.Table.from_pylist(placed, _SCHEMA)


def _published(row: Reported) -> dict[str, Any]:
    error = row.top5_test or row.top5_val
    sides = [f"train {row.train_side}"] if row.train_side else []
    sides += [f"test {', '.join(map(str, row.test_sides))}"] if row.test_sides else []
    return {
        "error": None if error is None else sum(error) / 2,
        "entry": row.entry,
        "year": None if row.year is None else str(row.year),
        "layers": row.layers,
        "nets": row.nets or None,
        "sides": "; ".join(sides) or None,
        "top1_val": _single(row.top1_val),
        "top5_val": _single(row.top5_val),
        "top5_test": _single(row.top5_test),
        "top5_range": f"{error[0]:g} .. {error[1]:g}" if error and error[0] != error[1] else None,
        "source": row.source,
    }


def _own(name: str, metrics: Metrics) -> dict[str, Any]:
    top1, top5 = metrics.get("top1"), metrics.get("top5")
    error = None if top5 is None else _percent(top5.value)
    images = max((one.n for one in (top1, top5) if one is not None), default=0)
    return {
        "error": error,
        "entry": name,
        "top1_val": None if top1 is None else _percent(top1.value),
        "top5_val": error,
        "top5_range": None if error is None or top5 is None else f"{_wrong(top5.high)} .. {_wrong(top5.low)}",
        "source": f"{OWN}, {images:,} images",
    }


def _percent(right: float) -> float | None:
    """The error of a share of right answers; None where it is not known."""
    return round(100 * (1 - right), 10) if math.isfinite(right) else None


def _wrong(right: float) -> str:
    return f"{100 * (1 - right):.2f}"


def _single(span: tuple[float, float] | None) -> float | None:
    return span[0] if span is not None and span[0] == span[1] else None


def _rank(row: Mapping[str, Any]) -> tuple[bool, float]:
    if row["error"] is not None:
        return False, row["error"]
    return True, row["top1_val"] if row["top1_val"] is not None else 100.0


_TABLES: dict[str, Callable[[Mapping[str, Metrics]], pa.Table]] = {"ilsvrc": among_ilsvrc}
