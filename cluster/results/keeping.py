"""Runs that are never cleaned away: champions, and the evidence of gates.

Where it cannot be told which run a gate compared with, more is kept rather than less: a model's reference may have
named another model by then.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cluster.client import connect
from cluster.results.query import Run, Term, open_store
from cluster.settings import Settings, quiet_mlflow
from jobs.spec import JobFailed

JUDGED = "safelight.verdict"
AGAINST = "safelight.against"
REASONS = {
    "aliased": "their model versions have an alias in the registry",
    "champion": "their model is a champion's",
    "judged": "a gate judged them",
    "compared": "a gate compared with them",
}
"""Why a run is kept, the first that holds."""

_RECORDS = ("corpus_digest", "split", "subset")


@dataclass(frozen=True)
class Champions:
    """What the registry and the gates name: runs by id, and models by their references."""

    aliased: frozenset[str]
    models: frozenset[str]


def sorted_out(found: Sequence[Run], where: Settings) -> tuple[list[Run], dict[str, int]]:
    """The runs of `found` that may go, and how many stay by reason (those of `REASONS` that occur).

    Raises:
        JobFailed: if the registry cannot be asked: then nothing may go.
    """
    if not found:
        return [], {}
    judged = _judged(where)
    champions, compared = _champions(judged, where), _compared(judged, found)
    going: list[Run] = []
    staying = dict.fromkeys(REASONS, 0)
    for run in found:
        reason = _reason(run, champions, compared)
        if reason is None:
            going.append(run)
        else:
            staying[reason] += 1
    return going, {reason: count for reason, count in staying.items() if count}


def _reason(run: Run, champions: Champions, compared: frozenset[str]) -> str | None:
    if run.run_id in champions.aliased:
        return "aliased"
    if JUDGED in run.tags or AGAINST in run.tags:
        return "judged"
    if run.run_id in compared or run.fact("role") == "champion":
        return "compared"
    return "champion" if champions.models & _words(run.fields.get("model", "")) else None


def _words(models: str) -> set[str]:
    """A field may name several models, by commas."""
    return {word for word in models.split(",") if word}


def _judged(where: Settings) -> list[Run]:
    """The runs that gates judged, newest first."""
    store = open_store(where)
    found = {run.run_id: run for key in (JUDGED, AGAINST) for run in store.runs([Term("tag", key, "%", True)], (), 500)}
    return list(found.values())


def _champions(judged: Iterable[Run], where: Settings) -> Champions:
    runs, models = _aliased(where)
    against = {run.tags[AGAINST] for run in judged if AGAINST in run.tags}
    models |= {reference for reference in against if not _is_run(reference)}
    store = open_store(where)
    for reference in filter(_is_run, against):
        for run in store.runs([Term("attribute", "run_id", reference)], (), 1):
            models |= _words(run.fields.get("model", ""))
    return Champions(frozenset(runs), frozenset(models))


def _aliased(where: Settings) -> tuple[set[str], set[str]]:
    """The runs that registered model versions with an alias, and the references of these."""
    quiet_mlflow()
    from mlflow.exceptions import MlflowException

    runs: set[str] = set()
    models: set[str] = set()
    try:
        client = connect(where)
        for model in _registered(client):
            for alias, version in dict(model.aliases).items():
                run_id = client.get_model_version(model.name, str(version)).run_id
                models |= {f"models:/{model.name}@{alias}", f"models:/{model.name}/{version}"}
                if run_id:
                    runs.add(run_id)
                    models |= {f"runs:/{run_id}", f"runs:/{run_id}/model"}
    except MlflowException as error:
        raise JobFailed(f"MLflow does not say which models have an alias: {str(error).splitlines()[0]}") from None
    return runs, models


def _registered(client: Any) -> Iterable[Any]:
    token = None
    while True:
        page = client.search_registered_models(max_results=100, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _compared(judged: Iterable[Run], found: Sequence[Run]) -> frozenset[str]:
    """Those of `found` that a gate compared with."""
    by_records: dict[tuple[str | None, ...], list[Run]] = {}
    for run in found:
        by_records.setdefault(_records(run), []).append(run)
    kept: set[str] = set()
    for run in judged:
        against = run.tags.get(AGAINST, "")
        if _is_run(against):
            kept.add(against)
        else:
            kept |= {other.run_id for other in _opponents(run, against, by_records.get(_records(run), []))}
    return frozenset(kept)


def _opponents(run: Run, against: str, alike: Sequence[Run]) -> list[Run]:
    """Of the runs on the same records, those that may have been the champion's.

    Answers that were there already were taken by the model's digest, under whatever name it had run. Which digest that
    was, earlier runs under the champion's name tell; without any, each earlier run may have been it.
    """
    if _records(run)[0] is None:
        return []
    earlier = [other for other in alike if other.started_ms <= (run.ended_ms or run.started_ms)]
    digests = {other.fact("model_digest") for other in earlier if against in _words(other.fields.get("model", ""))}
    return [other for other in earlier if other.fact("model_digest") in digests] if digests else earlier


def _records(run: Run) -> tuple[str | None, ...]:
    """What tells which records were answered."""
    return tuple(run.fact(name) for name in _RECORDS)


def _is_run(reference: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{32}", reference) is not None
