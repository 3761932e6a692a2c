"""Old runs go; champions and the evidence of gates stay, whatever they are named by."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import Result
from mlflow.tracking import MlflowClient

from cluster.results.query import Query, search
from cluster.settings import Settings
from cluster.tracking import tracked
from jobs.spec import Context, JobFailed, Report, SpecError
from tests.cluster.calling import called
from tests.cluster.toys import Toy, quiet

DAY = 86_400_000


class Scored(Toy):
    """A toy whose model and records have digests of their own."""

    digest: str = "a"
    records: str = "r"

    def run(self, context: Context | None = None) -> Report:
        report = super().run(context)
        tags = {"model_digest": self.digest, "corpus_digest": self.records, "split": "test", "subset": "all"}
        return Report(metrics=report.metrics, output="data/toys/out", tags=tags)


def scored(here: Settings, name: str, digest: str = "", records: str = "", **tags: str) -> str:
    """A run of the model `name`; its records are its own unless they are named."""
    job = Scored(model=name, digest=digest or name, records=records or name)
    _, run_id = tracked(job, quiet, quiet, here, {f"safelight.{key}": value for key, value in tags.items()})
    assert run_id is not None
    return run_id


def aged(here: Settings, days: float, *run_ids: str) -> None:
    """Runs as if they had been made so many days earlier; all without ids."""
    assert here.database is not None
    with sqlite3.connect(here.database) as base:
        chosen = f"WHERE run_uuid IN ({','.join('?' * len(run_ids))})" if run_ids else ""
        moved = "start_time = start_time - ?1, end_time = end_time - ?1".replace("?1", str(int(days * DAY)))
        base.execute(f"UPDATE runs SET {moved} {chosen}", run_ids)
    base.close()


def registered(here: Settings, name: str, run_id: str, alias: str | None) -> None:
    """A model version that lies in a run."""
    client = MlflowClient(here.tracking_uri, registry_uri=here.tracking_uri)
    if not [model for model in client.search_registered_models() if model.name == name]:
        client.create_registered_model(name)
    version = client.create_model_version(name, f"{client.get_run(run_id).info.artifact_uri}/model", run_id)
    if alias:
        client.set_registered_model_alias(name, alias, version.version)


def clean(*words: str) -> Result:
    return called("clean", *words)


def left() -> set[str]:
    return {run.fields["model"] for run in search(Query())}


def test_only_what_is_old_goes_and_only_when_asked(here: Settings) -> None:
    old, new = scored(here, "old"), scored(here, "new")
    aged(here, 40, old)
    aged(here, 20, new)
    assert clean().stdout == "nothing to clean\n", "without --keep finished runs are left alone"
    shown = clean("--keep", "30d").stdout
    assert old[:8] in shown and new[:8] not in shown and "nothing was deleted" in shown
    assert left() == {"old", "new"}
    assert "deleted 1 runs" in clean("--keep", "30d", "--yes").stdout
    assert left() == {"new"}
    week = (datetime.now(UTC) - timedelta(days=7)).date().isoformat()
    assert "deleted 1 runs" in clean("--keep", week, "--yes").stdout
    assert left() == set()


def test_failed_runs_go_with_keep_as_without(here: Settings) -> None:
    with pytest.raises(JobFailed):
        tracked(Toy(ends="failed", model="failed"), quiet, quiet, here)
    scored(here, "new")
    assert "deleted 1 runs" in clean("--keep", "30d", "--yes").stdout
    assert left() == {"new"}


def test_what_an_alias_names_stays_and_a_version_without_one_goes(here: Settings) -> None:
    trained, plain = scored(here, "trained"), scored(here, "plain")
    registered(here, "shapes", plain, None)
    registered(here, "shapes", trained, "champion")
    for reference in ("models:/shapes@champion", "models:/shapes/2", f"runs:/{trained}/model", "models:/shapes/1"):
        scored(here, reference)
    aged(here, 40)
    out = clean("--keep", "30d", "--yes").stdout
    assert "kept 1 run: their model versions have an alias in the registry" in out
    assert "kept 3 runs: their model is a champion's" in out
    assert left() == {"trained", "models:/shapes@champion", "models:/shapes/2", f"runs:/{trained}/model"}


def test_a_failed_run_that_holds_a_champion_stays(here: Settings) -> None:
    with pytest.raises(JobFailed):
        tracked(Toy(ends="failed", model="late"), quiet, quiet, here)
    registered(here, "shapes", search(Query())[0].run_id, "champion")
    assert clean("--yes").stdout.splitlines() == [
        "kept 1 run: their model versions have an alias in the registry",
        "nothing to clean",
    ]
    assert left() == {"late"}


def test_judged_runs_stay_with_the_run_they_were_judged_against(here: Settings) -> None:
    champion = scored(here, "kept")
    scored(here, "candidate", verdict="fail", against=champion)
    scored(here, "kept", records="other")  # the champion's model on other images
    scored(here, "bystander")
    aged(here, 40)
    out = clean("--keep", "30d", "--yes").stdout
    assert "kept 1 run: a gate judged them" in out
    assert "kept 1 run: a gate compared with them" in out
    assert "kept 1 run: their model is a champion's" in out
    assert left() == {"kept", "candidate"} and len(search(Query())) == 3


def test_evidence_of_a_champion_named_by_reference_is_found_by_its_digest(here: Settings) -> None:
    scored(here, "first-name", digest="d", records="test")
    scored(here, "models:/shapes@champion", digest="d", records="test")
    scored(here, "another-model", digest="e", records="test")
    scored(here, "first-name", digest="d", records="elsewhere")
    scored(here, "candidate", records="test", verdict="pass", against="models:/shapes@champion")
    later = scored(here, "first-name", digest="d", records="test")
    aged(here, 40)
    aged(here, -1, later)
    assert "deleted 3 runs" in clean("--keep", "30d", "--yes").stdout
    assert left() == {"first-name", "models:/shapes@champion", "candidate"}


def test_where_no_run_tells_the_champions_digest_all_it_may_have_been_stay(here: Settings) -> None:
    for name in ("either", "or"):
        scored(here, name, records="test")
    scored(here, "elsewhere")
    scored(here, "candidate", records="test", verdict="undecided", against="models:/shapes@champion")
    aged(here, 40)
    assert "kept 2 runs: a gate compared with them" in clean("--keep", "30d", "--yes").stdout
    assert left() == {"either", "or", "candidate"}


@pytest.mark.parametrize(
    ("text", "message"), [("soon", "keep: expected 14d"), ("2999-01-01", "keep: 2999-01-01 lies ahead")]
)
def test_a_wrong_time_to_keep_is_one_line(here: Settings, text: str, message: str) -> None:
    error = clean("--keep", text).exception
    assert isinstance(error, SpecError) and message in str(error)


def test_a_registry_that_cannot_be_asked_stops_the_cleaning(here: Settings) -> None:
    scored(here, "old")
    aged(here, 40)
    assert here.database is not None
    with sqlite3.connect(here.database) as base:
        base.execute("ALTER TABLE registered_models RENAME TO lost")
    base.close()
    error = clean("--keep", "30d", "--yes").exception
    assert isinstance(error, JobFailed) and "which models have an alias" in str(error) and "\n" not in str(error)
    assert left() == {"old"}
