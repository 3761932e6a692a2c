"""Nights on this machine: each once, chained, missed, overlapping, stopped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cluster.schedule.clock import Clock
from cluster.schedule.ledger import Ledger
from cluster.schedule.tick import again, code, tick
from cluster.tracking import tracked
from tests.cluster.schedule.nightly import answers, entries, here, runs, scoring, slow, write
from tests.cluster.test_cli import safelight
from tests.cluster.toys import Toy, quiet
from tests.making import CorpusMaker, rows_of

NIGHT = datetime(2026, 6, 5, 0, 30, 10, tzinfo=UTC)
"""Ten seconds past 02:30 in Berlin."""
DAY = timedelta(days=1)


def test_a_night_runs_once_and_is_found_by_its_name(nights_place: Path) -> None:
    found = entries(nights_place, scoring(answers(nights_place / "a.csv", 0.1)))
    (night,) = tick(found, here(nights_place), Clock(NIGHT), quiet)
    assert (night.key, night.status, night.code) == ("faces@2026-06-05", "done", 0)
    assert tick(found, here(nights_place), Clock(NIGHT + timedelta(minutes=5)), quiet) == []
    (run,) = runs(nights_place, night="faces@2026-06-05")
    assert (run.run_id, run.status, run.job) == (night.runs[0], "FINISHED", "evaluate")
    assert run.metrics["top1"].n == 3000
    (second,) = tick(found, here(nights_place), Clock(NIGHT + DAY), quiet)
    assert second.key == "faces@2026-06-06"
    assert len(runs(nights_place)) == 2


def test_a_lost_ledger_does_not_double_a_night(nights_place: Path) -> None:
    found = entries(nights_place, scoring(answers(nights_place / "a.csv", 0.1)))
    tick(found, here(nights_place), Clock(NIGHT), quiet)
    ledger = here(nights_place).state / "nights" / "nights.json"
    ledger.write_text("{torn")
    assert tick(found, here(nights_place), Clock(NIGHT + timedelta(minutes=1)), quiet) == []
    ledger.write_text(json.dumps({"faces": {"since": (NIGHT - DAY).isoformat(), "runs": []}}))
    (night,) = tick(found, here(nights_place), Clock(NIGHT + timedelta(minutes=1)), quiet)
    assert night.status == "elsewhere"
    assert len(runs(nights_place)) == 1


def test_two_schedulers_at_once_run_a_night_once(nights_place: Path) -> None:
    write(nights_place, scoring(answers(nights_place / "a.csv", 0.1)))
    words = [sys.executable, "-m", "cluster.cli", "schedule", "tick", "--format", "json", "--now", NIGHT.isoformat()]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    both = [subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, cwd=nights_place) for _ in range(2)]
    told = [json.loads(one.communicate(timeout=120)[0]) for one in both]
    assert [one.returncode for one in both] == [0, 0]
    assert len(runs(nights_place, night="faces@2026-06-05")) == 1
    assert [night["status"] for one in told for night in one["nights"]].count("done") == 1


def test_missed_nights_are_named_and_the_last_is_caught_up(nights_place: Path) -> None:
    found = entries(nights_place, scoring(answers(nights_place / "a.csv", 0.1)))
    tick(found, here(nights_place), Clock(NIGHT), quiet)
    said: list[str] = []
    (night,) = tick(found, here(nights_place), Clock(NIGHT + 3 * DAY + timedelta(hours=5)), said.append)
    assert (night.key, night.status) == ("faces@2026-06-08", "done")
    assert said[:2] == ["faces@2026-06-08: evaluate begins, late", "faces: missed 2026-06-06, 2026-06-07"]
    missed = [run.tags["safelight.night"] for run in runs(nights_place, job="night")]
    assert sorted(missed) == ["faces@2026-06-06", "faces@2026-06-07"]
    assert {run.fact("skipped") for run in runs(nights_place, job="night")} == {"missed: no scheduler ran"}


def test_a_chain_runs_in_order_and_stops_behind_a_failure(nights_place: Path) -> None:
    table = answers(nights_place / "a.csv", 0.1)
    third = scoring(table, name="third", at=None, after="second")
    second = scoring(table, name="second", at=None, after="faces")
    found = entries(nights_place, third, second, scoring(table))
    nights = tick(found, here(nights_place), Clock(NIGHT), quiet)
    assert [(night.key, night.status) for night in nights] == [
        ("faces@2026-06-05", "done"), ("second@2026-06-05", "done"), ("third@2026-06-05", "done"),
    ]  # fmt: skip
    broken = entries(nights_place, third, scoring("gone.csv", name="second", at=None, after="faces"), scoring(table))
    nights = tick(broken, here(nights_place), Clock(NIGHT + DAY), quiet)
    assert [night.status for night in nights] == ["done", "failed", "skipped"]
    assert nights[2].note == "after second, which was failed"
    assert code(nights) == 1
    (run,) = runs(nights_place, night="third@2026-06-06")
    assert run.fact("skipped") == "after second, which was failed"


def test_a_failed_night_says_why_in_mlflow_and_is_run_again_only_by_hand(nights_place: Path) -> None:
    found = entries(nights_place, scoring(str(nights_place / "late.csv")))
    (night,) = tick(found, here(nights_place), Clock(NIGHT), quiet)
    assert (night.status, night.code) == ("failed", 1)
    assert "late.csv" in night.note
    (run,) = runs(nights_place, night="faces@2026-06-05")
    assert "late.csv" in (run.fact("error") or "")
    assert run.status == "FAILED"
    answers(nights_place / "late.csv", 0.1)
    assert tick(found, here(nights_place), Clock(NIGHT + timedelta(minutes=5)), quiet) == []
    assert again(found, "faces", night.day, here(nights_place), Clock(NIGHT), quiet).status == "done"
    assert again(found, "faces", night.day, here(nights_place), Clock(NIGHT), quiet).status == "elsewhere"


@pytest.mark.parametrize("overlap", ["skip", "queue", "replace"])
def test_a_night_that_meets_the_one_before(nights_place: Path, overlap: str) -> None:
    """The night before is held by somebody else; for `queue` and `replace` it ends while we wait."""
    found = entries(nights_place, scoring(answers(nights_place / "a.csv", 0.1), overlap=overlap))
    ledger = Ledger(here(nights_place).state)
    before = NIGHT - DAY - timedelta(seconds=10)
    ledger.change("faces", since=before - DAY, at=before, day=before.date(), status="running")
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with ledger.hold("faces") as free:
            assert free
            held.set()
            over.wait(3 if overlap != "skip" else 60)
            ledger.change("faces", since=before, ended=NIGHT, status="stopped")

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    started = time.monotonic()
    (night,) = tick(found, here(nights_place), Clock(NIGHT), quiet)
    if overlap == "skip":
        assert (night.status, night.note) == ("skipped", "the night of 2026-06-04 still runs")
        assert ledger.record("faces").day == before.date(), "the record is the running night's"
    else:
        assert night.status == "done"
        assert time.monotonic() - started >= 1.5
    over.set()
    holder.join()


def test_a_night_that_was_still_at_work_lets_the_next_be_skipped_though_one_process_runs_both(
    nights_place: Path,
) -> None:
    found = entries(nights_place, scoring(answers(nights_place / "a.csv", 0.1)))
    at = NIGHT - timedelta(seconds=10)
    Ledger(here(nights_place).state).change(
        "faces", since=at - DAY, at=at - DAY, day=(at - DAY).date(), ended=at + timedelta(seconds=5), status="done"
    )
    (night,) = tick(found, here(nights_place), Clock(NIGHT), quiet)
    assert (night.status, night.note) == ("skipped", "the night of 2026-06-04 still ran then")


@pytest.mark.parametrize("before", [NIGHT - DAY, None])
def test_a_night_whose_scheduler_died_is_due_again(nights_place: Path, before: datetime | None) -> None:
    """Also where that was the entry's first night, and a run was left behind."""
    found = entries(nights_place, scoring(answers(nights_place / "a.csv", 0.1)))
    at = NIGHT - timedelta(seconds=10)
    with pytest.raises(KeyboardInterrupt):
        tracked(Toy(ends="interrupted"), quiet, quiet, here(nights_place), {"safelight.night": "faces@2026-06-05"})
    Ledger(here(nights_place).state).change("faces", since=before, at=at, day=at.date(), status="running")
    (night,) = tick(found, here(nights_place), Clock(NIGHT), quiet)
    assert night.status == "done"


