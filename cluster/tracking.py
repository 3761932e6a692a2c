"""An MLflow run round a job: its fields, numbers, tables and page, recorded beside the work and not before it.

Everything is written to a journal on disk first (`cluster.journal`) and sent meanwhile (`cluster.follower`). A server
that cannot be reached at the start stops the job within half a minute; one that goes away later costs a warning, and
`safelight results push` sends what it missed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from cluster import forgetting, provenance, reach, records
from cluster.aside import Aside
from cluster.follower import Follower
from cluster.journal import Journal, now_ms
from cluster.masking import masked
from cluster.registry import fetch, is_reference, split_name
from cluster.sender import as_points, one_line
from cluster.settings import Settings, settings
from jobs.spec import Job, JobFailed, Progress, Report, Touched

if TYPE_CHECKING:
    from jobs.forgetting.ids import Ids
    from vision.model import Model

PROGRESS_S = 15.0
"""How often progress becomes a point of a metric."""

_NONE: Mapping[str, str] = MappingProxyType({})

Say = Callable[[str], None]
Show = Callable[[Progress], None]


@dataclass(frozen=True)
class Outcome:
    """What came of one run: its report, or why there is none."""

    job: Job
    run_id: str | None
    report: Report | Exception


def tracked(
    job: Job, say: Say, show: Show, where: Settings | None = None, tags: Mapping[str, str] = _NONE
) -> tuple[Report, str | None]:
    """Run a job that is one run, and record it.

    Args:
        say: takes a line for whoever watches.
        show: takes how far the job is.
        where: other addresses than those of the environment.
        tags: facts that the run has from its beginning, by their whole names (`safelight.night`).

    Returns:
        The report, and the id of its run; None for a job that is not tracked.

    Raises:
        JobFailed: also if MLflow cannot be reached at the start.
        KeyboardInterrupt: passed on, once the run is marked as killed.
    """
    (outcome,) = tracked_parts(job, say, show, where, tags)
    if isinstance(outcome.report, Exception):
        raise outcome.report
    return outcome.report, outcome.run_id


def tracked_parts(
    job: Job, say: Say, show: Show, where: Settings | None = None, tags: Mapping[str, str] = _NONE
) -> list[Outcome]:
    """Run a job and record a run for each of its parts; a part that fails leaves its error in its place.

    `tags` are facts that all these runs have from their beginning.

    Raises:
        JobFailed: if nothing could be done, or MLflow cannot be reached at the start.
        KeyboardInterrupt: passed on, once the runs are marked as killed.
    """
    where, parts = where or settings(), job.parts()
    if not job.tracked:
        watched = Watched(where, say, show)
        found = type(job).run_all(parts, [watched] * len(parts))
        return [Outcome(part, None, report) for part, report in zip(parts, found, strict=True)]
    reach.check(where)
    with Aside(where) as aside:
        shows = [show, *[_unseen] * (len(parts) - 1)]
        return _go([_Round(part, where, aside, say, seen, tags) for part, seen in zip(parts, shows, strict=True)])


def _unseen(_progress: Progress) -> None:
    """Parts go through the same records at the same time: one of them shows how far."""


def _go(rounds: Sequence[_Round]) -> list[Outcome]:
    try:
        for one in rounds:
            one.begin()
        reports = _work(rounds)
    except BaseException as error:
        for one in rounds:
            one.stop(error)
        raise
    return [one.end(report) for one, report in zip(rounds, reports, strict=True)]


def _work(rounds: Sequence[_Round]) -> list[Report | Exception]:
    """The job itself; an interruption because a run could not be opened is told as that."""
    try:
        for one in rounds:
            one.follower.work_begins()
        jobs = [one.job for one in rounds]
        reports = type(jobs[0]).run_all(jobs, [one.context for one in rounds])
        for one in rounds:
            one.follower.work_ends()
    except KeyboardInterrupt:
        for one in rounds:
            one.follower.raise_refusal()
        raise
    return reports


class Watched:
    """A context without a run: models from the registry, words to whoever watches."""

    def __init__(self, where: Settings, say: Say, show: Show) -> None:
        self.where, self.say, self.show = where, say, show

    def model(self, reference: str) -> Model:
        from vision.model import load

        return fetch(reference, self.where) if is_reference(reference) else load(reference)

    def metric(self, name: str, value: float, step: int = 0) -> None:
        """Without a run there is nowhere to keep it."""

    def register(self, folder: str, name: str) -> str:
        raise JobFailed(f"cannot register {name}: this job has no MLflow run")

    def derived(self, corpus: str) -> Sequence[str]:
        return forgetting.outputs(corpus, self.where)

    def forget(self, corpus: str, outputs: Sequence[str], ids: Ids) -> Sequence[Touched]:
        return forgetting.forget(corpus, outputs, ids, self.where)

    def log(self, message: str) -> None:
        self.say(masked(message))

    def progress(self, progress: Progress) -> None:
        self.show(progress)


class Tracked(Watched):
    """The context of a job that has a run."""

    def __init__(self, where: Settings, say: Say, show: Show, journal: Journal, follower: Follower) -> None:
        super().__init__(where, say, show)
        self.journal, self.follower = journal, follower
        self._progress_at = time.monotonic()
        self._named = False

    def metric(self, name: str, value: float, step: int = 0) -> None:
        self.journal.append({"kind": "metrics", "values": as_points({name: float(value)}, step, now_ms())})
        self.follower.notify()

    def register(self, folder: str, name: str) -> str:
        model, alias = split_name(name)
        self.journal.append({"kind": "register", "folder": folder, "name": name})
        if (reason := self.follower.settle()) is not None:
            self.log(f"MLflow is away ({reason}): {name} will be registered by `safelight results push`")
            return f"models:/{model}@{alias}" if alias else f"models:/{model}"
        answer = self.follower.opened()
        if name not in answer["registered"]:
            raise JobFailed(f"MLflow would not register {name}: {'; '.join(answer['refused'])}")
        return str(answer["registered"][name])

    def log(self, message: str) -> None:
        super().log(message)
        with open(self.journal.file("log.txt"), "a", encoding="utf-8") as stream:
            stream.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {masked(message)}\n")
        self.follower.raise_refusal()

    def progress(self, progress: Progress) -> None:
        super().progress(progress)
        if not self._named and (run_id := self.journal.run_id) is not None:
            # Who reads the log of a job that runs for hours may look at its run meanwhile.
            self._named = True
            self.log(f"run {run_id}")
        if time.monotonic() - self._progress_at < PROGRESS_S:
            self.follower.raise_refusal()
            return
        self._progress_at = time.monotonic()
        values = {"images": float(progress.images), "images_per_s": float(progress.images_per_s)}
        self.journal.append({"kind": "metrics", "values": as_points(values, progress.shards, now_ms())})
        self.follower.notify()


class _Round:
    """One job from its first record to its last."""

    def __init__(
        self, job: Job, where: Settings, aside: Aside, say: Say, show: Show, tags: Mapping[str, str] = _NONE
    ) -> None:
        self.job, self.say, self.tags = job, say, tags
        self.name = provenance.job_name(job)
        self.journal = Journal.create(where.state, self.name, masked(where.tracking_uri))
        self.follower = Follower(self.journal, aside)
        self.context = Tracked(where, say, show, self.journal, self.follower)

    def begin(self) -> None:
        """Write down what is to be done, and open the run beside the work."""
        records.begin(self.journal, self.job, self.tags)
        self.follower.start()
        self.follower.notify()

    def end(self, report: Report | Exception) -> Outcome:
        """Record what came of it."""
        if isinstance(report, Exception):
            self.stop(report)
            return Outcome(self.job, self.journal.run_id, report)
        try:
            self.follower.opened()
            records.report(self.journal, self.job, self.name, report)
        except BaseException as error:
            self.stop(error)
            raise
        return Outcome(self.job, self._end("FINISHED"), report)

    def stop(self, error: BaseException) -> None:
        """Mark the run as failed or killed; one that was never opened leaves nothing behind."""
        self.follower.work_ends()
        killed = isinstance(error, (KeyboardInterrupt, SystemExit))
        if not killed:
            records.error(self.journal, one_line(error))
        try:
            self._end("KILLED" if killed else "FAILED")
        except JobFailed:
            self.journal.remove()

    def _end(self, status: str) -> str:
        records.end(self.journal, status)
        reason = self.follower.finish()
        run_id = self.journal.run_id or ""
        if reason is None:
            for refused in self.follower.opened()["refused"]:
                self.say(f"warning: MLflow refused {refused}")
            self.journal.remove()
        else:
            kept = len(self.journal.unsent())
            self.say(
                f"warning: MLflow went away ({reason}); {kept} records are kept in {self.journal.folder}: "
                "send them with `safelight results push`"
            )
        return run_id
