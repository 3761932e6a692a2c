"""Trials carried out: each once, in a folder named by its fingerprint, here or on Ray, and none that is done again.

`OUTPUT/trials/<fingerprint>/trial.json` holds a trial's cell, what decided it and its rows; it is written last. A
trial that was stopped goes on in its folder; one that failed is tried again by the next run.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from jobs import storage
from jobs.engine.pool import spread
from jobs.spec import Context, JobFailed, Plain
from jobs.studying.kind import Outcome, Row, Trial, kind
from vision.accumulator import Estimate

FOLDER, RECORD = "trials", "trial.json"
FORMAT = 1


@dataclass(frozen=True)
class Told:
    """What came of a trial: how long it took, and why it failed if it did."""

    seconds: float
    failure: str | None = None


class _Within:
    """The context of a trial in this process: words and progress go on, its numbers are the study's to tell."""

    def __init__(self, outer: Context, trial: Trial) -> None:
        self._outer, self._trial = outer, trial

    def __getattr__(self, name: str) -> Any:
        return getattr(self._outer, name)

    def metric(self, name: str, value: float, step: int = 0) -> None:
        """A grid of a hundred trainings would make a thousand names."""

    def log(self, message: str) -> None:
        self._outer.log(f"{self._trial}: {message}")


class _Bench:
    """Carries out one trial after the other."""

    def __init__(self, name: str, output: str, context: Context | None) -> None:
        self._name, self._output, self._context = name, output, context

    def __call__(self, trial: Trial) -> Told:
        began = time.monotonic()
        context: Any = Plain() if self._context is None else _Within(self._context, trial)
        try:
            outcome = kind(self._name).carry_out(trial, storage.join(place(self._output, trial), "work"), context)
        except (JobFailed, ValueError) as error:
            return Told(time.monotonic() - began, " ".join(str(error).split()))
        write(self._output, trial, outcome)
        return Told(time.monotonic() - began)


class _AFewAtATime(Iterator[Trial]):
    """Trials for workers that get no second one before their first is done: trials differ in length."""

    def __init__(self, trials: Sequence[Trial], most: int) -> None:
        self._waiting, self._free = deque(trials), most

    def __next__(self) -> Trial:
        if not self._free or not self._waiting:
            raise StopIteration
        self._free -= 1
        return self._waiting.popleft()

    def done(self) -> None:
        """One of them has come back."""
        self._free += 1


def carry_out(
    name: str, trials: Sequence[Trial], output: str, context: Context, workers: int, gpus: float, retry_s: float
) -> dict[str, str]:
    """Carry out what is not done yet; why each trial failed that did, by its name.

    Args:
        name: of the kind.
        workers: Ray tasks at the same time, of one core each; 0: in this process, one after the other.

    Raises:
        JobFailed: if Ray is lost, or a trial kills its worker again and again.
    """
    missing = [trial for trial in unique(trials) if read(output, trial) is None]
    ready = len(unique(trials)) - len(missing)
    if ready:
        context.log(f"{ready} of {ready + len(missing)} trials are done already")
    failed: dict[str, str] = {}
    most = min(workers, len(missing))
    queue = _AFewAtATime(missing, max(most, 1))
    make = partial(_Bench, name, output, None if most else context)
    for number, (trial, told) in enumerate(spread(queue, make, most, gpus=gpus, retry_s=retry_s), start=1):
        queue.done()
        if told.failure is not None:
            failed[trial.name] = told.failure
        ending = f"failed: {told.failure}" if told.failure else "is done"
        at = f"trial {ready + number} of {ready + len(missing)}"
        context.log(f"{at}: {trial} {ending} after {told.seconds:,.0f} s")
    return failed


def unique(trials: Sequence[Trial]) -> list[Trial]:
    """The trials of which each outcome is needed: cells may share one."""
    return list({trial.name: trial for trial in trials}.values())


def place(output: str, trial: Trial) -> str:
    """The folder of a trial."""
    return storage.join(output, FOLDER, trial.name)


def write(output: str, trial: Trial, outcome: Outcome) -> None:
    """Keep what a trial gave."""
    sheets = {name: [_as_plain(row) for row in rows] for name, rows in outcome.items()}
    facts = {"format": FORMAT, "cell": trial.cell, "identity": trial.identity, "sheets": sheets}
    text = json.dumps(facts, indent=1, ensure_ascii=False, default=list)
    storage.write(storage.join(place(output, trial), RECORD), text.encode() + b"\n")


def read(output: str, trial: Trial) -> Outcome | None:
    """What a trial gave; None if it is not done, or its record is damaged."""
    try:
        facts = json.loads(storage.read(storage.join(place(output, trial), RECORD)))
        if facts["format"] != FORMAT:
            return None
        return {name: [_as_row(row) for row in rows] for name, rows in facts["sheets"].items()}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _as_plain(row: Row) -> dict[str, Any]:
    return {"at": row.at, "values": {name: list(one) for name, one in row.values.items()}, "facts": row.facts}


def _as_row(facts: Mapping[str, Any]) -> Row:
    return Row({name: Estimate(*one) for name, one in facts["values"].items()}, facts["at"], facts["facts"])
