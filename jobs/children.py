"""Python processes started beside this one."""

from __future__ import annotations

import os
import sys


def environment() -> dict[str, str]:
    """This process's environment, for a child that finds modules where this process does, in the same order."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
