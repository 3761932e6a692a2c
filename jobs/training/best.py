"""What the best weights of a training are chosen by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jobs.spec import SpecError, nearest

if TYPE_CHECKING:
    from jobs.train import Train


def nothing_to_choose_by(job: Train, field: str) -> None:
    if job.best_by:
        raise SpecError(f"best_by: there is nothing to choose by without --{field}")


def chosen_by(job: Train, known: Sequence[str]) -> str:
    """The metric that chooses the best weights; the first one where none is named.

    Raises:
        SpecError: if there is no such metric.
    """
    name = job.best_by or known[0]
    if name not in known:
        raise SpecError(f"best_by: no metric {name!r}{nearest(name, list(known))} (there are: {', '.join(known)})")
    return name
