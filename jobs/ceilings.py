"""What no answer could pass, and where answers are good: a room's states made of files that say what answers can be."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from jobs import tables
from jobs.asking import title
from jobs.spec import SpecError
from vision.accumulator import Accumulator


def check(room: Any, task: str) -> None:
    """Refuse a task that knows no ceiling, before any work is done.

    Raises:
        SpecError: if its room offers none.
    """
    if not hasattr(room, "ceiling"):
        raise SpecError(f"cells: answers for the task {task} are not made of cells")


def of(room: Any, files: Sequence[str]) -> tuple[Accumulator, ...]:
    """A ceiling for each file, called by its name, and what the room draws of its answers, with files or without.

    Raises:
        SpecError: if a file cannot be read, is not what the room takes, or two have one name.
    """
    named = {re.sub(r"\.\w+$", "", title(file)): file for file in files}
    if len(named) < len(files):
        raise SpecError(f"cells: two of {', '.join(files)} have one name; each needs its own")
    cells, found = {name: tables.read(file) for name, file in named.items()}, list[Accumulator]()
    for name, file in named.items():
        try:
            found.append(room.ceiling(name, cells[name]))
        except ValueError as error:
            raise SpecError(f"cells: {file}: {error}") from None
    return (*found, *(room.pictures(cells) if hasattr(room, "pictures") else ()))
