"""A log read for people and for machines."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from cluster.submission import following, listing
from cluster.submission.following import ended
from cluster.submission.there import MARK

ANSWER = {"job": "evaluate", "run_id": "a" * 32, "metrics": {}}
LOG = "\n".join(
    [
        "Running entrypoint", MARK + json.dumps({"event": "begin", "attempt": 1}), f"run {'b' * 32}",
        "20/600 images, shard 1/30, 9 images/s", MARK + json.dumps({"event": "begin", "attempt": 2}),
        f"run {'a' * 32}", "600/600 images, shard 30/30, 9 images/s", "a word", "",
    ]
)  # fmt: skip
DONE = LOG + MARK + json.dumps({"event": "answer", "document": ANSWER}) + "\n" + MARK + '{"event": "en'


def details(state: str, code: int | None, error: str | None = None) -> Any:
    return SimpleNamespace(
        status=SimpleNamespace(value=state, is_terminal=lambda: state not in ("RUNNING", "PENDING")),
        driver_exit_code=code, error_type=error, message="Ray's own word", start_time=1, end_time=2001,
        submission_id="evaluate-1.2", metadata={"safelight.job": "evaluate", "safelight.label.team": "geo"},
    )  # fmt: skip


def test_people_see_no_marked_line_and_a_torn_one_is_none() -> None:
    assert all(not line.startswith(MARK) for line in following.words(DONE))
    assert [event["event"] for event in following.events(DONE)] == ["begin", "begin", "answer"]


@pytest.mark.parametrize("code", [0, 1, 2, 3, 4])
def test_the_code_is_the_jobs(code: int) -> None:
    assert ended(details("FAILED" if code else "SUCCEEDED", code), LOG).code == code


def test_what_ray_ends_itself_is_a_failure_in_its_own_words() -> None:
    assert ended(details("FAILED", None), "").code == 1
    assert ended(details("FAILED", None), "").reason == "Ray's own word"
    assert ended(details("FAILED", 137), LOG).code == 1
    assert ended(details("STOPPED", None), LOG).code == 130
    assert ended(details("FAILED", None, "JOB_SUPERVISOR_ACTOR_DIED"), "").lost
    assert not ended(details("FAILED", 1), LOG).lost


def test_the_answer_names_its_runs() -> None:
    found = ended(details("SUCCEEDED", 0), DONE)
    assert found.document == ANSWER
    assert found.run_ids == ["a" * 32]
    several = MARK + json.dumps({"event": "answer", "document": {"runs": [ANSWER, {**ANSWER, "run_id": "c" * 32}]}})
    assert ended(details("SUCCEEDED", 0), several).run_ids == ["a" * 32, "c" * 32]


def test_an_entry_tells_progress_runs_and_starts() -> None:
    entry = listing.entry(details("RUNNING", None), LOG)
    assert entry.progress == "600/600 images, shard 30/30, 9 images/s"
    assert entry.runs == ("b" * 32, "a" * 32)
    assert (entry.attempt, entry.drivers, entry.code, entry.labels) == (2, 2, None, {"team": "geo"})
    assert listing.entry(details("FAILED", 1), LOG).progress == "a word"
