"""Chromium, as a reader's browser."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needed = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


def chromium(folder: Path, *words: str) -> bytes:
    """What Chromium says of a page, once its scripts have come to rest."""
    assert CHROMIUM is not None
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update", f"--user-data-dir={folder / 'profile'}",
        "--window-size=1400,1600", "--virtual-time-budget=30000", *words,
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, timeout=180, check=True, cwd=folder).stdout
