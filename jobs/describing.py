"""What a thing is: a corpus, predictions, a model or a net, told by the facts that its own files hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pyarrow.parquet as pq

from jobs import layers, storage
from jobs.answers import Answers
from jobs.engine import commit
from jobs.evaluate import Evaluate
from jobs.examples import find_images
from jobs.records import open_corpus
from jobs.spec import Context, SpecError
from vision.corpus import Corpus
from vision.kernels import artifact
from vision.kernels.probe import Check
from vision.model import ONNX, Model

Facts = dict[str, Any]

SHEET = 48


def describe(reference: str, context: Context, inputs: str | None = None, arguments: str | None = None) -> Facts:
    """The facts about what `reference` names, in the order to show them.

    Args:
        inputs: shapes that a net takes, such as "3x224x224"; from the model's preprocessing unless given.
        arguments: JSON of the arguments that a net named by its dotted name is built with.

    Raises:
        SpecError: if it names nothing that safelight knows.
    """
    kind = kind_of(reference)
    if kind == "corpus":
        return _corpus(*open_corpus(reference))
    if kind == "predictions":
        return _predictions(storage.absolute(reference))
    model = context.model(reference)
    if arguments is not None:
        model = layers.with_arguments(model, arguments)
    return _model(model, inputs)


def kind_of(reference: str) -> str:
    """`corpus`, `predictions` or `model`: by the manifest that lies there, or by how the name is made.

    Raises:
        SpecError: if nothing is there.
    """
    place, _, version = reference.rpartition("@")
    folder = place if version.isdigit() and place else reference
    if reference.startswith(("models:/", "runs:/")):
        return "model"
    for kind, manifest in (("corpus", "corpus.json"), ("predictions", commit.MANIFEST), ("model", "model.json")):
        if storage.exists(storage.join(storage.absolute(folder), manifest)):
            return kind
    if ":" in reference and "/" not in reference:
        return "model"
    raise SpecError(f"{reference}: no corpus, predictions or model there")


def _corpus(url: str, corpus: Corpus) -> Facts:
    shards = corpus.present()
    splits = {split: sum(s.rows for s in corpus.present(split)) for split in corpus.splits}
    return {
        "corpus": corpus.name,
        "at": url,
        "version": corpus.version,
        "digest": corpus.digest,
        "rows": f"{corpus.rows:,} ({', '.join(f'{split} {rows:,}' for split, rows in splits.items())})",
        "to look at": looking_time(corpus.rows),
        "shards": f"{len(shards):,} of {sum(s.bytes for s in shards) / 2**20:,.1f} MiB",
        "columns": ", ".join(f"{name} {kind}" for name, kind in corpus.columns.items()),
        "classes": _listed(corpus.classes),
        **{f"group {name}": ", ".join(values) for name, values in corpus.groups.items()},
        "source": corpus.source,
        "licence": corpus.licence or "not stated",
        "notes": "; ".join(corpus.notes),
    }


def looking_time(images: int, seconds: float = 2.0) -> str:
    """How long a person would look at them all, without a pause.

    >>> looking_time(1_200_000)
    '27.8 days at 2 s each'
    """
    needed = images * seconds
    # A unit is used from two of it on: 27.8 hours say more than 1.2 days.
    units = (("days", 86_400), ("hours", 3_600), ("minutes", 60), ("seconds", 1))
    unit, size = next((pair for pair in units if needed >= 2 * pair[1]), units[-1])
    return f"{needed / size:.1f} {unit} at {seconds:g} s each"


def _predictions(url: str) -> Facts:
    manifest = commit.read_manifest(url)
    first = next(iter(storage.files(url, ".parquet")), None)
    columns = {} if first is None else _columns(storage.join(url, first))
    return {
        "predictions": url,
        "complete": "yes" if manifest["complete"] else "no: run the same predict again to finish",
        "rows": f"{manifest['rows']:,}, {manifest['errors']:,} of them broken images",
        "shards": f"{len(manifest['shards']):,}",
        "columns": ", ".join(f"{name} {kind}" for name, kind in columns.items()),
        "classes": _listed(manifest["classes"]),
        **manifest["identity"],
    }


def _columns(url: str) -> Mapping[str, str]:
    filesystem, path = storage.locate(url)
    with filesystem.open_input_file(path) as stream:
        return {field.name: str(field.type) for field in pq.read_schema(stream)}


def _model(model: Model, inputs: str | None) -> Facts:
    facts: Facts = {
        "model": str(model.folder or model.net),
        "net": model.net,
        "arguments": json.dumps(dict(model.arguments)),
        "digest": model.digest,
        "weights": model.weights,
        "task": model.task,
        "preprocessing": json.dumps(model.preprocessing.to_dict()),
        "classes": _listed(model.classes),
    }
    facts |= _kernels(model)
    if model.net != ONNX:
        facts |= layers.facts(model, inputs)
    return facts


def _kernels(model: Model) -> Facts:
    """What the checks of each compiled artifact in the model's folder found."""
    found: Facts = {}
    for folder in sorted((model.folder / "kernels").glob("openvino-*")) if model.folder else []:
        for precision, check in artifact.facts(folder).get("checks", {}).items():
            found[f"kernel {folder.name.rpartition('-')[0]} {precision}"] = str(Check(**check))
    return found


