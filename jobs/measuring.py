"""The metrics of a room, with parameters of one's own where it has any."""

from __future__ import annotations

import inspect
from typing import Any

from jobs import arguments
from jobs.spec import SpecError, nearest
from vision.corpus import Corpus


def check(room: Any, task: str, text: str | None) -> None:
    """Refuse parameters that a room's metrics do not have, before any work is done.

    Raises:
        SpecError: naming the nearest.
    """
    suite(room, task, Corpus(name=""), text)


def suite(room: Any, task: str, corpus: Corpus, text: str | None) -> Any:
    """The room's metrics.

    Args:
        text: their parameters as a JSON object; None for the usual ones.

    Raises:
        SpecError: if there is no such parameter, or it cannot have that value.
    """
    given = arguments.parse(text, "measure") if text else {}
    known = [name for name in inspect.signature(room.suite).parameters if name != "corpus"]
    for name in given:
        if name not in known:
            has = f"there are: {', '.join(known)}" if known else "there are none"
            raise SpecError(f"measure: the metrics of {task} have no parameter {name!r}{nearest(name, known)} ({has})")
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    try:
        return room.suite(corpus, **values)
    except (ValueError, TypeError) as error:
        raise SpecError(f"measure: {error}") from None
