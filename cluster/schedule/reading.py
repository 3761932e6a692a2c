"""`nightly.yaml` read: defaults laid under each entry, and every wrong word refused with file and entry named.

```yaml
defaults: {zone: Europe/Berlin, notify: "https://hooks.example.org/${HOOK}"}
entries:
  - name: photos
    at: "30 2 * * *"
    evaluate: {corpus: data/photos, model: "models:/photos@candidate"}
    against: models:/photos@champion
    gates: [{metric: top1, margin: 0.01, by: [camera]}]
    promote: champion
```
The job stands under its own name, or as `job:` with `fields:`. Words are read as YAML 1.2 has them: `on` is a word
and `16:30` a time, not true and 990.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pydantic
import yaml

from cluster.commands import job_class, job_names
from cluster.schedule.entries import FIGURING, LATEST, RUN, Entry, goes_with
from jobs.gates import Gate
from jobs.spec import SpecError, nearest

_OWN = ("name", "at", "after", "job", "fields")
"""Words that only an entry has."""


def read(path: Path) -> tuple[Entry, ...]:
    """The entries of a file, each after the one it waits for.

    Raises:
        SpecError: naming the file, the entry and the word, with the nearest known one.
    """
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), _Yaml)
    except OSError as error:
        raise SpecError(f"{path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SpecError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    try:
        return parse(found)
    except ValueError as error:
        raise SpecError(f"{path}: {error}") from None


def parse(found: Any) -> tuple[Entry, ...]:
    """Entries from plain values: a list, or a map of `defaults` and `entries`.

    Raises:
        SpecError: naming the entry and the word.
    """
    whole = {"entries": found} if isinstance(found, list) else found
    if not isinstance(whole, dict) or not isinstance(whole.get("entries"), list) or not whole["entries"]:
        raise SpecError("expected a list of entries, or a map with `entries` (a list) and `defaults`")
    for word in whole:
        if word not in ("defaults", "entries"):
            raise SpecError(f"no word {word!r}{nearest(str(word), ['defaults', 'entries'])}")
    defaults = whole.get("defaults") or {}
    _check_defaults(defaults)
    entries = [_entry(number, value, defaults) for number, value in enumerate(whole["entries"], 1)]
    return _chained(entries)


def _check_defaults(defaults: Any) -> None:
    known = [*Entry.model_fields, *job_names()]
    if not isinstance(defaults, dict):
        raise SpecError("defaults: expected a map of words")
    for word in defaults:
        if word not in known or word in _OWN:
            raise SpecError(f"defaults: no word {word!r}{nearest(str(word), [w for w in known if w not in _OWN])}")


def _entry(number: int, value: Any, defaults: Mapping[str, Any]) -> Entry:
    if not isinstance(value, dict):
        raise SpecError(f"entry {number}: expected a map of words, got {value!r}")
    where = f"entry {value.get('name', number)}"
    try:
        job, words = _split(value)
        entry: Entry = Entry(**_under(job, words, defaults))
        _ = entry.task
    except pydantic.ValidationError as error:
        raise SpecError(f"{where}: {_told(error)}") from None
    except ValueError as error:
        raise SpecError(f"{where}: {error}") from None
    return entry


def _split(value: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The job of an entry, and its words with `job` and `fields`."""
    jobs = job_names()
    known = [*Entry.model_fields, *jobs]
    for word in value:
        if word not in known:
            raise SpecError(f"no word {word!r}{nearest(str(word), known)}")
    given = [word for word in value if word in jobs] + (["job"] if "job" in value else [])
    if len(given) != 1:
        got = " and ".join(given) or "none"
        raise SpecError(f"takes one job, such as `evaluate: {{corpus: ..., model: ...}}`, got {got}")
    job = str(value["job"]) if given == ["job"] else given[0]
    fields = value.get("fields") if given == ["job"] else value[job]
    job_class(job)
    if not isinstance(fields or {}, dict):
        raise SpecError(f"{job}: expected a map of the job's fields, got {fields!r}")
    own = {name.replace("-", "_"): field for name, field in (fields or {}).items()}
    return job, {**{word: v for word, v in value.items() if word not in jobs}, "job": job, "fields": own}


def _under(job: str, words: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """An entry's words over the defaults that fit its job."""
    jobs, cls = job_names(), job_class(job)
    fitting = {
        word: value
        for word, value in defaults.items()
        if word not in jobs and goes_with(word, cls) and not (word == "zone" and "after" in words)
    }
    # A chained entry lives by the clock of the one it waits for; see `_chained`.
    if cls.figures:
        fitting = _figured(fitting, words)
    return {**fitting, **words, "fields": {**(defaults.get(job) or {}), **words["fields"]}}


def _figured(fitting: Mapping[str, Any], words: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults without a champion that is a model, or gates, that jobs of figures cannot have, and their rest."""
    kept = {word: value for word, value in fitting.items() if _is_of_figures(word, value)}
    whole = {*kept, *words} >= {*FIGURING}
    return {word: value for word, value in kept.items() if whole or word not in FIGURING}


def _is_of_figures(word: str, value: Any) -> bool:
    if word == "against":
        return value == LATEST or bool(RUN.fullmatch(str(value)))
    if word == "gates" and isinstance(value, list):
        return not any(isinstance(gate, dict) and gate.get("kind", "paired") != "paired" for gate in value)
    return True


def _told(error: pydantic.ValidationError) -> str:
    first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
    place = ".".join(str(part) for part in first["loc"] if not str(part).startswith(("function-", "tuple[", "str")))
    if first["type"] == "extra_forbidden":
        word = str(first["loc"][-1])
        return f"{place.rpartition('.')[0]}: no word {word!r}{nearest(word, [*Gate.model_fields])}"
    if first["type"] == "missing":
        return f"needs {place}"
    message = first["msg"].removeprefix("Value error, ")
    return f"{place}: {message[0].lower()}{message[1:]}, got {first['input']!r}" if place else message


def _chained(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """The entries in an order in which each comes after the one it waits for, in that one's zone."""
    names = [entry.name for entry in entries]
    for entry in entries:
        if names.count(entry.name) > 1:
            raise SpecError(f"two entries are called {entry.name}")
        if entry.after is not None and entry.after not in names:
            raise SpecError(f"entry {entry.name}: after: no entry {entry.after!r}{nearest(entry.after, names)}")
    placed: dict[str, Entry] = {}
    while len(placed) < len(entries):
        ready = [e for e in entries if e.name not in placed and (e.after is None or e.after in placed)]
        if not ready:
            left = [name for name in names if name not in placed]
            raise SpecError(f"entry {left[0]}: after leads round in a circle ({', '.join(left)})")
        for entry in ready:
            zone = entry.zone if entry.after is None else placed[entry.after].zone
            placed[entry.name] = entry.model_copy(update={"zone": zone})
    return tuple(placed.values())


class _Yaml(yaml.SafeLoader):
    """YAML 1.2's words, and no key twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} is given twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


_CHANGED = {f"tag:yaml.org,2002:{kind}" for kind in ("bool", "int", "timestamp")}
_Yaml.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rules if tag not in _CHANGED]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Yaml.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"(?:true|false|True|False|TRUE|FALSE)$"), list("tTfF")
)
_Yaml.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789"))
