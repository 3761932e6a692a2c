"""Files on their way to their names, on a local file system: whose writer lives is locked, and what the dead left goes.

The system lets go of a lock when a process ends, however it ends. So whoever gets the lock of a temporary file may
remove it, and two jobs that sweep and write in one folder at once do each other no harm. On a file system without
locks nothing is removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from pathlib import Path

SUFFIX = ".tmp"


def begin(path: Path) -> tuple[int, str]:
    """An open temporary file beside `path`, locked while this process writes it: (descriptor, name)."""
    while True:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=SUFFIX, dir=path.parent)
        with contextlib.suppress(OSError):  # no locks here
            fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:
            return handle, name
        os.close(handle)  # swept away between its making and its lock


def sweep(folder: str) -> int:
    """Remove the temporary files right in a folder that nobody writes any more; how many there were."""
    found = 0
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") and entry.name.endswith(SUFFIX):
                found += _swept(entry.path)
    return found


def _swept(name: str) -> bool:
    """Whether a file was left by the dead; it is gone then."""
    try:
        with open(name, "rb") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(name)
    except OSError:  # its writer lives, it has its name by now, or there are no locks
        return False
    return True
