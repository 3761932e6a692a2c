"""The engine's verbs for drivers: `read` chooses records, `apply` answers them in bulk, `fold` sums over answers.

A driver says what it wants of which records and never how: shards, workers, retries and commits are the engine's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from jobs import compiling, decoding, records, storage
from jobs.answers import Answers
from jobs.asking import Predicting, title
from jobs.compiling import Log
from jobs.decoding import Decoder, Prepared
from jobs.engine import commit, run
from jobs.engine.plan import ANSWER_VERSION, Plan, plan
from jobs.engine.replica import Replica, Target
from jobs.engine.selection import resolve
from jobs.probing import PROBED, cost
from jobs.reading import Reading
from jobs.records import CORPUS, Reads
from jobs.spec import Context, SpecError
from vision import gpu_loading, image, kernel, names
from vision.accumulator import Accumulator
from vision.corpus import Corpus
from vision.explaining import Method
from vision.model import Model
from vision.predictor import Asked
from vision.protocol import Views


def read(job: Reads) -> Reading:
    """The records that a job's fields name.

    Raises:
        SpecError: if the corpus, the split or a column is not there.
    """
    if job.corpus is None:
        raise SpecError(f"corpus: {CORPUS}")
    url, corpus = records.open_corpus(job.corpus)
    split = corpus.pick_split(job.split)
    return Reading(url, corpus, split, job, resolve(job, url, corpus, split))


@dataclass(frozen=True)
class Applied:
    """What came of one model: its answers and tally, or why there are none."""

    answers: Answers
    tally: run.Tally
    failure: str | None


def apply_all(reading: Reading, asked: Sequence[tuple[Model, Predicting, Context]]) -> list[Applied]:
    """Answer records with several models in one pass: each picture is fetched once. The first job says with what.

    Raises:
        SpecError: if an output holds something else, or two models have one output.
        JobFailed: if too many images are broken, or the work cannot be done.
    """
    decoder = _decoder(reading, asked)
    prepared = [(*_prepared(reading, model, job, context.log, decoder), context) for model, job, context in asked]
    outputs = [target.output for target, _, _ in prepared]
    if len(set(outputs)) < len(outputs):
        raise SpecError(f"two of the models have one output, {outputs[0]}: give them different names")
    first = asked[0][1]
    with ExitStack() as claims:
        for output in outputs:
            claims.enter_context(storage.claim(output))
        courses = [_course(reading, *one) for one in prepared]
        targets = tuple(course.target for course in courses)
        replica = Replica(reading.url, targets, reading.selection, first.code, decoder=decoder)
        run.carry_out(courses, replica, first)
    return [_applied(reading, course) for course in courses]


def _decoder(reading: Reading, asked: Sequence[tuple[Model, Predicting, Context]]) -> Decoder:
    """Who decodes, for all models alike."""
    first, context = asked[0][1:]
    if not decoding.open_to_choice(first.decode, first.gpus_per_worker):
        return "cpu"
    either: dict[Decoder, list[Prepared]] = {
        decoder: [_prepared(reading, model, job, _unsaid, decoder) for model, job, _ in asked]
        for decoder in ("gpu", "cpu")
    }
    todo = _planned(reading, *either["cpu"][0])
    replica = Replica(reading.url, tuple(target for target, _ in either["cpu"]), reading.selection, first.code)
    return decoding.choose(first, either, todo, replica, context.log)


def _course(reading: Reading, target: Target, identity: dict[str, Any], context: Context) -> run.Course:
    commit.begin(target.output, identity, target.model.classes)
    todo = _planned(reading, target, identity)
    if todo.done:
        context.log(f"{len(todo.done)} of {len(todo.done) + len(todo.missing)} shards are answered already")
    return run.Course(target, identity, context, todo)


def _applied(reading: Reading, course: run.Course) -> Applied:
    output = course.target.output
    answers = Answers(output, reading.corpus) if course.failure else Answers.of(output, reading)
    return Applied(answers, course.tally, course.failure)


def estimate(reading: Reading, model: Model, job: Predicting) -> Mapping[str, str]:
    """What `apply` would cost, from a short probe."""
    target, identity = _prepared(reading, model, job, _unsaid, "gpu" if job.decode == "gpu" else "cpu")
    workers = job.workers if job.workers is not None else os.cpu_count()
    todo = _planned(reading, target, identity)
    replica = Replica(reading.url, (target,), reading.selection, job.code)
    # Where each picture is seen many times, a few of them tell enough.
    probed = max(1, PROBED // target.passes)
    return {"output": target.output, **cost(reading, todo, replica, max(workers or 1, 1), probed)}


def _unsaid(_message: str) -> None:
    """For an estimate, which says what it found in one piece."""


def _prepared(reading: Reading, model: Model, job: Predicting, log: Log, decoder: Decoder) -> Prepared:
    """Where the answers go, and what decides them."""
    asked = compiling.choose(model, _asked(model, job), job.kernel, job.precision, job.code, log)
    _check_classes(reading.corpus, model)
    version = gpu_loading.decoder_version() if decoder == "gpu" else image.decoder_version()
    identity = _identity(reading, model, asked, job) | {"decoder": version}
    return Target(storage.absolute(job.output or _beside(reading, model, identity)), model, asked), identity


def _planned(reading: Reading, target: Target, identity: Mapping[str, Any]) -> Plan:
    return plan(target.output, reading.corpus.present(reading.split), identity, reading.selection)


def fold(answers: Answers, zero: Accumulator) -> Any:
    """Sum a state over all answers."""
    state = zero
    for batch in answers.batches():
        state = state.update(batch)
    return state


def _asked(model: Model, job: Predicting) -> Asked:
    device = "cuda" if job.gpus_per_worker else "cpu"
    batch = job.batch_size or kernel.batch_size(device)
    views, method = _views(model, job), _method(model, job)
    return Asked(batch, device, job.keep_logits, job.embedding, views=views, method=method)


def _method(model: Model, job: Predicting) -> Method | None:
    """How a job explains answers; None where it does not."""
    try:
        method = job.explaining()
        if method is not None:
            method.check(model.preprocessing.size)
    except ValueError as error:
        raise SpecError(str(error)) from None
    return method


def _views(model: Model, job: Predicting) -> Views | None:
    """How a job looks at pictures; None for the one crop of the model's own preprocessing."""
    if job.dense and job.embedding:
        raise SpecError("embedding: a map of scores has no one embedding; leave out --dense")
    crops = int(job.crops or (0 if job.dense else 1))
    mirrored = job.flip or crops in (10, 50)
    try:
        views = Views(model.preprocessing, crops // 2 if crops in (10, 50) else crops, mirrored, job.dense, job.scales)
    except ValueError as error:
        raise SpecError(str(error)) from None
    return None if views.trivial else views


def _identity(reading: Reading, model: Model, asked: Asked, job: Predicting) -> dict[str, Any]:
    """What decides the answers, in words that a refusal can name."""
    extra: dict[str, Any] = {"keep_logits": True} if asked.keep_logits else {}
    if asked.embedding:
        extra["embedding"] = asked.embedding
    if asked.views:
        extra |= asked.views.facts()
    if asked.method:
        extra |= asked.method.facts(model.preprocessing.size)
    if asked.views and asked.views.dense:
        extra["dense"] = kernel.name(model, asked.device, 1 + asked.views.flip, "torch", asked.precision_of_wholes)
    if job.code:
        extra["code_sha256"] = names.source_digest(job.code)
    return {
        "corpus": reading.url,
        "corpus_version": reading.corpus.version,
        "split": reading.split,
        "model": model.digest,
        "net": model.net,
        "task": model.task,
        "kernel": kernel.name(model, asked.device, asked.batch_size, asked.library, asked.precision),
        "answers": ANSWER_VERSION,
        **records.key(reading.subset),
        **extra,
    }


def _check_classes(corpus: Corpus, model: Model) -> None:
    """Refuse a corpus with classes that the model cannot name; labels would be scored against other classes."""
    ours, theirs = corpus.classes, model.classes
    if ours is not None and theirs is not None and len(ours) > len(theirs):
        raise SpecError(f"{corpus.name} has {len(ours)} classes and the model {len(theirs)}: they cannot be compared")


def _beside(reading: Reading, model: Model, identity: dict[str, Any]) -> str:
    """`<corpus>.predictions/<model>-<fingerprint>`: a place of its own for whatever decides the answers."""
    lasting = {name: value for name, value in identity.items() if name != "corpus_version"}
    name = title(model.folder.name if model.folder else model.net)
    return f"{reading.url}.predictions/{name}-{commit.digest(lasting)[:12]}"