def _listed(names: Any) -> str:
    if not names:
        return "not named"
    shown = ", ".join(names[:8])
    return f"{len(names)}: {shown}{', ...' if len(names) > 8 else ''}"


def pictures(reference: str) -> list[tuple[bytes, str]]:
    """The first images of a corpus or of predictions, each with its labels, for a contact sheet.

    Raises:
        SpecError: if it is a model.
    """
    kind = kind_of(reference)
    if kind == "model":
        raise SpecError("sheet: a model has no pictures")
    if kind == "predictions":
        answers = Evaluate(predictions=reference).answers()
        url, corpus, captions = _answered(answers)
    else:
        url, corpus = open_corpus(reference)
        captions = _labelled(url, corpus)
    images = find_images(url, [shard.file for shard in corpus.present()], list(captions))
    return [(images[id_], caption) for id_, caption in captions.items() if id_ in images]


def _labelled(url: str, corpus: Corpus) -> dict[str, str]:
    captions: dict[str, str] = {}
    for shard in corpus.present():
        filesystem, path = storage.locate(storage.join(url, shard.file))
        wanted = ["id", "label"] if "label" in corpus.columns else ["id"]
        with filesystem.open_input_file(path) as stream:
            table = pq.read_table(stream, columns=wanted).slice(0, SHEET - len(captions))
        labels = table["label"].to_pylist() if "label" in wanted else [None] * len(table)
        captions |= {i: _name(corpus, n) or i for i, n in zip(table["id"].to_pylist(), labels, strict=True)}
        if len(captions) >= SHEET:
            break
    return captions


def _answered(answers: Answers) -> tuple[str, Corpus, dict[str, str]]:
    if answers.reading is None:
        raise SpecError("sheet: a table has no pictures")
    table = next(answers.tables()).slice(0, SHEET)
    truths = table["label"].to_pylist() if "label" in table.column_names else [None] * len(table)
    rows = zip(table["id"].to_pylist(), truths, table["predicted_label"].to_pylist(), strict=True)
    said = {i: (_name(answers.corpus, truth), _name(answers.corpus, label)) for i, truth, label in rows}
    captions = {i: label if truth in (None, label) else f"{label} (is {truth})" for i, (truth, label) in said.items()}
    return answers.reading.url, answers.reading.corpus, {i: caption or "broken" for i, caption in captions.items()}


def _name(corpus: Corpus, label: Any) -> str | None:
    if label is None:
        return None
    known = isinstance(label, int) and corpus.classes is not None and label < len(corpus.classes)
    return corpus.classes[label] if known and corpus.classes else str(label)