def test_past_its_hour_a_night_does_not_begin(nights_place: Path) -> None:
    found = entries(nights_place, scoring(answers(nights_place / "a.csv", 0.1), finish_by="06:00"))
    tick(found, here(nights_place), Clock(NIGHT), quiet)
    (night,) = tick(found, here(nights_place), Clock(NIGHT + DAY + timedelta(hours=4)), quiet)
    assert (night.status, night.note) == ("skipped", "it is past 06:00 (finish_by)")


class Jumping(Clock):
    """A moment before 02:31, until three shards are there: then it is 02:41."""

    def __init__(self, output: Path) -> None:
        super().__init__()
        self._output = output

    def now(self) -> datetime:
        moment = datetime(2026, 6, 5, 0, 30, 59, 800_000, tzinfo=UTC)
        return moment + timedelta(minutes=10 * (len(list(self._output.rglob("*.parquet"))) >= 3))


def test_a_night_is_stopped_at_its_hour_and_goes_on_from_there(nights_place: Path, make_corpus: CorpusMaker) -> None:
    corpus = make_corpus(rows_of(80), shard_rows=4)
    found = entries(nights_place, slow(nights_place, corpus, finish_by="02:31"))
    (night,) = tick(found, here(nights_place), Jumping(nights_place / "out"), quiet)
    assert (night.status, night.code) == ("stopped", 1)
    assert night.note == "stopped at 02:31 (finish_by); what is committed stays for the next time"
    (run,) = runs(nights_place, night="slow@2026-06-05")
    assert (run.status, run.fact("error")) == ("KILLED", night.note)
    committed = {path: path.stat().st_mtime_ns for path in (nights_place / "out" / "test").glob("*.parquet")}
    assert 0 < len(committed) < 20
    assert tick(found, here(nights_place), Clock(NIGHT + timedelta(minutes=2)), quiet) == []
    night = again(found, "slow", night.day, here(nights_place), Clock(NIGHT + timedelta(hours=9)), quiet)
    assert night.status == "done"
    assert len(list((nights_place / "out" / "test").glob("*.parquet"))) == 20
    assert all(path.stat().st_mtime_ns == changed for path, changed in committed.items()), "nothing was done twice"


