"""What differs between two sets of answers: the model, the data or the code, as their own manifests tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.answers import Answers
from jobs.engine import commit
from jobs.spec import SpecError

_MODEL = ("model", "net", "task")
_CODE = (
    "kernel", "decoder", "answers", "code_sha256", "keep_logits", "embedding", "crops", "scales", "dense", "flip",
)  # fmt: skip
_ROWS = ("where", "limit", "sample", "seed", "stratify", "join_sha256", "on")


SAME = "baseline and candidate are the same model on the same images: there is nothing to compare"


def cause(baseline: Answers, candidate: Answers, *, paired: bool = True) -> str:
    """What could have made a difference: "model", "data", "code", several joined by "and", "nothing" or "unknown".

    Image by image (`paired`) data is other when a shard that both answer has other bytes, or when what was joined or
    chosen differs; a corpus that only grew is the same data for the images both answered, and other data where two
    sets of images are compared. Of tables from elsewhere nothing is known.
    """
    ours, theirs = _manifest(baseline), _manifest(candidate)
    if ours is None or theirs is None:
        return "unknown"
    first, second = ours["identity"], theirs["identity"]
    changed = {
        "model": _differ(first, second, _MODEL),
        "data": _differ(first, second, _ROWS) or _other_bytes(ours["shards"], theirs["shards"], paired),
        "code": _differ(first, second, _CODE),
    }
    return " and ".join(name for name, other in changed.items() if other) or "nothing"


def refuse_same(baseline: Answers, candidate: Answers) -> None:
    """Refuse one model on the same images, against itself.

    Raises:
        SpecError: if that is what they are.
    """
    same = baseline.output == candidate.output
    keys = ("model_digest", "kernel", "corpus_digest", "split", "subset")
    if "model_digest" in baseline.tags:
        alike = all(baseline.tags.get(key) == candidate.tags.get(key) for key in keys)
        same = same or (alike and cause(baseline, candidate) in ("nothing", "unknown"))
    if same:
        raise SpecError(SAME)


def _manifest(answers: Answers) -> Mapping[str, Any] | None:
    return commit.read_manifest(answers.output) if "model_digest" in answers.tags else None


def _differ(first: Mapping[str, Any], second: Mapping[str, Any], names: tuple[str, ...]) -> bool:
    return any(first.get(name) != second.get(name) for name in names)


def _other_bytes(first: Mapping[str, Any], second: Mapping[str, Any], paired: bool) -> bool:
    """Whether a shard of both has other bytes; of two sets, whether either has a shard that the other lacks."""
    common = first.keys() & second.keys()
    if not common or (not paired and first.keys() != second.keys()):
        return True
    return any(first[file]["input_sha256"] != second[file]["input_sha256"] for file in common)
