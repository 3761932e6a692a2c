"""How a metric developed, what gates said to it, and where something was changed under it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cluster.document import estimates, to_json
from cluster.results.listing import aligned, csv_text, estimate_text, iso, local
from cluster.results.query import Query, Run, search
from cluster.results.trend_picture import draw
from cluster.settings import Settings
from jobs.spec import SpecError, nearest
from vision.accumulator import Estimate

__all__ = ["CHANGING", "Point", "as_csv", "as_json", "as_text", "draw", "points"]

CHANGING = {"model": "model_digest", "corpus": "corpus_digest", "table": "table_sha256", "code": "commit"}
"""What may be another than in the run before, and the fact that tells it."""


@dataclass(frozen=True)
class Point:
    """A metric of one run.

    `series` is the value of the field that runs are told apart by, or empty; `changed` are the keys of `CHANGING` that
    are others than in the run before of the same series.
    """

    run: Run
    metric: str
    series: str
    estimate: Estimate
    changed: tuple[str, ...] = ()

    @property
    def verdict(self) -> str | None:
        """What the run's gates came to: pass, fail or undecided; None if nothing was judged."""
        return self.run.fact("verdict")

    @property
    def mark(self) -> str:
        """Verdict and changes in words: `fail; model and code changed`."""
        changed = f"{' and '.join(self.changed)} changed" if self.changed else ""
        return "; ".join(filter(None, (self.verdict, changed)))


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
    return _with_changes(made)


def _with_changes(made: Sequence[Point]) -> list[Point]:
    """The points with what changed; a run that does not say which model or code it had changes nothing."""
    before: dict[tuple[str, str, str], str] = {}
    marked = []
    for point in made:
        changed = []
        for what, fact in CHANGING.items():
            key, now = (point.metric, point.series, what), point.run.fact(fact)
            if now is None:
                continue
            if before.setdefault(key, now) != now:
                changed.append(what)
            before[key] = now
        marked.append(replace(point, changed=tuple(changed)))
    return marked


def as_json(series: Sequence[Point], picture: Path) -> str:
    """One document: the points, and where the picture is."""
    rows = [{**_head(p), "verdict": p.verdict, "changed": list(p.changed)} | _numbers(p) for p in series]
    return to_json({"points": rows, "png": str(picture.resolve())})


def as_csv(series: Sequence[Point]) -> str:
    """A row a point."""
    rows = [{**_head(p), **_numbers(p), "mark": p.mark} for p in series]
    return csv_text(rows, list(rows[0]))


def as_text(series: Sequence[Point], by: str | None) -> str:
    """A line a point; the column `mark` stands where there is one."""
    marked = any(point.mark for point in series)
    head = ["started", "run", "metric", *([by] if by else []), "value", *(["mark"] if marked else [])]
    rest = [
        [local(p.run.started_ms), p.run.run_id[:8], p.metric, *([p.series] if by else []), estimate_text(p.estimate),
         *([p.mark] if marked else [])]
        for p in series
    ]  # fmt: skip
    return aligned([head, *rest])


def _head(point: Point) -> dict[str, object]:
    started = iso(point.run.started_ms)
    return {"run_id": point.run.run_id, "started": started, "metric": point.metric, "by": point.series}


def _numbers(point: Point) -> dict[str, object]:
    return dict(estimates({"": point.estimate})[""])
