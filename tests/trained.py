"""Trainings under test: what they wrote down, what came out, and one that is stopped and gone on with."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from jobs.spec import Report
from jobs.train import Train
from jobs.training.loop import Worker


def traced(output: str = "out") -> dict[tuple[int, int], list[str]]:
    """Ids by step and micro-batch."""
    found = [json.loads(path.read_text()) for path in sorted(Path(output, "trace").glob("*.json"))]
    return {(line["step"], line["micro"]): line["ids"] for line in found}


def every_record_once_an_epoch(ids: Mapping[tuple[int, int], list[str]], rows: int, steps: int) -> int:
    """Check that each epoch of so many steps saw `rows` records, each once; how many epochs there were."""
    epochs = max(step for step, _ in ids) // steps + 1
    for epoch in range(epochs):
        seen = [id_ for (step, _), part in ids.items() if step // steps == epoch for id_ in part]
        assert sorted(seen) == [f"{n:05d}.jpg" for n in range(rows)]
    return epochs


def digests(report: Report) -> tuple[str, str]:
    """Of the best and the last model."""
    return report.tags["model_digest"], report.tags["last_model_digest"]


def stopped(job: Train, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a training that is interrupted without warning before a step; the next one is not."""
    learn = Worker._learn

    def interrupted(self: Worker, portion: Any) -> None:
        if self.number == step:
            raise KeyboardInterrupt
        learn(self, portion)

    with monkeypatch.context() as patch:
        patch.setattr(Worker, "_learn", interrupted)
        with pytest.raises(KeyboardInterrupt):
            job.run()


def check_that_it_goes_on(make: Callable[..., Train], step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training stopped at a step, with a checkpoint every other one, ends as one that was not.

    Args:
        make: the job, with further fields.
    """
    whole = make(output="whole", checkpoint_every=2).run()
    stopped(make(checkpoint_every=2), step, monkeypatch)
    assert not Path("out/model.json").exists()
    report = make(checkpoint_every=2).run()
    assert digests(report) == digests(whole)
    assert report.tables["curve"].equals(whole.tables["curve"])
    assert traced() == traced("whole") != {}
