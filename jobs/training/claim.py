"""What an output folder of a training holds: `training.json` says which one, so that no other goes on with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from jobs import storage
from jobs.spec import SpecError
from jobs.training import checkpoint

MANIFEST = "training.json"
FORMAT = 1


def take(output: str, identity: Mapping[str, Any], resume: bool) -> bool:
    """Say what training the folder is for, or find that it is the same; whether there is one to go on with.

    Raises:
        SpecError: if it holds another training, naming the first field that differs, or something else.
    """
    url = storage.join(output, MANIFEST)
    if storage.exists(url):
        if resume:
            _compare(output, _read(url), identity)
            return bool(checkpoint.found(output))
        _clear(output)
    elif storage.files(output):
        raise SpecError(f"{output} is not empty and holds no training: choose another --output")
    facts = {"format": FORMAT, "identity": identity}
    storage.write(url, json.dumps(facts, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n")
    return False


def _read(url: str) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = json.loads(storage.read(url))
        if facts["format"] != FORMAT:
            raise SpecError(f"{url} is of format {facts['format']!r}, which this version cannot read")
        return dict(facts["identity"])
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, SpecError):
            raise
        raise SpecError(f"{url} is damaged") from None


def _compare(output: str, held: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
    if held.get("corpus_digest") != identity.get("corpus_digest", held.get("corpus_digest")):
        raise SpecError(
            f"the corpus changed since the checkpoints in {output} were written (digest"
            f" {str(held.get('corpus_digest'))[:12]} there, {identity['corpus_digest'][:12]} now): name the version"
            " that it was begun with (CORPUS@N), or begin anew with --no-resume"
        )
    for name in sorted({*held, *identity}):
        if held.get(name) != identity.get(name):
            raise SpecError(
                f"{output} holds another training: {name} is {held.get(name)!r} there and {identity.get(name)!r} now;"
                " choose another --output, or begin anew with --no-resume"
            )


def _clear(output: str) -> None:
    """Remove what a training left, the model first, so that no half of one is ever found."""
    mine = ("model.json", "weights.safetensors", MANIFEST)
    names = storage.files(output)
    for name in sorted(names, key=lambda n: not n.endswith("model.json")):
        if name in mine or name.split("/")[0] in (checkpoint.FOLDER, "last", "registered", "trace", "kernels"):
            storage.remove(storage.join(output, name))
