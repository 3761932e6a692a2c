"""What no answer could pass: the oracles of a room, made of files that say what its answers can be."""

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
    """A state for each file, called by its name.

    Raises:
        SpecError: if a file cannot be read, is not what the room takes, or two have one name.
    """
    named = {re.sub(r"\.\w+$", "", title(file)): file for file in files}
    if len(named) < len(files):
        raise SpecError(f"cells: two of {', '.join(files)} have one name; each needs its own")
    return tuple(_one(room, name, file) for name, file in named.items())


def _one(room: Any, name: str, file: str) -> Accumulator:
    table = tables.read(file)
    try:
        state: Accumulator = room.ceiling(name, table)
    except ValueError as error:
        raise SpecError(f"cells: {file}: {error}") from None
    return state
