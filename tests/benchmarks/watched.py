"""One run of a command of safelight, and the most memory that its driver and any of its workers ever had.

Peaks are `VmHWM`, the system's own mark of the most that was resident.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from tests.benchmarks.bulk.contenders import environment


def run(job: str, words: Sequence[str], folder: Path) -> dict[str, float]:
    """Seconds and peak megabytes of `safelight run JOB`, from start to end.

    Args:
        words: the job's options.
        folder: where it runs; what it prints goes to log.txt there.

    Raises:
        RuntimeError: if it fails, with the end of what it printed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "cluster.cli", "run", job, *words, "--format", "json"]
    driver = worker = 0.0
    start = time.monotonic()
    with open(folder / "log.txt", "wb") as log:
        process = subprocess.Popen(command, env=environment(), cwd=folder, stdout=log, stderr=log)
        while process.poll() is None:
            driver = max(driver, _peak_mb(process.pid))
            worker = max([worker, *map(_peak_mb, _actors(process.pid))])
            time.sleep(0.05)
    if process.returncode != 0:
        raise RuntimeError(f"{job} failed: {(folder / 'log.txt').read_text()[-500:]}")
    return {"wall_s": round(time.monotonic() - start, 1), "driver_mb": round(driver), "worker_mb": round(worker)}


def _peak_mb(pid: int) -> float:
    """The most that a process had resident so far; 0 if it is gone."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0.0


def _actors(pid: int) -> list[int]:
    """Ray's actors below a process: their titles are `ray::_Host...`."""
    found = []
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if "ray::_Host" in " ".join(process.cmdline()):
                    found.append(process.pid)
    return found
