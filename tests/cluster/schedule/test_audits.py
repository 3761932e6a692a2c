"""Nights of audits: disparities and shares judged against an earlier night, and how they developed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
import yaml

from cluster.results.query import Query
from cluster.results.trend import as_text, points
from cluster.schedule.clock import Clock
from cluster.schedule.night import Night
from cluster.schedule.reading import read
from cluster.schedule.tick import tick
from jobs.spec import SpecError
from tests.audited import rows
from tests.cluster.schedule.nightly import entries, here, runs, write
from tests.cluster.schedule.test_gates import champion
from tests.cluster.test_cli import safelight
from tests.cluster.toys import quiet

NIGHT = datetime(2026, 6, 5, 0, 30, 10, tzinfo=UTC)
DAY = timedelta(days=1)
GATE = {"metric": "top1.difference", "margin": 0.05, "by": ["tone", "gender"], "order": 2}


def faces(path: Path, gap: float, seed: int, n: int = 4000) -> str:
    """Answers to faces, with a gap of a night's own for dark women."""
    pacsv.write_csv(rows(n, seed, gap), path)
    return str(path)


def auditing(table: str, **words: Any) -> dict[str, Any]:
    """An entry at 02:30 in Berlin that audits a table."""
    job = {
        "table": table, "columns": ["truth=truth_", "prediction=said"], "by": ["tone", "gender"], "order": 2,
        "workers": 0, "annotated_by": "two of us",
    }  # fmt: skip
    return {"name": "who", "at": "30 2 * * *", "zone": "Europe/Berlin", "audit": job, **words}


def night(place: Path, day: int, gap: float, **words: Any) -> Night:
    """One night's audit of rows of its own."""
    table = faces(place / "faces.csv", gap, seed=day)
    found = entries(place, auditing(table, **{"against": "latest", "gates": [GATE], **words}))
    (done,) = tick(found, here(place), Clock(NIGHT + day * DAY), quiet)
    return done


def test_a_gap_that_opens_fails_its_night_and_the_trend_shows_it(nights_place: Path) -> None:
    first, second, third = (night(nights_place, day, gap) for day, gap in enumerate((0.02, 0.02, 0.3)))
    assert (first.verdict, first.note) == (None, "against latest: there is no night to compare with yet")
    assert second.verdict in ("pass", "undecided")
    assert (third.verdict, third.code) == ("fail", 3)
    assert third.against == (second if second.verdict == "pass" else first).runs[0]
    (run,) = runs(nights_place, night="who@2026-06-07")
    folder = nights_place / "mlruns" / run.run_id / "artifacts"
    found = pq.read_table(folder / "tables" / "gates.parquet").to_pylist()
    failed = next(row for row in found if row["verdict"] == "fail")
    assert failed["group"] == "between=tone x gender"
    assert failed["difference"] == pytest.approx(0.28, abs=0.08)
    assert "top1.difference rose by" in failed["sentence"]
    assert "between groups of tone x gender" in failed["sentence"]
    assert failed["cause"] == "data"
    assert "# Data card" in (folder / "card.md").read_text()
    assert "Groups ranked" in (folder / "report.html").read_text()
    series = points(Query(job="audit", metrics=("top1.difference.tone.gender",)), where=here(nights_place))
    values = [point.estimate.value for point in series]
    assert len(values) == 3
    assert max(values[:2]) < 0.15
    assert values[2] > 0.25
    assert as_text(series, None).splitlines()[-1].endswith("fail; table changed")


def test_tick_and_trend_by_their_commands(nights_place: Path) -> None:
    gates = [{"metric": "share.entropy", "margin": 0.02, "by": ["tone"]}, {"metric": "top1", "margin": 0.02}]
    for day, light in enumerate((2000, 200)):
        table = rows(3000, 7 + day)
        kept = [n for n, tone in enumerate(table["tone"].to_pylist()) if tone != "dark" or n < light]
        pacsv.write_csv(table.take(kept), nights_place / "faces.csv")
        entry = auditing(str(nights_place / "faces.csv"), against="latest", gates=gates)
        if not day:
            tick(entries(nights_place, entry), here(nights_place), Clock(NIGHT), quiet)
    write(nights_place, entry)
    done = safelight("schedule", "tick", "--now", (NIGHT + DAY).isoformat(), "--format", "json")
    assert done.returncode == 3, done.stderr
    (told,) = json.loads(done.stdout)["nights"]
    verdicts = {row["metric"]: row["verdict"] for row in told["findings"]}
    assert verdicts["share.entropy"] == "fail"
    shown = safelight("results", "trend", "--metric", "share.entropy.tone", "--format", "json")
    assert shown.returncode == 0, shown.stderr
    values = [point["value"] for point in json.loads(shown.stdout)["points"]]
    assert len(values) == 2
    assert values[1] < values[0] - 0.05


