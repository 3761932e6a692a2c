"""What is decided before a server is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cluster.settings import from_environment
from cluster.submission.submit import Submission, Wishes, prepare
from jobs.predict import Predict
from jobs.spec import Job, SpecError

JOB = Predict(corpus="/c", model=("nets.lenet:lenet5",), output="/p", gpus_per_worker=0.5)


def prepared(job: Job = JOB, key: str = "", labels: dict[str, str] | None = None, **wishes: Any) -> Submission:
    where = from_environment({}, Path.cwd())
    return prepare(job, key=key, labels=labels or {}, tags={}, wishes=Wishes(**wishes), where=where)


@pytest.mark.parametrize(("asked", "most", "workers"), [(None, 2.0, 4), (3, 2.0, 3), (9, 1.2, 2), (None, None, None)])
def test_no_more_workers_than_gpus_allow(asked: int | None, most: float | None, workers: int | None) -> None:
    assert prepared(JOB.model_copy(update={"workers": asked}), max_gpus=most).job.workers == workers  # type: ignore[attr-defined]


def test_less_than_one_workers_gpus_is_refused() -> None:
    with pytest.raises(SpecError, match=r"--max-gpus 0.25 is less than one worker takes \(--gpus-per-worker 0.5\)"):
        prepared(max_gpus=0.25)


def test_a_driver_with_cpus_needs_told_workers() -> None:
    with pytest.raises(SpecError, match="--driver-cpus: say --workers too"):
        prepared(driver_cpus=1)
    assert prepared(JOB.model_copy(update={"workers": 1}), driver_cpus=1).wishes.driver_cpus == 1


def test_metadata_says_whose_job_it_is_and_labels_become_tags() -> None:
    found = prepared(key="k", labels={"team": "geo"}, owner="ada", queue="night", priority="low")
    assert found.metadata == {
        "safelight.job": "predict", "safelight.owner": "ada", "safelight.key": "k", "safelight.queue": "night",
        "safelight.priority": "low", "safelight.title": "predict nets.lenet:lenet5 c", "safelight.label.team": "geo",
    }  # fmt: skip
    assert found.tags == {"safelight.label.team": "geo"}


def test_how_it_is_run_does_not_make_it_another_job() -> None:
    assert prepared(owner="ada", retries=9).base == prepared(queue="night").base


def test_no_secret_is_in_what_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted-secret-key")
    monkeypatch.setenv("MINE", "planted-of-mine")
    found = prepared(labels={"odd": "planted-of-mine"}, credentials=True, env=("MINE",))
    assert found.secret["MINE"] == "planted-of-mine"
    assert "planted" not in repr(found.metadata) + repr(found)