def test_list_and_next_show_what_was_and_what_comes(nights_place: Path) -> None:
    table = answers(nights_place / "a.csv", 0.1)
    write(nights_place, scoring(table), scoring(table, name="audit", at=None, after="faces"))
    done = safelight("schedule", "tick", "--now", NIGHT.isoformat())
    assert (done.returncode, done.stdout) == (0, "faces@2026-06-05: done\naudit@2026-06-05: done\n")
    rows = json.loads(safelight("schedule", "list", "--format", "json").stdout)["entries"]
    assert [(row["name"], row["last"], row["status"]) for row in rows] == [
        ("faces", "2026-06-05", "done"), ("audit", "2026-06-05", "done"),
    ]  # fmt: skip
    assert "30 2 * * * Europe/Berlin" in safelight("schedule", "list").stdout
    words = ("schedule", "next", "--days", "2", "--now", "2026-03-28T12:00:00+01:00")
    nights = json.loads(safelight(*words, "--format", "json").stdout)["nights"]
    assert [night["night"] for night in nights] == [
        "faces@2026-03-29", "audit@2026-03-29", "faces@2026-03-30", "audit@2026-03-30",
    ]  # fmt: skip
    assert nights[0]["at"] == "2026-03-29T03:00:00+02:00"
    assert safelight("schedule", "tick", "--entry", "audit").returncode == 2
    assert "did you mean faces" in safelight("schedule", "tick", "--entry", "fasces").stderr
    assert safelight("schedule", "tick", "--now", "yesterday").returncode == 2
