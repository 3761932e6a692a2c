"""Nights with gates: verdicts in exit codes, in MLflow and in what is told; champions by run, model and last night."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from cluster.registry import fetch
from cluster.schedule.clock import Clock
from cluster.schedule.night import Night
from cluster.schedule.tick import code, tick
from cluster.tracking import tracked
from jobs.evaluate import Evaluate
from tests.cluster.schedule.nightly import answers, entries, here, runs, scoring, write
from tests.cluster.test_cli import safelight
from tests.cluster.toys import quiet
from tests.making import CorpusMaker, rows_of, train_small

NIGHT = datetime(2026, 6, 5, 0, 30, 10, tzinfo=UTC)
DAY = timedelta(days=1)
GATE = {"metric": "top1", "margin": 0.01}


def champion(folder: Path, wrong: float = 0.1) -> str:
    """A run of a table; its id."""
    columns = ("id=id", "truth=truth", "prediction=said")
    job = Evaluate(table=answers(folder / "champion.csv", wrong), columns=columns)
    run_id = tracked(job, quiet, quiet, here(folder))[1]
    assert run_id is not None
    return run_id


def keeper(folder: Path) -> list[str]:
    """A command that keeps what it is told."""
    source = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_bytes(sys.stdin.buffer.read())"
    return [sys.executable, "-c", source, str(folder / "told.json")]


@pytest.mark.parametrize(
    ("wrong", "seed", "verdict", "exit_code"), [(0.2, 0, "fail", 3), (0.05, 0, "pass", 0), (0.1, 1, "undecided", 4)]
)
def test_a_verdict_is_an_exit_code_a_tag_a_table_and_a_document(
    nights_place: Path, wrong: float, seed: int, verdict: str, exit_code: int
) -> None:
    """A planted loss of 10 points, a gain, and other mistakes to the same number."""
    against = champion(nights_place)
    table = answers(nights_place / "a.csv", wrong, seed)
    write(nights_place, scoring(table, against=against, gates=[GATE], notify=keeper(nights_place)))
    done = safelight("schedule", "tick", "--now", NIGHT.isoformat(), "--format", "json")
    assert done.returncode == exit_code, done.stderr
    (told,) = json.loads(done.stdout)["nights"]
    assert (told["night"], told["verdict"], told["against"]) == ("faces@2026-06-05", verdict, against)
    (run,) = runs(nights_place, night="faces@2026-06-05")
    assert (run.status, run.fact("verdict"), run.fact("against")) == ("FINISHED", verdict, against)
    found = pq.read_table(nights_place / "mlruns" / run.run_id / "artifacts" / "tables" / "gates.parquet").to_pylist()
    assert [row["verdict"] for row in found] == [verdict]
    assert json.loads((nights_place / "told.json").read_text()) == told
    (finding,) = told["findings"]
    assert (finding["run_id"], finding["metric"], finding["verdict"]) == (run.run_id, "top1", verdict)
    assert {"cause", "needed", "difference", "sentence"} <= finding.keys()
    assert (finding["needed"] or 0) > 0 or verdict != "undecided"
    listed = json.loads(safelight("schedule", "list", "--format", "json").stdout)["entries"]
    assert (listed[0]["verdict"], listed[0]["runs"]) == (verdict, [run.run_id])


def test_the_worst_night_decides_the_exit_code(nights_place: Path) -> None:
    against = champion(nights_place)
    worse = scoring(answers(nights_place / "w.csv", 0.2), name="worse", against=against, gates=[GATE])
    unclear = scoring(answers(nights_place / "u.csv", 0.1, 1), name="unclear", against=against, gates=[GATE])
    nights = tick(entries(nights_place, unclear, worse), here(nights_place), Clock(NIGHT), quiet)
    assert [night.verdict for night in nights] == ["undecided", "fail"]
    assert [code(nights), code(nights[:1]), code([])] == [3, 4, 0]
    assert code([*nights, Night("gone", nights[0].day, "failed")]) == 1


def test_latest_is_the_newest_night_that_passed(nights_place: Path) -> None:
    seen: list[tuple[str | None, str | None]] = []
    first = ""
    for number, wrong in enumerate((0.1, 0.3, 0.05)):
        # Each night has a table of its own: a table that was changed is no evidence of what it held.
        night_table = answers(nights_place / f"n{number}.csv", wrong)
        found = entries(nights_place, scoring(night_table, against="latest", gates=[GATE]))
        (night,) = tick(found, here(nights_place), Clock(NIGHT + number * DAY), quiet)
        first = first or night.runs[0]
        seen.append((night.verdict, night.against))
    assert seen == [(None, None), ("fail", first), ("pass", first)]


def test_a_champion_that_is_not_there_fails_the_night_and_not_the_tick(nights_place: Path) -> None:
    table = answers(nights_place / "a.csv", 0.1)
    lost = scoring(table, name="lost", against="0" * 32, gates=[GATE])
    nights = tick(entries(nights_place, lost, scoring(table)), here(nights_place), Clock(NIGHT), quiet)
    assert [(night.status, night.code) for night in nights] == [("failed", 1), ("done", 0)]
    assert nights[0].note == f"no run begins with {'0' * 32}"
    (run,) = runs(nights_place, job="night")
    assert run.fact("error") == nights[0].note


@pytest.fixture(scope="module")
def worse_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The small net before its training."""
    return train_small(tmp_path_factory.mktemp("models") / "worse", epochs=0)


