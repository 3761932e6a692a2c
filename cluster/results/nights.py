"""Which runs belong to a night: they carry the tag `safelight.night`, `<entry>@<date>`.

What was tried again counts as it came out last; what failed before any run was made is a run of the job `night` that
says why.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from itertools import islice

from cluster.results.query import Run, Store, Term
from jobs.spec import SpecError

TAG = "safelight.night"
PLACEHOLDER = "night"
"""The job of a run that stands for a night that never came to one."""

_RECENT = 500


def newest(store: Store) -> str:
    """The date of the newest night.

    Raises:
        SpecError: if there was none yet.
    """
    recent = islice(store.runs([Term("tag", TAG, "%@%", like=True)], (), _RECENT), _RECENT)
    dates = [entry_and_date(run)[1] for run in recent]
    if not dates:
        raise SpecError("no night has been recorded yet: `safelight schedule tick` runs what is due")
    return max(dates)


def parsed(date: str) -> str:
    """A date as the tags have it.

    Raises:
        SpecError: if it is none.
    """
    try:
        return datetime.date.fromisoformat(date).isoformat()
    except ValueError:
        raise SpecError(f"night: expected a date such as 2026-01-31, got {date!r}") from None


def of_date(store: Store, date: str) -> list[Run]:
    """The runs of a night with all their metrics, newest first; of each entry and model the last that counts."""
    return latest(store.runs([Term("tag", TAG, f"%@{date}", like=True)], None, _RECENT))


def latest(runs: Iterable[Run]) -> list[Run]:
    """Of runs, newest first, those that no later attempt replaced."""
    kept: dict[tuple[str, str], Run] = {}
    for run in runs:
        entry = entry_and_date(run)[0]
        if run.job == PLACEHOLDER and any(name == entry for name, _ in kept):
            continue  # it was tried again, and came to a run
        kept.setdefault((entry, answered(run)), run)
    return list(kept.values())


def missing(store: Store, date: str, tonight: Sequence[Run]) -> dict[str, str]:
    """Entries without a record of this night, though they ran the day before and on this weekday a week before.

    Returns:
        Entry to the date on which it last ran.
    """
    day = datetime.date.fromisoformat(date)
    known = {entry_and_date(run)[0] for run in tonight}
    before = [(day - datetime.timedelta(days=days)).isoformat() for days in (1, 7)]
    usual = [{entry_and_date(run)[0] for run in of_date(store, other)} for other in before]
    return dict.fromkeys(sorted((usual[0] & usual[1]) - known), before[0])


def entry_and_date(run: Run) -> tuple[str, str]:
    """`nightly@2026-01-31` in two."""
    entry, _, date = run.tags[TAG].rpartition("@")
    return entry, date


def answered(run: Run) -> str:
    """What was judged: the model, or the predictions or table that stand for it."""
    return next((run.fields[name] for name in ("model", "predictions", "table") if run.fields.get(name)), "")
