"""Published results beside one's own, where the room of a task has any."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from jobs.spec import SpecError
from vision import names
from vision.accumulator import Estimate


def check(task: str, asked: str | None) -> None:
    """Refuse a table that the room of a task does not have, before any work is done.

    Raises:
        SpecError: naming the nearest.
    """
    published(task, None, asked, {})


def published(
    task: str, classes: tuple[str, ...] | None, asked: str | None, own: Mapping[str, Mapping[str, Estimate]]
) -> dict[str, pa.Table]:
    """The tables that fit a corpus' classes, or the one asked for, with runs of one's own in them.

    Args:
        own: metrics of each run, by the name it goes by.

    Raises:
        SpecError: if there is no such table.
    """
    try:
        room = names.room(task)
        if hasattr(room, "references"):
            found: dict[str, pa.Table] = room.references(classes, asked, own)
            return found
    except ValueError as error:
        raise SpecError(str(error)) from None
    if asked is not None:
        raise SpecError(f"reference: there are no published results for the task {task}")
    return {}
