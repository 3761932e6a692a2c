"""The most memory that a process of its own needs for one picture."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_MEASURE = """
import sys
from vision.preprocessing import Preprocessing
def peak_kb():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
load, data = Preprocessing.named("imagenet").load, sys.stdin.buffer.read()
before = peak_kb()
try:
    print(load(data, shrink=sys.argv[1] == "True").shape)
except ValueError as error:
    print(error)
print((peak_kb() - before) // 1024)
"""

told = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
"""Marks tests that need a system which tells."""


def loaded(data: bytes, shrink: bool) -> tuple[str, int]:
    """What reading a file for a net says, its shape or why there is none, and the memory it took at its peak, MiB."""
    code = [sys.executable, "-c", _MEASURE, str(shrink)]
    done = subprocess.run(code, input=data, capture_output=True, check=True, cwd=Path(__file__).parents[1])
    said, peak_mb = done.stdout.decode().splitlines()
    return said, int(peak_mb)
