"""The engine's verbs for drivers: `read` chooses records, `apply` answers them in bulk, `fold` sums over answers.

A driver says what it wants of which records and never how: shards, workers, retries and commits are the engine's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from pydantic import Field

from jobs import records, storage
from jobs.answers import Answers
from jobs.engine import commit, run
from jobs.engine.plan import ANSWER_VERSION, Plan, plan
from jobs.engine.replica import Replica
from jobs.engine.selection import resolve
from jobs.probing import cost
from jobs.reading import Reading
from jobs.records import CORPUS, Reads
from jobs.spec import Context, SpecError
from vision import kernel, names
from vision.accumulator import Accumulator
from vision.corpus import Corpus
from vision.model import Model
from vision.predictor import Asked


class Predicts(Reads):
    """The fields of every job that answers records with a model."""

    output: str | None = Field(None, description="folder or URL of the predictions")
    workers: int | None = Field(
        None, ge=0, description="processes of one core each; 0: this process, without Ray; default: by the work"
    )
    batch_size: int | None = Field(None, ge=1, description="pictures a batch; default 8 on a CPU, 256 on a GPU")
    gpus_per_worker: float = Field(0.0, ge=0, description="GPUs that each worker takes; 0: CPU")
    max_errors: float = Field(0.01, ge=0, le=1, description="share of broken images past which the job fails")
    keep_logits: bool = Field(False, description="keep every logit, as the column `logits`")
    embedding: str | None = Field(None, description="layer whose output is kept as the column `embedding`")
    code: str | None = Field(None, description="folder of Python modules that names may point into")


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


def apply(reading: Reading, model: Model, job: Predicts, context: Context) -> tuple[Answers, run.Tally]:
    """Answer records with a model, into `job.output` or beside the corpus; a rerun does only what is missing.

    Raises:
        SpecError: if the output holds something else.
        JobFailed: if too many images are broken, or the work cannot be done.
    """
    replica, identity = _prepared(reading, model, job)
    with storage.claim(replica.output):
        commit.begin(replica.output, identity, model.classes)
        todo = _planned(reading, replica, identity)
        if todo.done:
            context.log(f"{len(todo.done)} of {len(todo.done) + len(todo.leases)} shards are answered already")
        tally = run.carry_out(todo, replica, identity, context, job.workers, job.gpus_per_worker, job.max_errors)
    return Answers.of(replica.output, reading), tally


def estimate(reading: Reading, model: Model, job: Predicts) -> Mapping[str, str]:
    """What `apply` would cost, from a short probe."""
    replica, identity = _prepared(reading, model, job)
    workers = job.workers if job.workers is not None else os.cpu_count()
    todo = _planned(reading, replica, identity)
    return {"output": replica.output, **cost(reading, todo, replica, max(workers or 1, 1))}


def _prepared(reading: Reading, model: Model, job: Predicts) -> tuple[Replica, dict[str, Any]]:
    """The worker to make, and what decides its answers."""
    asked = _asked(job)
    _check_classes(reading.corpus, model)
    identity = _identity(reading, model, asked, job)
    output = storage.absolute(job.output or _beside(reading, model, identity))
    return Replica(reading.url, output, model, asked, reading.selection, job.code), identity


def _planned(reading: Reading, replica: Replica, identity: Mapping[str, Any]) -> Plan:
    return plan(replica.output, reading.corpus.present(reading.split), identity, reading.selection.limits)


def fold(answers: Answers, zero: Accumulator) -> Any:
    """Sum a state over all answers."""
    state = zero
    for batch in answers.batches():
        state = state.update(batch)
    return state


def _asked(job: Predicts) -> Asked:
    device = "cuda" if job.gpus_per_worker else "cpu"
    return Asked(job.batch_size or kernel.batch_size(device), device, job.keep_logits, job.embedding)


def _identity(reading: Reading, model: Model, asked: Asked, job: Predicts) -> dict[str, Any]:
    """What decides the answers, in words that a refusal can name."""
    extra: dict[str, Any] = {"keep_logits": True} if asked.keep_logits else {}
    if asked.embedding:
        extra["embedding"] = asked.embedding
    if job.code:
        extra["code_sha256"] = names.source_digest(job.code)
    return {
        "corpus": reading.url,
        "corpus_version": reading.corpus.version,
        "split": reading.split,
        "model": model.digest,
        "net": model.net,
        "task": model.task,
        "decoder": f"pillow-{version('pillow')}",
        "kernel": kernel.name(model, asked.device, asked.batch_size),
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
    title = re.sub(r"[^\w.-]+", "-", model.folder.name if model.folder else model.net)
    return f"{reading.url}.predictions/{title}-{commit.digest(lasting)[:12]}"
