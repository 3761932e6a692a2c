"""The cells of a grid: every combination of what its axes hold, and what each net of it is called."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jobs import records, storage
from jobs.arguments import parse
from jobs.records import Reads
from jobs.spec import Context, SpecError
from vision import names

if TYPE_CHECKING:
    from jobs.study import Study

DEPTH = "{depth}"
"""What stands for the number of layers in the name of a net."""

NONE = "none"


def cells(axes: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Every combination, the last axis fastest; an axis of nothing is left out.

    >>> cells({"net": ["a", "b"], "depth": [], "seed": [0, 1]})[1]
    {'net': 'a', 'seed': 1}
    """
    used = {axis: list(dict.fromkeys(values)) for axis, values in axes.items() if values}
    return [dict(zip(used, combination, strict=True)) for combination in itertools.product(*used.values())]


def nets(study: Study) -> list[str]:
    """What is studied: the nets, then the models.

    Raises:
        SpecError: if there is none, or depths are named for models, or not named for nets that have a place for them.
    """
    found = [*study.nets, *study.models]
    if not found:
        raise SpecError("nets: a study needs nets (--nets nets.resnet:resnet20,...) or models to go on from (--models)")
    lacking = [name for name in found if DEPTH in name]
    if lacking and not study.depths:
        raise SpecError(f"depths: {lacking[0]} asks for some")
    if study.depths and study.models:
        raise SpecError("depths: a model has the depth that it was trained with; only nets drawn anew have others")
    return found


def arguments(study: Study, cell: Mapping[str, Any]) -> str:
    """What the net of a cell is built with, as JSON: a depth that its name has no place for is an argument."""
    given = {name: cell[name] for name in ("depth", "dropout") if name in cell}
    if DEPTH in cell["net"]:
        given.pop("depth")
    return json.dumps({**parse(study.arguments), **given})


def named(cell: Mapping[str, Any]) -> str:
    """The net of a cell, with its depth."""
    return str(cell["net"]).replace(DEPTH, str(cell.get("depth", "")))


def origin(study: Study, cell: Mapping[str, Any], context: Context) -> dict[str, str]:
    """The net of a cell as the field of a training: `net`, or `model` to go on from, by a folder if it has one."""
    if cell["net"] not in study.models:
        return {"net": named(cell)}
    folder = context.model(cell["net"]).folder
    return {"model": cell["net"] if folder is None else storage.absolute(str(folder))}


def reads(study: Study) -> dict[str, Any]:
    """The fields that choose records, with paths that mean the same in any process."""
    given = {name: getattr(study, name) for name in Reads.model_fields if name in study.model_fields_set}
    return {name: storage.absolute(value) if name in _PATHS else value for name, value in given.items()}


_PATHS = ("corpus", "join")


def deciding(job: Reads) -> dict[str, Any]:
    """What of a job's records and files decides an outcome: digests in place of where they lie."""
    _, corpus = records.open_corpus(job.corpus or "")
    found = {"corpus_digest": corpus.digest, "split": corpus.pick_split(job.split), **records.key(job)}
    preprocess, code = getattr(job, "preprocess", None), getattr(job, "code", None)
    if preprocess is not None:
        is_file = preprocess.endswith(".json") and storage.exists(preprocess)
        found["preprocess"] = hashlib.sha256(storage.read(preprocess)).hexdigest() if is_file else preprocess
    if code is not None:
        found["code_sha256"] = names.source_digest(code)
    return found


def local(path: str | None) -> str | None:
    """A file or folder of this machine by its whole path; what is no such is a name, and stays."""
    return storage.absolute(path) if path and "://" not in path and storage.exists(path) else path


def short(axis: str, value: Any) -> str:
    """A value as a label: of a net's dotted name the end, of a model's path the last part, all else as it is.

    >>> short("net", "nets.resnet:plain{depth}"), short("net", "models/mine/"), short("augment", "crop:4")
    ('plain', 'mine', 'crop:4')
    """
    if isinstance(value, float):
        return f"{value:g}"
    if axis != "net" or value.startswith(("models:/", "runs:/")):
        return str(value)
    return value.rstrip("/").rsplit("/", 1)[-1].rsplit(":", 1)[-1].replace(DEPTH, "") or str(value)
