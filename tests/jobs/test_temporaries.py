"""Temporary files: those of the living stay, those of the dead go, and nobody loses a file by sweeping and writing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest

from jobs import storage

ROOT = Path(__file__).parents[2]
WRITER = """
import sys
from jobs import storage
with storage.upload("place/file") as stream:
    stream.write(b"half")
    stream.flush()
    print("writing", flush=True)
    sys.stdin.readline()
"""


def writer() -> subprocess.Popen[str]:
    """Another process in the middle of a file."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "writing\n"
    return process


def hidden() -> list[str]:
    return storage.files("place", hidden=True)


def test_a_writer_that_lives_keeps_its_file_and_one_that_was_killed_loses_it() -> None:
    living, dead = writer(), writer()
    assert storage.sweep("place") == 0 and len(hidden()) == 2
    dead.send_signal(signal.SIGKILL)
    dead.wait()
    assert len(hidden()) == 2, "that is what kills leave"
    assert storage.sweep("place") == 1 and len(hidden()) == 1
    assert living.communicate("\n")[0] == "" and living.returncode == 0
    assert Path("place/file").read_bytes() == b"half" and hidden() == []


def test_only_temporary_files_right_in_the_folder_go() -> None:
    Path("place/below").mkdir(parents=True)
    for name in (".file.abc.tmp", ".claim", "file.tmp", "below/.file.abc.tmp"):
        Path("place", name).write_bytes(b"x")
    assert storage.sweep("place") == 1
    assert sorted(p.name for p in Path("place").rglob("*") if p.is_file()) == [".claim", ".file.abc.tmp", "file.tmp"]
    assert storage.sweep("nowhere") == 0


def test_sweeping_while_others_write_loses_nothing() -> None:
    over, failed = threading.Event(), list[BaseException]()

    def sweeps() -> None:
        while not over.is_set():
            storage.sweep("place")

    def writes(number: int) -> None:
        try:
            for turn in range(150):
                storage.write(f"place/{number}-{turn}", b"whole")
        except BaseException as error:
            failed.append(error)

    sweeper = threading.Thread(target=sweeps)
    writers = [threading.Thread(target=writes, args=(number,)) for number in range(3)]
    for thread in (sweeper, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    over.set()
    sweeper.join()
    assert failed == []
    assert len(storage.files("place")) == 450 and hidden() == []


def test_a_file_that_is_swept_before_its_lock_is_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between its making and its lock a file is anybody's: here it is taken away in that very moment."""
    made, make = list[str](), tempfile.mkstemp

    def robbed(**named: Any) -> tuple[int, str]:
        handle, name = make(**named)
        made.append(name)
        if len(made) == 1:
            os.unlink(name)
        return handle, name

    monkeypatch.setattr(tempfile, "mkstemp", robbed)
    storage.write("place/file", b"whole")
    assert Path("place/file").read_bytes() == b"whole" and len(made) == 2
