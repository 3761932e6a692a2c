"""The job of a night carried out in this process, stopped when its time is over."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cluster import records
from cluster.masking import as_parameter
from cluster.schedule.clock import Clock
from cluster.sender import one_line
from cluster.settings import Settings
from jobs.spec import Job, JobFailed, Progress, Report

_LOOK_EVERY_S = 5.0
"""A machine that slept finds its clock ahead: what is left of a night is looked up, not counted."""


@dataclass(frozen=True)
class Done:
    """What came of one model (or of the whole job, where it has none).

    Attributes:
        model: its reference, or an empty word.
        fields: the job's fields as MLflow has them.
        tags: the report's facts, by their short names.
        error: why there is no output, or None.
    """

    job: str
    model: str
    run_id: str | None
    fields: Mapping[str, str]
    output: str | None
    tags: Mapping[str, str]
    error: str | None


class Stopped(JobFailed):
    """The night's time was over before its job was done."""


def here(
    job: Job, tags: Mapping[str, str], where: Settings, say: Callable[[str], None], until: tuple[datetime, str] | None,
    clock: Clock,
) -> list[Done]:  # fmt: skip
    """Run a job in this process, with a run for each part.

    Args:
        until: when it is stopped, and why then.

    Raises:
        Stopped: if that time came.
        JobFailed: if nothing could be done.
        KeyboardInterrupt: passed on.
    """
    from cluster.tracking import tracked_parts
    from jobs.engine.joining import stop_ray

    try:
        with _ended(until, clock):
            outcomes = tracked_parts(job, say, _unseen, where, tags)
    finally:
        stop_ray()
    return [_done(one) for one in outcomes]


def _unseen(_progress: Progress) -> None:
    """Nobody watches at night; MLflow has the progress."""


def _done(outcome: Any) -> Done:
    from cluster import provenance

    fields = {name: as_parameter(value) for name, value in records.fields(outcome.job).items()}
    report = outcome.report
    model = ",".join(getattr(outcome.job, "model", None) or ())
    found, error = (report, None) if isinstance(report, Report) else (Report(), one_line(report))
    return Done(provenance.job_name(outcome.job), model, outcome.run_id, fields, found.output, dict(found.tags), error)


@contextmanager
def _ended(until: tuple[datetime, str] | None, clock: Clock) -> Iterator[None]:
    """Interrupt the main thread when the time has come, and tell that from other interruptions.

    Raises:
        Stopped: if it came.
    """
    if until is None:
        yield
        return
    over, fired, turn = threading.Event(), threading.Event(), threading.Lock()
    main, (moment, reason) = threading.main_thread().ident or 0, until

    def watch() -> None:
        while not over.is_set() and (left_s := (moment - clock.now()).total_seconds()) > 0:
            over.wait(min(left_s, _LOOK_EVERY_S))
        with turn:
            if not over.is_set():
                fired.set()
                signal.pthread_kill(main, signal.SIGINT)

    # A shell starts what runs in its background deaf to this signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=watch, name="finish_by", daemon=True).start()
    try:
        try:
            yield
        finally:
            with turn:
                over.set()
    except KeyboardInterrupt:
        if fired.is_set():
            raise Stopped(reason) from None
        raise
    finally:
        signal.signal(signal.SIGINT, before)
