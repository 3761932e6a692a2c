"""A trend as a picture: lines with bands, verdicts by shape and colour, changes as dashed lines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster.results.tables import moment

if TYPE_CHECKING:
    from cluster.results.trend import Point

VERDICTS = {"pass": ("o", "#009e73"), "undecided": ("D", "#e69f00"), "fail": ("X", "#d55e00")}
"""Marker and colour; told apart by shape too, and with colours that the colour-blind see as different."""

_NAMED = 12  # changes of a panel that have their names beside them; more would lie on each other


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
    colours = {name: _line(axes, [p for p in series if p.series == name], name) for name in names}
    _verdicts(axes, series)
    _changes(axes, series, colours if len(names) > 1 else {})
    axes.set_ylabel(metric)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))


def _line(axes: Any, line: Sequence[Point], name: str) -> str:
    """One series and its band; returns its colour."""
    times = [moment(point.run.started_ms) for point in line]
    low, high = ([_bound(point, side) for point in line] for side in ("low", "high"))
    (drawn,) = axes.plot(times, [p.estimate.value for p in line], marker="o", ms=4, label=name or None)
    colour: str = drawn.get_color()
    axes.fill_between(times, low, high, alpha=0.18, color=colour, linewidth=0)
    return colour


def _verdicts(axes: Any, series: Sequence[Point]) -> None:
    """What the gates said, over the points they said it of."""
    for verdict, (marker, colour) in VERDICTS.items():
        judged = [point for point in series if point.verdict == verdict]
        if judged:
            times, values = [moment(p.run.started_ms) for p in judged], [p.estimate.value for p in judged]
            axes.scatter(
                times, values, s=80, marker=marker, color=colour, edgecolors="white", linewidths=0.6, zorder=3,
                label=f"gate: {verdict}",
            )  # fmt: skip


def _changes(axes: Any, series: Sequence[Point], colours: dict[str, str]) -> None:
    """A dashed line where something is another than before, named where there is room; of several series, coloured."""
    changed = [point for point in series if point.changed]
    for point in changed:
        time, colour = moment(point.run.started_ms), colours.get(point.series, "#555555")
        axes.axvline(time, linestyle="--", linewidth=0.9, color=colour, alpha=0.7, zorder=1)
        if len(changed) <= _NAMED:
            # Above the panel, where no line runs through it.
            axes.annotate(
                f"{', '.join(point.changed)} changed", (time, 1.01), xycoords=("data", "axes fraction"), rotation=30,
                ha="left", va="bottom", fontsize=7, color=colour,
            )  # fmt: skip


def _bound(point: Point, side: str) -> float:
    """An end of the interval; the value itself where there is none."""
    end: float = getattr(point.estimate, side)
    return end if math.isfinite(end) else point.estimate.value