def test_gates_and_champion_of_an_audit_may_be_defaults(nights_place: Path) -> None:
    for day, gap in enumerate((0.02, 0.3)):
        entry = auditing(faces(nights_place / "faces.csv", gap, seed=day))
        plan = {"defaults": {"against": "latest", "gates": [GATE]}, "entries": [entry]}
        (nights_place / "nightly.yaml").write_text(yaml.safe_dump(plan))
        if not day:
            tick(read(nights_place / "nightly.yaml"), here(nights_place), Clock(NIGHT), quiet)
    done = safelight("schedule", "tick", "--now", (NIGHT + DAY).isoformat(), "--format", "json")
    assert done.returncode == 3, done.stderr
    (told,) = json.loads(done.stdout)["nights"]
    assert told["verdict"] == "fail"
    assert {row["metric"] for row in told["findings"]} == {GATE["metric"]}


def test_each_group_is_judged_by_its_own_rate(nights_place: Path) -> None:
    gates = [{"metric": "top1", "margin": 0.05, "by": ["tone", "gender"], "order": 2}]
    night(nights_place, 0, 0.0, gates=gates)
    worse = night(nights_place, 1, 0.4, gates=gates)
    (candidate,) = worse.candidates
    assert candidate.judgement is not None
    verdicts = {one.where: one.verdict for one in candidate.judgement.findings}
    assert verdicts["tone=dark, gender=female"] == "fail"
    assert verdicts["tone=light, gender=male"] != "fail"
    assert "" in verdicts


def test_the_same_rows_again_are_nothing_to_compare(nights_place: Path) -> None:
    words = {"against": "latest", "gates": [GATE]}
    found = entries(nights_place, auditing(faces(nights_place / "faces.csv", 0.0, 1), **words))
    tick(found, here(nights_place), Clock(NIGHT), quiet)
    (again,) = tick(found, here(nights_place), Clock(NIGHT + DAY), quiet)
    assert (again.status, again.verdict) == ("done", None)
    assert "the same rows" in again.note


def test_wrong_figures_fail_the_night_with_one_line(nights_place: Path) -> None:
    night(nights_place, 0, 0.0)
    for day, (words, message) in enumerate(
        [
            ({"gates": [{"metric": "top1.diffrence"}]}, "gates: metric 'top1.diffrence' has no better end"),
            ({"gates": [{"metric": "tpr.difference", "by": ["tone"]}]}, "gates: tpr.difference by tone is in neither"),
            ({"gates": [{"metric": "selected"}]}, "metric 'selected' has no better end that is known"),
            ({"against": "models:/a@b"}, "an audit is compared with `latest` or a run's id, got 'models:/a@b'"),
        ],
        1,
    ):
        failed = night(nights_place, day, 0.0, **words)
        assert failed.status == "failed"
        assert message in failed.note


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"promote": "champion", "against": "latest", "gates": [GATE]}, "promote does not go with the job audit"),
        (
            {"against": "latest", "gates": [{**GATE, "kind": "drift"}]},
            "kind does not go with the gates of the job audit",
        ),
        ({"models": ["nets.resnet:resnet20"]}, "models does not go with the job audit"),
    ],
)
def test_what_an_audit_cannot_have_is_refused(nights_place: Path, words: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        entries(nights_place, auditing("faces.csv", **words))


def test_an_audit_is_not_compared_with_another_job(nights_place: Path) -> None:
    against = champion(nights_place)
    failed = night(nights_place, 0, 0.0, against=against)
    assert (failed.status, failed.code) == ("failed", 1)
    assert "is one of evaluate, and an audit is compared with an audit" in failed.note
