"""What an output says of each stage: whether it is complete, what decided it, and the digest of all it left.

One file a stage, `state/STAGE/stage.json`; nothing in it changes from run to run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from jobs import storage
from jobs.spec import SpecError
from jobs.stages.stage import Stage
from jobs.volumes.writing import ARRAY

FORMAT = 1
RECORD = "stage.json"


def folder(output: str, name: str) -> str:
    """Where what is known of a stage lies."""
    return storage.join(output, "state", name)


def sweep(output: str, stage: Stage) -> int:
    """Remove the temporary files that killed jobs left beside what is written once a stage; how many there were.

    Those beside shards are left to the workers, who know which are missing.
    """
    places = [output, folder(output, stage.name), *([stage.folder] if stage.folder else [])]
    if stage.target is not None:
        places += [stage.target.url, storage.join(stage.target.url, ARRAY)]
    return sum(storage.sweep(place) for place in places)


def read(output: str, name: str) -> dict[str, Any] | None:
    """What is known of a stage; None if it was never begun.

    Raises:
        SpecError: if that is damaged.
    """
    place = storage.join(folder(output, name), RECORD)
    try:
        found = json.loads(storage.read(place))
    except FileNotFoundError:
        return None
    except ValueError:
        raise SpecError(f"{place} is damaged: choose another --output") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise SpecError(f"{place} is of another version: choose another --output")
    return found


def write(
    output: str,
    name: str,
    fingerprint: str,
    identity: Mapping[str, Any],
    digest: str | None,
    blocks: int | None = None,
    counts: Mapping[str, int] | None = None,
) -> None:
    """Say what a stage is, and with a digest that it is complete."""
    facts = {
        "format": FORMAT, "stage": name, "complete": digest is not None, "fingerprint": fingerprint,
        "identity": identity, "digest": digest, "blocks": blocks, "counts": dict(sorted((counts or {}).items())),
    }  # fmt: skip
    data = json.dumps(facts, indent=1, sort_keys=True).encode() + b"\n"
    storage.write(storage.join(folder(output, name), RECORD), data)
