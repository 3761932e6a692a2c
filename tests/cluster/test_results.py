"""Results are found again: by job, field, time and id; as text, JSON, SQL and pictures."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest
from mlflow.tracking import MlflowClient

from cluster.results import clean as cleaning
from cluster.results import open as opening
from cluster.results import predictions, runs, trend
from cluster.results.local import LocalStore
from cluster.results.query import Query, find_run, search, since_ms
from cluster.results.remote import RemoteStore
from cluster.results.sql import select
from cluster.settings import Settings, from_environment
from cluster.tracking import tracked
from jobs.evaluate import Evaluate
from jobs.spec import JobFailed, SpecError
from tests.cluster.calling import called, help_of
from tests.cluster.toys import Toy, quiet
from tests.making import CorpusMaker, rows_of


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Six runs: four good ones of two models, then a failed and a killed one."""
    there = from_environment({}, tmp_path_factory.mktemp("results"))
    for top1, model in ((0.5, "a"), (0.6, "b"), (0.55, "a"), (0.7, "it's")):
        tracked(Toy(top1=top1, model=model, by=("sex",)), quiet, quiet, there)
        time.sleep(0.002)  # runs are ordered by milliseconds
    for ends, error in (("failed", JobFailed), ("interrupted", KeyboardInterrupt)):
        with pytest.raises(error):
            tracked(Toy(ends=ends, model="a"), quiet, quiet, there)
        time.sleep(0.002)
    return there


def test_runs_come_newest_first_with_what_was_asked_for(there: Settings) -> None:
    found = search(Query("toy", (("model", "a"), ("status", "finished")), metrics=("top1",)))
    assert [run.metrics["top1"].value for run in found] == [0.55, 0.5]
    assert found[0].metrics["top1"].n == 30
    assert set(found[0].metrics) == {"top1"}, "only what was asked for is loaded"
    assert found[0].output == "data/toys/out"
    assert search(Query("toy", (("by", "sex"),), limit=3))[0].metrics == {}
    assert len(search(Query("toy", limit=3))) == 3
    assert search(Query("other")) == []


def test_the_file_and_the_client_say_the_same(there: Settings) -> None:
    assert there.database is not None
    local, remote = LocalStore.open(there.database, there.experiment), RemoteStore(there)
    assert local is not None
    queries: list[Query] = [
        Query(metrics=None),
        Query("toy", metrics=("top1", "loss")),
        Query(where=(("model", "it's"),)),
        Query(where=(("model_digest", "ab" * 32), ("status", "finished"))),
        Query(where=(("error", "could not work on"),)),
        Query(since_ms=since_ms("1h")),
        Query(since_ms=since_ms("2h", datetime.fromtimestamp(time.time() + 86_400, UTC))),
    ]
    for query in queries:
        terms = [*_terms(local, query)]
        for page in (2, 100):
            ours = list(local.runs(terms, query.metrics, page))
            assert ours == list(remote.runs(_terms(remote, query), query.metrics, page)), query
    assert len(list(local.runs([], None, 100))) == 6
    assert local.fields() == remote.fields()


def _terms(store: Any, query: Query) -> list[Any]:
    from cluster.results.query import Term, placed

    terms = [] if query.job is None else [Term("tag", "safelight.job", query.job)]
    terms += [placed(store, key, value) for key, value in query.where]
    return terms + ([] if query.since_ms is None else [Term("attribute", "started", str(query.since_ms))])


def test_a_run_is_found_by_the_beginning_of_its_id(there: Settings) -> None:
    newest = search(Query())[0]
    assert find_run("latest").run_id == newest.run_id
    assert find_run(newest.run_id).run_id == newest.run_id
    assert find_run(newest.run_id[:12]).run_id == newest.run_id
    for reference, message in (("0" * 32, "no run begins"), ("xyz", "is not the id"), ("", "is not the id")):
        with pytest.raises(SpecError, match=message):
            find_run(reference)


def test_an_ambiguous_beginning_names_the_runs(tmp_path: Path) -> None:
    there = from_environment({}, tmp_path)
    tracked(Toy(), quiet, quiet, there)
    client = MlflowClient(there.tracking_uri)
    experiment = client.get_experiment_by_name("safelight")
    assert experiment is not None
    # Of seventeen ids two begin with the same of sixteen digits.
    ids = [client.create_run(experiment.experiment_id).info.run_id for _ in range(17)]
    firsts = [id_[0] for id_ in ids]
    twice = next(letter for letter in firsts if firsts.count(letter) > 1)
    with pytest.raises(SpecError, match="several runs begin with"):
        find_run(twice)


