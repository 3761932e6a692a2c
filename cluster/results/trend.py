"""How a metric developed: a table, and a picture with its interval as a band."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cluster.results.query import Query, Run, search
from cluster.results.tables import moment
from cluster.settings import Settings
from jobs.spec import SpecError, nearest
from vision.accumulator import Estimate


@dataclass(frozen=True)
class Point:
    """A metric of one run. `series` is the value of the field that runs are told apart by, or empty."""

    run: Run
    metric: str
    series: str
    estimate: Estimate


def points(query: Query, by: str | None = None, where: Settings | None = None) -> list[Point]:
    """The metrics of the finished runs of a query, oldest first.

    Raises:
        SpecError: if no run has one of them, or none has the field `by`.
    """
    found = search(replace(query, where=(*query.where, ("status", "finished"))), where)
    if by is not None and found and not any(by in run.fields for run in found):
        raise SpecError(f"by: no run has {by!r}{nearest(by, sorted({n for run in found for n in run.fields}))}")
    made = [
        Point(run, name, run.fields.get(by, "") if by else "", run.metrics[name])
        for name in query.metrics or ()
        for run in reversed(found)
        if name in run.metrics
    ]
    if not made:
        raise SpecError(f"metric: none of {len(found)} finished runs has {' or '.join(query.metrics or ())}")
    return made


def draw(series: Sequence[Point], path: Path) -> None:
    """Write a PNG: one panel a metric, one line a series, with bands for the 95 % intervals."""
    import matplotlib.dates
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    dates: Any = matplotlib.dates  # its types are incomplete
    metrics = list(dict.fromkeys(point.metric for point in series))
    figure = Figure(figsize=(9, 3.2 * len(metrics) + 0.4), layout="constrained", dpi=130)
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(metrics), 1, sharex=True, squeeze=False)[:, 0]
    for panel, metric in zip(panels, metrics, strict=True):
        _panel(panel, metric, [point for point in series if point.metric == metric])
    locator: Any = dates.AutoDateLocator()
    panels[-1].xaxis.set_major_locator(locator)
    panels[-1].xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
    figure.savefig(path)


def _panel(axes: Any, metric: str, series: Sequence[Point]) -> None:
    names = list(dict.fromkeys(point.series for point in series))
    for name in names:
        line = [point for point in series if point.series == name]
        times = [moment(point.run.started_ms) for point in line]
        low, high = ([_bound(point, side) for point in line] for side in ("low", "high"))
        drawn = axes.plot(times, [p.estimate.value for p in line], marker="o", ms=4, label=name or None)
        axes.fill_between(times, low, high, alpha=0.18, color=drawn[0].get_color(), linewidth=0)
    axes.set_ylabel(metric)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if names != [""]:
        axes.legend(frameon=False, fontsize="small")


def _bound(point: Point, side: str) -> float:
    """An end of the interval; the value itself where there is none."""
    end: float = getattr(point.estimate, side)
    return end if math.isfinite(end) else point.estimate.value