def nightly_models(corpus: str, champion_model: str, **words: Any) -> dict[str, Any]:
    job = {"corpus": corpus, "workers": 0, "kernel": "torch"}
    gates = [{"metric": "top1", "margin": 0.05, "by": ["sex"], "min_group": 20}]
    return {"name": "shapes", "at": "30 2 * * *", "zone": "Europe/Berlin", "evaluate": job, "against": champion_model,
            "gates": gates, **words}  # fmt: skip


def test_a_champion_answers_in_the_same_pass_and_not_again_the_next_night(
    nights_place: Path, make_corpus: CorpusMaker, small_model: str, worse_model: str
) -> None:
    corpus = make_corpus(rows_of(120), shard_rows=40)
    found = entries(nights_place, nightly_models(corpus, small_model, models=[worse_model]))
    (night,) = tick(found, here(nights_place), Clock(NIGHT), quiet)
    assert (night.status, night.verdict, night.code) == ("done", "fail", 3), night.note
    assert len(night.candidates) == 1
    both = runs(nights_place, night="shapes@2026-06-05")
    roles = {run.fields["model"]: (run.fact("role"), run.fact("verdict")) for run in both}
    assert roles == {small_model: ("champion", None), worse_model: (None, "fail")}
    assert {tuple(f.group.items()) for c in night.candidates if c.judgement for f in c.judgement.findings} == {
        (), (("sex", "f"),), (("sex", "m"),),
    }  # fmt: skip
    (night,) = tick(found, here(nights_place), Clock(NIGHT + DAY), quiet)
    assert night.verdict == "fail"
    assert [run.fields["model"] for run in runs(nights_place, night="shapes@2026-06-06")] == [worse_model]


def test_the_champion_itself_is_not_judged(nights_place: Path, make_corpus: CorpusMaker, small_model: str) -> None:
    found = entries(nights_place, nightly_models(make_corpus(rows_of(30)), small_model, models=[small_model]))
    (night,) = tick(found, here(nights_place), Clock(NIGHT), quiet)
    assert (night.status, night.verdict, night.code) == ("done", None, 0)


def test_a_candidate_that_passes_gets_the_alias(
    nights_place: Path, make_corpus: CorpusMaker, small_model: str, worse_model: str
) -> None:
    entry = nightly_models(make_corpus(rows_of(120)), worse_model, models=[small_model], promote="shapes@champion")
    (night,) = tick(entries(nights_place, entry), here(nights_place), Clock(NIGHT), quiet)
    assert (night.verdict, night.promoted) == ("pass", "models:/shapes@champion")
    promoted = fetch("models:/shapes@champion", here(nights_place))
    assert promoted.digest == night.candidates[0].done.tags["model_digest"]
    # The next night the registry's own version passes and keeps the alias that it is given.
    entry = nightly_models(
        str(nights_place / "corpus"), worse_model, models=["models:/shapes/1"], promote="best", name="again"
    )
    (night,) = tick(entries(nights_place, entry), here(nights_place), Clock(NIGHT), quiet)
    assert night.promoted == "models:/shapes@best"
    assert fetch("models:/shapes@best", here(nights_place)).digest == promoted.digest


def test_no_planted_secret_is_printed_or_kept(nights_place: Path) -> None:
    against = champion(nights_place)
    entry = scoring(
        answers(nights_place / "a.csv", 0.2),
        against=against,
        gates=[GATE],
        notify="http://user:planted-one@127.0.0.1:9/planted-two/${HOOK}?token=planted-three",
    )
    path = write(nights_place, entry)
    environment = {"HOOK": "planted-four", "AWS_SECRET_ACCESS_KEY": "planted-five-of-s3"}
    tick_words = ("schedule", "tick", "--now", NIGHT.isoformat())
    printed = [
        safelight(*words, **environment)
        for words in (tick_words, ("schedule", "list"), ("schedule", "list", "--format", "json"))
    ]
    assert printed[0].returncode == 3
    assert "could not be told to 127.0.0.1" in printed[0].stderr
    assert not [word for done in printed for word in (done.stdout, done.stderr) if "planted-" in word]
    files = [file for file in nights_place.rglob("*") if file.is_file() and file != path]
    assert len(files) > 5
    assert not [file for file in files if b"planted-" in file.read_bytes()]