def test_an_empty_place_has_no_runs_and_makes_no_database(tmp_path: Path) -> None:
    assert called().output == "no runs\n"
    assert json.loads(called("evaluate", "--where", "corpus=x", "--format", "json").output) == {
        "runs": [],
        "more": False,
        "after": None,
    }
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("14d", datetime(2026, 1, 17, 12, tzinfo=UTC)),
        ("90m", datetime(2026, 1, 31, 10, 30, tzinfo=UTC)),
        ("2026-01-01", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-01-01T10:00+02:00", datetime(2026, 1, 1, 8, tzinfo=UTC)),
    ],
)
def test_since_is_a_span_or_a_date(text: str, expected: datetime) -> None:
    now = datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert since_ms(text, now) == expected.timestamp() * 1000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tend", "--metric", "top1"], "did you mean trend"),
        (["evalute"], "did you mean evaluate"),
        (["toy", "--where", "modle=a"], "no run has 'modle'; did you mean model"),
        (["toy", "--where", "model"], "expected field=value"),
        (["toy", "--since", "soon"], "expected 14d"),
        (["trend", "toy"], "needs --metric"),
        (["trend", "toy", "--metric", "top2"], "none of 4 finished runs has top2"),
        (["trend", "toy", "--metric", "top1", "--by", "modle"], "did you mean model"),
        (["open", "zzz"], "is not the id"),
        (["sql", "DROP TABLE runs"], "expected one SELECT, got DROP"),
        (["sql", "SELECT 1; SELECT 2"], "expected one SELECT"),
        (["sql", "SELECT nothing FROM runs"], "nothing"),
        (["sql", "SELECT * FROM read_csv('/etc/passwd')"], "disabled"),
        (["sql", "SELECT * FROM predictions"], "0 runs have predictions"),
    ],
)
def test_wrong_words_are_one_clear_line(there: Settings, words: list[str], message: str) -> None:
    error = called(*words).exception
    assert isinstance(error, SpecError), error
    assert message in str(error)
    assert "\n" not in str(error)


def test_a_wrong_option_is_a_usage_error(there: Settings) -> None:
    assert isinstance(called("toy", "--metrc", "top1").exception, click.UsageError)


def test_the_listing_is_a_table_or_one_document(there: Settings) -> None:
    text = called("toy", "--metric", "top1", "--limit", "4").stdout.splitlines()
    assert text[0].split() == ["run", "started", "status", "model", "by", "ends", "top1"]
    assert text[3].split()[-2:] == ["0.7000", "(0.6000-0.8000)"]
    assert len(text) == 5
    found = called("toy", "--metric", "top1", "--format", "json", "--limit", "3")
    document = json.loads(found.stdout)
    assert document["more"] is True
    assert document["runs"][2]["metrics"] == {"top1": {"value": 0.7, "low": 0.6, "high": pytest.approx(0.8), "n": 30}}
    assert document["runs"][2]["fields"]["model"] == "it's"
    assert [run["status"] for run in document["runs"]] == ["KILLED", "FAILED", "FINISHED"]


def test_help_names_the_options_and_the_commands(there: Settings) -> None:
    text = called("--help").stdout
    for word in ("--where", "--metric", "--since", "compare", "trend", "night", "sql", "open", "push", "clean"):
        assert word in text


def test_nothing_heavy_is_imported_for_help() -> None:
    text, loaded = help_of("cluster.results.commands:results", "trend")
    assert "--metric" in text
    assert not loaded & {"mlflow", "duckdb", "matplotlib", "torch", "ray", "pandas"}


