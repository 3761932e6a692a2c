"""What gates found, where results are looked at: the change to the champion in the listing, marks in the trend."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from PIL import Image

from cluster.results.listing import as_csv
from cluster.results.open import artifact
from cluster.results.query import Query, Run, search
from cluster.results.trend import draw, points
from cluster.results.trend_picture import VERDICTS
from cluster.settings import Settings, from_environment
from cluster.tracking import tracked
from tests.cluster.calling import called
from tests.cluster.judged import Judged
from tests.cluster.toys import Toy, quiet

FACTS = {"model_digest": "m1", "corpus_digest": "c1", "commit": "k1"}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Five nights: as before, another model that fails, another corpus and code, undecided, and one not judged."""
    here = from_environment({}, tmp_path_factory.mktemp("nights"))
    for top1, found, changed in (
        (0.80, "pass", {}), (0.74, "fail", {"model_digest": "m2"}),
        (0.79, "better", {"model_digest": "m2", "corpus_digest": "c2", "commit": "k2"}),
        (0.78, "undecided", {"model_digest": "m2", "corpus_digest": "c2", "commit": "k2"}),
    ):  # fmt: skip
        tracked(Judged(model="m", top1=top1, found=found, facts={**FACTS, **changed}), quiet, quiet, here)
    tracked(Toy(model="m", top1=0.81), quiet, quiet, here)
    return here


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_the_listing_tells_the_change_to_the_champion(there: Settings) -> None:
    lines = called("--metric", "top1,loss").stdout.splitlines()
    assert lines[0].split()[-3:] == ["top1", "change", "loss"]
    assert "-0.0600 (-0.0680 to -0.0520)" in lines[4]
    assert [line.split()[-2] for line in (lines[1],)] == ["-"], "not judged, so nothing to tell"
    assert "change" not in called().stdout.splitlines()[0], "nothing was asked for"
    found: list[dict[str, Any]] = json.loads(called("--metric", "top1", "--format", "json").stdout)["runs"]
    assert found[0]["change"] == {}
    expected = {"value": -0.06, "low": pytest.approx(-0.068), "high": pytest.approx(-0.052), "n": 5000}
    assert found[3]["change"] == {"top1": expected}


def test_the_listing_as_csv_has_a_column_for_all(there: Settings) -> None:
    found = rows(called("judged", "--metric", "top1", "--format", "csv").stdout)
    assert [row["top1"] for row in found] == ["0.78", "0.79", "0.74", "0.8"]
    assert float(found[2]["top1.change"]) == -0.06 and float(found[2]["top1.change.low"]) == pytest.approx(-0.068)
    assert found[0]["model"] == "m" and found[0]["status"] == "FINISHED" and found[0]["started"].endswith("+00:00")
    sql = rows(called("sql", "SELECT job, count(*) AS n FROM runs GROUP BY job ORDER BY job", "--format", "csv").stdout)
    assert sql == [{"job": "judged", "n": "4"}, {"job": "toy", "n": "1"}]


def test_csv_without_runs_is_a_head_and_quotes_what_needs_it() -> None:
    assert as_csv([], ("top1",)).splitlines()[0].startswith("run_id,job,status,started")
    run = Run("a" * 32, "FINISHED", 0, None, "", {"where": 'age in "0-2", sex=f'}, {})
    (row,) = rows(as_csv([run], ()))
    assert row["where"] == 'age in "0-2", sex=f' and row["ended"] == ""


def test_a_lost_table_of_gates_is_said_and_the_rest_shown(there: Settings) -> None:
    lost = search(Query("judged"))[0]
    table = artifact(lost, "tables/gates.parquet")
    assert table is not None
    table.rename(aside := table.with_suffix(".aside"))
    done = called("--metric", "top1")
    aside.rename(table)
    assert f"the gates of {lost.run_id[:8]} cannot be read" in done.stderr
    assert "-0.0600 (-0.0680 to -0.0520)" in done.stdout


def test_a_trend_marks_verdicts_and_changes(there: Settings, tmp_path: Path) -> None:
    path = str(tmp_path / "t.png")
    words = ("trend", "judged", "--metric", "top1", "--output", path)
    found = json.loads(called(*words, "--format", "json").stdout)["points"]
    assert [p["verdict"] for p in found] == ["pass", "fail", "pass", "undecided"]
    assert [p["changed"] for p in found] == [[], ["model"], ["corpus", "code"], []]
    marks = ["pass", "fail; model changed", "pass; corpus and code changed", "undecided"]
    assert [row["mark"] for row in rows(called(*words, "--format", "csv").stdout)] == marks
    lines = called(*words).stdout.splitlines()
    assert lines[0].split()[-1] == "mark"
    assert [line.endswith(mark) for line, mark in zip(lines[1:], marks, strict=False)] == [True] * 4


def test_each_series_has_changes_of_its_own(here: Settings) -> None:
    for model in ("a", "b", "a", "b"):
        tracked(Judged(model=model, facts={**FACTS, "model_digest": model}), quiet, quiet, here)
    query = Query("judged", metrics=("top1",))
    assert [point.changed for point in points(query)] == [(), ("model",), ("model",), ("model",)]
    assert [point.changed for point in points(query, "model")] == [()] * 4


def test_the_picture_shows_what_the_table_says(there: Settings, tmp_path: Path) -> None:
    series = points(Query("judged", metrics=("top1",)))
    draw(series, tmp_path / "all.png")
    draw(series[:1], tmp_path / "pass.png")
    seen = {name: {v: _has(tmp_path / f"{name}.png", colour) for v, (_, colour) in VERDICTS.items()}
            for name in ("all", "pass")}  # fmt: skip
    assert seen["all"] == {"pass": True, "undecided": True, "fail": True}
    assert seen["pass"] == {"pass": True, "undecided": False, "fail": False}


def _has(path: Path, colour: str) -> bool:
    """Whether a picture has a spot of a colour."""
    pixels = np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3).astype(int)
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    return int((abs(pixels - wanted).max(axis=1) < 3).sum()) > 20


def test_a_night_has_no_csv(there: Settings) -> None:
    assert isinstance(called("night", "--format", "csv").exception, click.UsageError)
