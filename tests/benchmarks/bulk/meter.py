"""A command in a process of its own, measured with everything that it starts: CPU, memory, progress.

Ray's and Spark's daemons leave the tree of the command that started them. On Linux this process asks to inherit such
orphans, so that nothing escapes: every 0.1 s the CPU time of all descendants is read, and every 0.5 s their memory
(PSS: what is shared is counted once). Processes that live for less than that are seen in the usage that the system
reports of all ended children, and the larger of the two sums is given.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path

import psutil

_CPU_EVERY_S, _MEMORY_EVERY_S = 0.1, 0.5
_STEADY_S = 1.0
"""CPU-seconds between first and last answers below which a rate would be chance: a sample is a tenth of a second."""

_PROCESSES = 2
"""That answer beside each other, as all contenders but one are told to."""

_PR_SET_CHILD_SUBREAPER = 36

Progress = Callable[[], Sequence[tuple[float, int]]]
"""(monotonic time, pictures) for each batch that is answered so far, in order of time."""


@dataclass(frozen=True)
class Measured:
    """What a command took.

    Attributes:
        wall_s: from start to end.
        first_s: until the first pictures were answered.
        cpu_s: of all processes. first_cpu_s: the same until the first answers.
        steady: pictures for each CPU-second between the first answers of all workers and the last: no start, no end.
        peak_mb: of all processes together.
        failure: the last line that a failed command wrote.
    """

    wall_s: float
    first_s: float | None
    cpu_s: float
    first_cpu_s: float | None
    steady: float | None
    peak_mb: float
    failure: str | None = None


@dataclass
class _Tree:
    """All descendants of this process, and of some others, but those that were there before."""

    others: Sequence[int]
    cpu: dict[tuple[int, float], float] = field(default_factory=dict)
    before: dict[tuple[int, float], float] = field(default_factory=dict)
    series: list[tuple[float, float]] = field(default_factory=list)
    peak: float = 0.0

    def __post_init__(self) -> None:
        # Daemons that serve this command but were started for it beforehand: only what they use from now on counts.
        self._read()
        self.before, self.series = dict(self.cpu), []

    def processes(self) -> list[psutil.Process]:
        found = psutil.Process().children(recursive=True)
        known = {process.pid for process in found}
        return found + [psutil.Process(pid) for pid in self.others if pid not in known and psutil.pid_exists(pid)]

    def sample(self, memory: bool) -> None:
        processes = self._read()
        if memory:
            self.peak = max(self.peak, sum(map(_pss, processes)))

    def _read(self) -> list[psutil.Process]:
        processes = self.processes()
        for process in processes:
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                self.cpu[process.pid, process.create_time()] = times.user + times.system
        self.series.append((time.monotonic(), self.total))
        return processes

    @property
    def total(self) -> float:
        return sum(used - self.before.get(key, 0.0) for key, used in self.cpu.items())

    def at(self, moment: float) -> float:
        """CPU-seconds until a moment, between two samples by proportion."""
        earlier = (self.series[0][0], 0.0)
        for sample in self.series:
            if sample[0] >= moment:
                span = sample[0] - earlier[0]
                share = (moment - earlier[0]) / span if span > 0 else 1.0
                return earlier[1] + share * (sample[1] - earlier[1])
            earlier = sample
        return earlier[1]


def _pss(process: psutil.Process) -> float:
    """Megabytes."""
    try:
        return float(process.memory_full_info().pss) / 2**20
    except psutil.Error:
        return 0.0


def inherit_orphans() -> None:
    """Become the parent of whatever the commands leave behind."""
    if ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError("this system does not hand orphans on: the benchmark needs Linux")


def measure(
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    progress: Progress,
    serving: Sequence[int] = (),
    limit_s: float = 900,
) -> Measured:
    """Run a command to its end.

    Args:
        command, environment: what to run. folder: where; its words go to `log.txt` there.
        progress: called at the end, for the moments at which pictures were answered, and while the command runs.
        serving: processes started beforehand whose work for the command counts too.
        limit_s: when it is ended, and has failed.
    """
    tree, used = _Tree(serving), _ended_cpu_s()
    standing = {process.pid for process in psutil.Process().children(recursive=True)}
    with open(folder / "log.txt", "wb") as log:
        start = time.monotonic()
        process = subprocess.Popen(command, env=dict(environment), cwd=folder, stdout=log, stderr=log)
        memory_at = start
        while process.poll() is None:
            now = time.monotonic()
            tree.sample(memory=now >= memory_at)
            memory_at = now + _MEMORY_EVERY_S if now >= memory_at else memory_at
            progress()
            if now - start > limit_s:
                process.kill()
            time.sleep(_CPU_EVERY_S)
        wall_s = time.monotonic() - start
    _end_orphans(standing | set(serving))
    cpu_s = max(tree.total, _ended_cpu_s() - used)
    failure = None if process.returncode == 0 else _last_words(folder / "log.txt", process.returncode)
    return _measured(tree, start, wall_s, cpu_s, progress(), failure)


def _measured(
    tree: _Tree, start: float, wall_s: float, cpu_s: float, batches: Sequence[tuple[float, int]], failure: str | None
) -> Measured:
    if not batches:
        return Measured(wall_s, None, cpu_s, None, None, tree.peak, failure or "no answers")
    first, last = batches[0][0], batches[-1][0]
    # Two processes answer their first batches at about the same moment: what both had done was paid for before.
    ready = batches[min(_PROCESSES, len(batches)) - 1][0]
    between_s = tree.at(last) - tree.at(ready)
    answered = sum(count for _, count in batches[_PROCESSES:])
    steady = answered / between_s if between_s >= _STEADY_S else None
    return Measured(wall_s, first - start, cpu_s, tree.at(first), steady, tree.peak, failure)


def _ended_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _end_orphans(standing: AbstractSet[int]) -> None:
    """End what the command left running, by process id, and collect what it used; `standing` was there before it."""
    for process in _left(standing):
        with contextlib.suppress(psutil.Error):
            process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        # Only children that were inherited are left to wait for.
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            if not _left(standing):
                return
            time.sleep(0.05)


def _left(standing: AbstractSet[int]) -> list[psutil.Process]:
    """What descends from this process but not from what was there before."""
    kept = {child.pid for pid in standing for child in _children(pid)} | standing
    return [process for process in psutil.Process().children(recursive=True) if process.pid not in kept]


def _children(pid: int) -> list[psutil.Process]:
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.Error:
        return []


def _last_words(log: Path, code: int) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return f"exit code {code}: {lines[-1][:200] if lines else 'no words'}"
