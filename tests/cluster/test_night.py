"""The morning's question: what did the night find? From what runs recorded, as a table, a document and a page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from cluster.results.night import document
from cluster.settings import Settings, from_environment
from cluster.tracking import tracked
from jobs.spec import JobFailed, SpecError
from tests.cluster.calling import called
from tests.cluster.judged import DATE, Judged, Night, Nightly
from tests.cluster.toys import quiet


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The night of five entries, and one the day before."""
    there = from_environment({}, tmp_path_factory.mktemp("night"))
    tracked(Judged(model="yesterday", night="nightly@2026-11-19", found="fail"), quiet, quiet, there)
    for model, found in (("good", "better"), ("same", "pass"), ("bad", "fail"), ("small", "undecided")):
        tracked(Judged(model=model, found=found), quiet, quiet, there)
    tracked(Judged(model="split", found="loses", night=f"faces@{DATE}"), quiet, quiet, there)
    tracked(Nightly(model="plain", night=f"plain@{DATE}"), quiet, quiet, there)
    tracked(Night(night=f"skipped@{DATE}", reason="the night before still ran"), quiet, quiet, there)
    with pytest.raises(JobFailed):
        tracked(Nightly(model="broken", ends="failed", text="x", night=f"broken@{DATE}"), quiet, quiet, there)
    client = MlflowClient(there.tracking_uri)
    failed = client.search_runs(["1"], "status = 'FAILED'")[0].info.run_id
    client.set_tag(failed, "safelight.night", f"broken@{DATE}")
    return there


def test_the_newest_night_stands_worst_first(there: Settings) -> None:
    night = document(None, there)
    assert night["date"] == DATE
    assert night["worst"] == "worse"
    assert night["counts"] == {
        "worse": 2, "not run": 2, "undecided": 1, "better": 3, "unchanged": 1, "no gate": 1,
    }  # fmt: skip
    seen = [(row["outcome"], row["model"], row["group"]) for row in night["findings"]]
    assert seen == [
        ("worse", "split", "sex=f"), ("worse", "bad", ""), ("not run", "broken", None), ("not run", None, None),
        ("undecided", "small", ""), ("better", "split", ""), ("better", "good", ""), ("better", "split", ""),
        ("unchanged", "same", ""), ("no gate", "plain", None),
    ]  # fmt: skip


def test_each_finding_has_its_cause_its_numbers_and_a_link(there: Settings) -> None:
    rows = document(DATE, there)["findings"]
    worst, undecided = rows[0], next(row for row in rows if row["outcome"] == "undecided")
    assert worst["entry"] == "faces"
    assert worst["against"] == "models:/shapes@champion"
    assert worst["cause"] == "model"
    assert worst["difference"] == {"value": -0.08, "low": pytest.approx(-0.088), "high": pytest.approx(-0.072)}
    assert worst["metric"] == "top1" and worst["margin"] == 0.01 and worst["n"] == 5000
    assert worst["sentence"].startswith("top1 fell by 0.080") and "among sex=f" in worst["sentence"]
    assert Path(worst["link"]).read_text().startswith("<!doctype html>")
    assert undecided["needed"] == 1234
    not_run = {row["entry"]: row["cause"] for row in rows if row["outcome"] == "not run"}
    assert not_run == {"broken": "could not work on x", "skipped": "the night before still ran"}


def test_a_loss_that_fell_is_better(there: Settings) -> None:
    row = next(row for row in document(DATE, there)["findings"] if row["metric"] == "cross_entropy")
    assert row["outcome"] == "better" and row["difference"]["value"] == pytest.approx(-0.2)


def test_the_command_prints_a_table_and_writes_a_page(there: Settings, tmp_path: Path) -> None:
    done = called("night", "--output", str(tmp_path / "n.html"))
    lines = done.stdout.splitlines()
    assert done.exception is None
    assert lines[0].startswith(f"night of {DATE}: 2 worse, 2 not run, 1 undecided")
    assert lines[2].split()[:4] == ["worse", "faces", "split", "sex=f"]
    assert lines[-1] == str(tmp_path / "n.html")
    page = (tmp_path / "n.html").read_text()
    assert page.index("Worse") < page.index("Not run") < page.index("Undecided") < page.index("Better")
    for word in ("1,234", "could not work on x", "sex=f", "file://", "against models:/shapes@champion"):
        assert word in page
    assert "<script" not in page


def test_json_is_the_document_and_nothing_else(there: Settings, tmp_path: Path) -> None:
    found = json.loads(called("night", DATE, "--format", "json", "--output", str(tmp_path / "n.html")).stdout)
    assert found == {**document(DATE, there), "page": str(tmp_path / "n.html")}
    assert json.dumps(found).count("NaN") == 0


def test_another_night_is_asked_for_by_its_date(there: Settings) -> None:
    (row,) = document("2026-11-19", there)["findings"]
    assert (row["model"], row["outcome"]) == ("yesterday", "worse")
    nothing = dict.fromkeys(document(DATE, there)["counts"], 0)
    empty = {"date": "2026-11-01", "worst": None, "counts": nothing, "findings": []}
    assert document("2026-11-01", there) == empty


@pytest.mark.parametrize("words", [("yesterday",), ("2026-02-31",)])
def test_a_wrong_date_is_one_line(there: Settings, words: tuple[str, ...]) -> None:
    error = called("night", *words).exception
    assert isinstance(error, SpecError) and "expected a date such as" in str(error)


def test_before_the_first_night_the_way_to_one_is_told(tmp_path: Path) -> None:
    error = called("night").exception
    assert isinstance(error, SpecError) and "schedule tick" in str(error)


def test_what_was_tried_again_counts_as_it_came_out_last(tmp_path: Path) -> None:
    there = from_environment({}, tmp_path)
    tracked(Night(reason="the server was away"), quiet, quiet, there)
    tracked(Judged(model="m", found="fail"), quiet, quiet, there)
    tracked(Judged(model="m", found="pass"), quiet, quiet, there)
    (row,) = document(DATE, there)["findings"]
    assert row["outcome"] == "unchanged"


def test_an_entry_that_always_ran_and_did_not_tonight_is_named(tmp_path: Path) -> None:
    there = from_environment({}, tmp_path)
    for date in ("2026-11-13", "2026-11-19"):
        tracked(Judged(model="m", night=f"daily@{date}"), quiet, quiet, there)
    tracked(Judged(model="m", night=f"monday@{DATE}"), quiet, quiet, there)
    rows: list[dict[str, Any]] = document(DATE, there)["findings"]
    (missing,) = [row for row in rows if row["outcome"] == "not run"]
    assert missing["entry"] == "daily"
    assert missing["cause"] == "there is no record of this night; it ran on 2026-11-19"


def test_a_lost_table_leaves_the_verdict(tmp_path: Path) -> None:
    there = from_environment({}, tmp_path)
    tracked(Judged(model="m", found="fail"), quiet, quiet, there)
    (table,) = (tmp_path / "mlruns").rglob("gates.parquet")
    table.unlink()
    (row,) = document(DATE, there)["findings"]
    assert row["outcome"] == "worse" and "cannot be read" in row["sentence"]