def test_a_trend_is_a_table_and_a_picture(there: Settings, tmp_path: Path) -> None:
    path = tmp_path / "t.png"
    found = called("trend", "toy", "--metric", "top1,loss", "--by", "model", "--output", str(path), "--format", "json")
    points = json.loads(found.stdout)["points"]
    assert [p["value"] for p in points if p["metric"] == "top1"] == [0.5, 0.6, 0.55, 0.7], "oldest first"
    assert [p["by"] for p in points[:4]] == ["a", "b", "a", "it's"]
    assert points[0]["low"] == 0.4
    assert path.read_bytes().startswith(b"\x89PNG")
    small, large = tmp_path / "1.png", tmp_path / "2.png"
    series = trend.points(Query("toy", metrics=("top1",)))
    trend.draw(series, small)
    trend.draw(series[:1], large)
    assert small.read_bytes() != large.read_bytes()


def test_sql_sees_runs_and_metrics(there: Settings) -> None:
    table = select(
        "SELECT r.model, m.value, m.low, m.n FROM runs r JOIN metrics m USING (run_id) "
        "WHERE m.name = 'top1' AND r.status = 'FINISHED' ORDER BY r.started"
    )
    assert table.to_pylist()[1] == {"model": "b", "value": 0.6, "low": 0.5, "n": 30}
    assert table.num_rows == 4
    document = json.loads(called("sql", "SELECT count(*) AS n FROM runs", "--format", "json").stdout)
    assert document == {"columns": ["n"], "rows": [{"n": 6}]}
    assert called("sql", "SELECT max(started) - min(started) < INTERVAL 1 HOUR AS quick FROM runs").stdout.endswith(
        "True\n"
    )


def test_from_python_runs_are_an_arrow_table(there: Settings) -> None:
    table = runs("toy", where={"model": "a"}, since="1d")
    assert table.column_names[:6] == ["run_id", "job", "status", "started", "ended", "output"]
    assert table["status"].to_pylist() == ["KILLED", "FAILED", "FINISHED", "FINISHED"]
    assert table["error"].to_pylist()[1] == "could not work on"


def test_the_page_of_a_run_opens_where_it_lies(there: Settings) -> None:
    finished = search(Query(where=(("status", "finished"),)))[0]
    path = Path(called("open", finished.run_id[:10]).stdout.strip())
    assert path.read_text().startswith("<!doctype html>")
    with pytest.raises(JobFailed, match="has no page: it is failed, could not work"):
        opening.page(search(Query(where=(("status", "failed"),)))[0], there)


def test_cleaning_lists_first_and_deletes_when_asked(tmp_path: Path) -> None:
    there = from_environment({}, tmp_path)
    tracked(Toy(), quiet, quiet, there)
    with pytest.raises(JobFailed):
        tracked(Toy(ends="failed"), quiet, quiet, there)
    assert "nothing was deleted" in called("clean").stdout
    assert len(cleaning.find(there).runs) == 1
    assert "deleted 1 runs" in called("clean", "--yes").stdout
    assert called("clean").stdout == "nothing to clean\n"
    assert [run.status for run in search(Query())] == ["FINISHED"]


def test_predictions_are_joined_with_the_truth_and_the_groups(
    tmp_path: Path, make_corpus: CorpusMaker, small_model: str
) -> None:
    corpus = make_corpus([*rows_of(12), ("broken.jpg", b"nothing", 0)])
    job = Evaluate(corpus=corpus, model=small_model, by=("sex",), workers=0, max_errors=0.5)
    report, run_id = tracked(job, quiet, quiet, from_environment({}, tmp_path))
    assert run_id is not None
    table = predictions(run_id[:12])
    assert table.column_names[:5] == ["run_id", "id", "truth", "label", "score"]
    assert table.num_rows == 13
    right = select(
        f"SELECT avg((truth = label)::INT) AS top1, count(label) AS n FROM predictions WHERE run_id = '{run_id}'"
    )
    assert right.to_pylist() == [{"top1": pytest.approx(report.metrics["top1"].value), "n": 12}]
    by_sex = select(
        "SELECT sex, avg((truth = label)::INT) AS top1 FROM predictions GROUP BY sex ORDER BY sex", ["latest"]
    )
    expected = {by["sex"]: metrics["top1"].value for by, metrics in report.groups}
    assert {row["sex"]: pytest.approx(row["top1"]) for row in by_sex.to_pylist()} == expected
    assert select("SELECT id FROM predictions WHERE NOT answered")["id"].to_pylist() == ["broken.jpg"]
    assert "top_labels" in select("SELECT top_labels FROM predictions LIMIT 1").column_names
