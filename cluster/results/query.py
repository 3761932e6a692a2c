"""Which runs: by job, by fields and facts, by time; newest first, a page at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Literal, Protocol

from cluster.masking import as_parameter
from cluster.settings import Settings, settings
from jobs.spec import SpecError, nearest

if TYPE_CHECKING:
    from vision.accumulator import Estimate

FACTS = ("job", "output", "user", "commit", "version", "error")
"""What every run may have besides its fields; kept as tags `safelight.<name>`."""

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True)
class Term:
    """One condition. `kind` says where `key` lies; `tag` keys are whole.

    Attributes are status, started (at or after), run_id (its beginning) and after (`<milliseconds> <run id>`: what the
    order has behind that run). With `like`, a `%` in the value stands for anything.
    """

    kind: Literal["param", "tag", "attribute"]
    key: str
    value: str
    like: bool = False


@dataclass(frozen=True)
class Run:
    """A run as far as it was asked for.

    Times are milliseconds since 1970, `fields` and `tags` text; `experiment` is an id.
    """

    run_id: str
    status: str
    started_ms: int
    ended_ms: int | None
    artifact_uri: str
    fields: dict[str, str]
    tags: dict[str, str]
    metrics: dict[str, Estimate] = field(default_factory=dict)
    experiment: str = ""

    @property
    def job(self) -> str:
        return self.fact("job") or ""

    @property
    def output(self) -> str | None:
        return self.fact("output")

    @property
    def facts(self) -> dict[str, str]:
        """What is known of the run besides its fields."""
        return {k.removeprefix("safelight."): v for k, v in self.tags.items() if k.startswith("safelight.")}

    def fact(self, name: str) -> str | None:
        """A fact of the run, or None."""
        return self.tags.get(f"safelight.{name}")


@dataclass(frozen=True)
class Query:
    """What is asked for. `metrics` are the names to load; None: all.

    `after` is the run that the page before ended with: a run that was recorded since moves nothing.
    """

    job: str | None = None
    where: tuple[tuple[str, str], ...] = ()
    since_ms: int | None = None
    metrics: tuple[str, ...] | None = ()
    limit: int | None = None
    after: str | None = None

    @classmethod
    def of(
        cls,
        job: str | None,
        where: Sequence[tuple[str, str]],
        since: str | None,
        *,
        metrics: tuple[str, ...] | None = (),
        limit: int | None = None,
        after: str | None = None,
    ) -> Query:
        """A query from the words of a command.

        Raises:
            SpecError: if `since` is no time.
        """
        return cls(job, tuple(where), None if since is None else since_ms(since), metrics, limit, after)


class Store(Protocol):
    """Where runs are read from."""

    def runs(self, terms: Sequence[Term], metrics: Sequence[str] | None, page: int) -> Iterator[Run]:
        """Runs that meet all terms, newest first (of one moment by id), `page` at a time, with these metrics or all."""
        ...

    def fields(self) -> list[str]:
        """The names of the fields that recent runs have."""
        ...


def search(query: Query, where: Settings | None = None) -> list[Run]:
    """The runs asked for, newest first.

    Raises:
        SpecError: if no run has a field or fact that is asked for, or `after` names none.
        JobFailed: if the server cannot be reached.
    """
    store = open_store(where or settings())
    terms = [] if query.job is None else [Term("tag", "safelight.job", query.job)]
    terms += [placed(store, key, value) for key, value in query.where]
    if query.since_ms is not None:
        terms.append(Term("attribute", "started", str(query.since_ms)))
    if query.after is not None:
        last = _one(store, query.after)
        terms.append(Term("attribute", "after", f"{last.started_ms} {last.run_id}"))
    page = 500 if query.limit is None else min(500, query.limit)
    return list(islice(store.runs(terms, query.metrics, page), query.limit))


def find_run(reference: str, where: Settings | None = None) -> Run:
    """The run of an id, of the beginning of one, or the `latest`; with all its metrics.

    Raises:
        SpecError: if there is none or more than one.
    """
    return _one(open_store(where or settings()), reference)


def _one(store: Store, reference: str) -> Run:
    if reference == "latest":
        found = list(islice(store.runs([], None, 1), 1))
        if not found:
            raise SpecError("there are no runs yet")
        return found[0]
    if not re.fullmatch(r"[0-9a-f]{1,32}", reference):
        raise SpecError(f"{reference!r} is not the id of a run, the beginning of one, or `latest`")
    found = list(islice(store.runs([Term("attribute", "run_id", reference)], None, 5), 5))
    if not found:
        raise SpecError(f"no run begins with {reference}")
    if len(found) > 1:
        raise SpecError(f"several runs begin with {reference}: {', '.join(run.run_id[:12] for run in found)}")
    return found[0]


def open_store(where: Settings) -> Store:
    """The way to the runs: MLflow's client, or the database file itself where that is all there is.

    The client takes two seconds to import, which is longer than anything asked here takes; the file is read
    directly if its tables are those we know.
    """
    from cluster import reach
    from cluster.results.local import LocalStore

    if where.database is not None and (local := LocalStore.open(where.database, where.experiment)) is not None:
        return local
    from cluster.results.remote import RemoteStore

    reach.check(where)
    return RemoteStore(where)


def placed(store: Store, key: str, value: str) -> Term:
    """A `key=value` with where its key lies.

    Raises:
        SpecError: if no run has it, with the nearest name.
    """
    if key == "status":
        return Term("attribute", "status", value.upper())
    if key in FACTS:
        return Term("tag", f"safelight.{key}", value)
    if key in store.fields():  # what recent runs have, seen without a search through all
        return Term("param", key, as_parameter(value))
    for term in (Term("param", key, "%", like=True), Term("tag", f"safelight.{key}", "%", like=True)):
        if next(store.runs([term], (), 1), None) is not None:
            return Term(term.kind, term.key, as_parameter(value))
    known = [*store.fields(), *FACTS, "status"]
    if len(known) == len(FACTS) + 1:
        return Term("param", key, as_parameter(value))  # nothing was recorded yet, so nothing can be misspelt
    raise SpecError(f"where: no run has {key!r}{nearest(key, known)}")


def pair(text: str) -> tuple[str, str]:
    """`k=v` as (k, v).

    Raises:
        SpecError: if it is not of that form.
    """
    key, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[\w.\-/ ]+", key):
        raise SpecError(f"where: expected field=value, got {text!r}")
    return key, value


def since_ms(text: str, now: datetime | None = None, name: str = "since") -> int:
    """`14d`, `12h`, `30m`, `2w` before now, or a date (with a time if wanted; UTC unless it says otherwise).

    `name` is the option that an error is about.

    Raises:
        SpecError: if it is neither.
    """
    match = re.fullmatch(r"(\d{1,6})([mhdw])", text)
    if match:
        ago = timedelta(**{_UNITS[match[2]]: int(match[1])})
        return int(((now or datetime.now(UTC)) - ago).timestamp() * 1000)
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        raise SpecError(f"{name}: expected 14d, 12h, 30m, 2w or a date such as 2026-01-31, got {text!r}") from None
    return int((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() * 1000)
