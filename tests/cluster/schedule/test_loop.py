"""The loop as a process: it runs what comes due, outlives what fails, and ends when told to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.schedule.nightly import answers, runs, scoring, slow, write
from tests.making import CorpusMaker, rows_of

BEFORE = "2026-03-29T02:59:55+02:00"
"""Five seconds before the night whose hour the clock left out."""


class Loop:
    """A `safelight schedule loop` and what it says."""

    def __init__(self, folder: Path, now: str) -> None:
        words = [sys.executable, "-m", "cluster.cli", "schedule", "loop", "--now", now]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            words, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    def wait_for(self, words: str) -> None:
        deadline = time.monotonic() + 120
        while not any(words in line for line in self.lines):
            assert time.monotonic() < deadline, self.lines
            assert self.process.poll() is None, self.lines
            time.sleep(0.05)

    def stop(self) -> int:
        """Ask it to end; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=60)
        self._reader.join()
        return code


@pytest.fixture
def loops(nights_place: Path) -> Iterator[Callable[[str], Loop]]:
    begun: list[Loop] = []

    def begin(now: str) -> Loop:
        begun.append(Loop(nights_place, now))
        return begun[-1]

    yield begin
    for one in begun:
        if one.process.poll() is None:
            one.process.kill()


def test_it_runs_what_comes_due_outlives_a_failure_and_stops_when_told(
    nights_place: Path, loops: Callable[[str], Loop]
) -> None:
    table = answers(nights_place / "a.csv", 0.1)
    write(nights_place, scoring("gone.csv", name="broken"), scoring(table))
    loop = loops(BEFORE)
    loop.wait_for("2 entries; the next night is due 2026-03-29 01:00 UTC")
    loop.wait_for("faces@2026-03-29: done")
    assert any(line.startswith("broken@2026-03-29: failed (") for line in loop.lines)
    assert loop.stop() == 0
    assert loop.lines[-1].startswith("stopped")
    (run,) = runs(nights_place, night="faces@2026-03-29")
    assert run.status == "FINISHED"


def test_a_file_that_breaks_while_it_waits_is_said_and_the_entries_stay(
    nights_place: Path, loops: Callable[[str], Loop]
) -> None:
    path = write(nights_place, scoring(answers(nights_place / "a.csv", 0.1)))
    loop = loops("2026-03-29T02:59:50+02:00")
    loop.wait_for("1 entries")
    path.write_text("- {name: faces, att: 1}\n")
    loop.wait_for("no word 'att'; did you mean at?; going on with the entries from before")
    loop.wait_for("faces@2026-03-29: done")
    assert loop.stop() == 0


def test_sigterm_in_the_middle_of_a_night_marks_it_and_the_next_loop_goes_on(
    nights_place: Path, loops: Callable[[str], Loop], make_corpus: CorpusMaker
) -> None:
    write(nights_place, slow(nights_place, make_corpus(rows_of(80), shard_rows=4)))
    loop = loops("2026-03-29T03:00:00+02:00")
    loop.wait_for("slow@2026-03-29: predict begins")
    deadline = time.monotonic() + 60
    while not (done := parts(nights_place)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert loop.stop() == 0, loop.lines
    assert 0 < len(done) <= len(parts(nights_place)) < 20
    (run,) = runs(nights_place, night="slow@2026-03-29")
    assert run.status == "KILLED"
    loop = loops("2026-03-29T03:05:00+02:00")
    loop.wait_for("slow@2026-03-29: done")
    assert loop.stop() == 0
    assert [run.status for run in runs(nights_place, night="slow@2026-03-29")] == ["FINISHED", "KILLED"]
    assert {part: parts(nights_place)[part] for part in done} == done, "nothing was done twice"


def parts(folder: Path) -> dict[str, int]:
    """The committed shards, with when they were written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("out/test/*.parquet")}


def test_a_wrong_file_at_the_start_is_one_line_and_2(nights_place: Path) -> None:
    (nights_place / "nightly.yaml").write_text("- {name: faces}\n")
    words = [sys.executable, "-m", "cluster.cli", "schedule", "loop"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith("safelight: nightly.yaml: entry faces: takes one job")
