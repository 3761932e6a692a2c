"""A candidate that passed gets an alias in the registry: the version that was judged, and no later one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cluster.client import connect
from cluster.registry import fetch, register, split_name
from cluster.schedule.entries import Entry
from cluster.schedule.judging import Candidate
from cluster.settings import Settings
from jobs.spec import JobFailed, SpecError


def promote(entry: Entry, candidates: Sequence[Candidate], where: Settings) -> tuple[Candidate, str] | None:
    """Give the alias to the best candidate that passed; which, and the reference that it has now.

    Raises:
        SpecError: if it is no model of the registry and the entry names none.
        JobFailed: if its reference names another model by now.
    """
    passed = [one for one in candidates if one.verdict == "pass"]
    if not passed or entry.promote is None:
        return None
    best = max(passed, key=lambda one: _gain(one, entry))
    return best, _named(best, entry.promote, where)


def _gain(one: Candidate, entry: Entry) -> float:
    """How much better it is by the first gate, over all images."""
    from jobs.disparate import upwards
    from vision import names

    gate = entry.gates[0]
    room = names.room(one.done.fields.get("task") or "classification")
    found = one.judgement.findings if one.judgement else ()
    values = [f.difference.value for f in found if f.gate == gate and not f.group]
    return (values[0] if upwards(room, gate.metric) else -values[0]) if values else 0.0


def _named(one: Candidate, alias: str, where: Settings) -> str:
    client, reference = connect(where), one.done.model
    name, _, mark = alias.rpartition("@")
    if not reference.startswith("models:/"):
        return _registered(client, one, alias)
    own, version = _version(client, reference)
    if name and name != own:
        raise SpecError(f"promote: {reference} is no model of {name}")
    if fetch(f"models:/{own}/{version}", where).digest != one.done.tags.get("model_digest"):
        raise JobFailed(f"{reference} names another model by now than the one that passed")
    client.set_registered_model_alias(own, mark, version)
    return f"models:/{own}@{mark}"


def _version(client: Any, reference: str) -> tuple[str, str]:
    """Name and version of `models:/NAME@ALIAS` or `models:/NAME/3`."""
    rest = reference.removeprefix("models:/")
    if "@" in rest:
        name, alias = split_name(rest)
        return name, str(client.get_model_version_by_alias(name, alias).version)
    name, _, version = rest.rpartition("/")
    return name, version


def _registered(client: Any, one: Candidate, alias: str) -> str:
    """A model folder put into the registry, with the alias."""
    folder = Path(one.done.model)
    if "@" not in alias:
        raise SpecError(f"promote: {one.done.model} is not in the registry; give NAME@ALIAS to put it there")
    if one.done.run_id is None or not (folder / "model.json").exists():
        raise SpecError(f"promote: {one.done.model} is no model folder that could be registered")
    return register(client, one.done.run_id, str(folder), alias)
