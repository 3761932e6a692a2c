"""One worker: reads leased shards ahead, answers their records with each model, commits under the shards' own names.

With several models a picture is fetched once and made into pixels once for each distinct preprocessing. A model that
fails leaves the others alone.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import pyarrow as pa

from jobs import compiling, storage
from jobs.engine import pieces
from jobs.engine.commit import Receipt, ShardWriter
from jobs.engine.lease import Lease
from jobs.engine.line import Line, Part
from jobs.engine.overlap import Overlap
from jobs.engine.selection import Selection
from jobs.engine.shard import OpenShard
from vision import names
from vision.gpu_loading import GpuLoader
from vision.model import Model
from vision.predictor import Asked, Loader, Look, Predictor

PART = 16
"""Pictures that are made into pixels before they are answered: a tenth of a second's work of a small net."""

VIEWS = 64
"""The same in views, where a picture has several: enough that their last batch is seldom half empty."""

GPU_THREADS = 2
"""One has its batch copied while the device computes for the other."""

MOST_THREADS = 7
"""Past so many, the one thread that decodes is what limits; more cores take more workers."""


@dataclass(frozen=True)
class Target:
    """One model's answers: what is asked of it, and the folder or URL they go to."""

    output: str
    model: Model
    asked: Asked

    @property
    def look(self) -> Look:
        """What the model sees of a picture."""
        return self.asked.views or self.model.preprocessing

    @property
    def passes(self) -> int:
        """How many times the net sees a picture: more than once where its answer is explained."""
        method = self.asked.method
        return 1 if method is None else 1 + method.passes(self.model.preprocessing.size)


@dataclass(frozen=True)
class Failure:
    """Why a model has no answers."""

    reason: str


Outcome = Receipt | Failure | None
"""What became of a lease for one target; None where nothing was to be done."""


@dataclass(frozen=True)
class Replica:
    """What a worker is made of; `make` builds it where it will work.

    Attributes:
        alone: no other worker works on this machine, so that this one may use all its cores.
        decoder: who decodes JPEGs: the "cpu" or the "gpu".
    """

    corpus: str
    targets: tuple[Target, ...]
    selection: Selection
    code: str | None = None
    alone: bool = False
    decoder: str = "cpu"

    def make(self) -> Worker:
        if self.code:
            names.trust(self.code)
        return Worker(self)

    def on_gpu(self) -> bool:
        return any(target.asked.device != "cpu" for target in self.targets)

    def decoders(self) -> int:
        """Threads that decode beside a GPU: this process's share of the cores. On a CPU the kernel needs the core."""
        return max(_cores() - 1, 1) if self.on_gpu() else 0

    def threads(self) -> int:
        """Threads that answer while this process's main thread decodes, or sees to it."""
        if self.on_gpu():
            return GPU_THREADS
        return min(_cores() - 1, MOST_THREADS) if self.alone else 0

    def part(self) -> int:
        """Pictures of one step: whole batches, or few enough that their views take no more memory than those."""
        batch = max(target.asked.batch_size for target in self.targets)
        views = max(target.asked.views.cost if target.asked.views else 1 for target in self.targets)
        return max(PART, batch) if views == 1 else max(1, max(VIEWS, batch) // views)


def _cores() -> int:
    return len(os.sched_getaffinity(0))


class Worker:
    """Answers leases, one after the other."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        looks = tuple(dict.fromkeys(target.look for target in replica.targets))
        self._loader = _loader(replica, looks)
        self._predictors = [self._predictor(target) for target in replica.targets]
        # On a GPU a part is a large batch, and few may wait.
        overlap = Overlap(replica.threads(), depth=2 if replica.on_gpu() else 4)
        self._line = Line(self._open, self._loader, self._answer, replica.part(), overlap)

    def _predictor(self, target: Target) -> Predictor | Failure:
        try:
            asked = compiling.here(target.model, target.asked, self._replica.code)
            asked = replace(asked, streams=self._replica.threads() + 1)
            found: Predictor = names.room(target.model.task).predictor(target.model, asked)
        except Exception as error:
            return self._failed(error)
        return found

    def _failed(self, error: Exception) -> Failure:
        """A model that fails alone fails the job, as it is; among others it is noted and left out."""
        if len(self._replica.targets) == 1:
            raise error
        return Failure(str(error).splitlines()[0] if str(error) else type(error).__name__)

    def rates(self, lease: Lease, seconds: float, clock: Callable[[], float]) -> tuple[float, float]:
        """Pictures a second that this worker loads, and that one of its threads answers, of those of a lease."""
        shard = self._open(lease)
        group = shard.groups()[0]
        images = list(itertools.islice(shard.images(group), self._replica.part()))
        part = Part(lease, group.number, group.rows.slice(0, len(images)), self._loader.load(images))
        self._answer(part)  # warms up, as the loading above did
        steps = (lambda: self._loader.load(images), lambda: self._answer(part))
        loaded, answered = (len(images) * _times_a_second(step, seconds, clock) for step in steps)
        return loaded, answered

    def ahead(self, lease: Lease) -> None:
        """Begin to read the shard that is leased next, if it is not this worker's already."""
        self._line.ahead(None if lease.seal else lease)

    def _open(self, lease: Lease) -> OpenShard:
        url = storage.join(self._replica.corpus, lease.file)
        return OpenShard(url, lease.sha256, self._replica.selection, lease.file)

    def __call__(self, lease: Lease) -> tuple[Outcome, ...]:
        if lease.seal:
            return self._sealed(lease)
        return self._piece(lease) if lease.group is not None else self._whole(lease)

    def _whole(self, lease: Lease) -> tuple[Outcome, ...]:
        """Answer a shard, a row group at a time, and commit it for each model."""
        targets, writers = self._replica.targets, dict[int, ShardWriter]()
        try:
            for answers in self._groups(lease):
                for index, table in answers.items():
                    if index not in writers:
                        writers[index] = ShardWriter(storage.join(targets[index].output, lease.file))
                    writers[index].add(table)
            return self._settled(lease, lambda index: writers[index].commit(_receipt(lease, index)))
        finally:
            for writer in writers.values():
                writer.discard()

    def _piece(self, lease: Lease) -> tuple[Outcome, ...]:
        """Answer one row group of a shard that others share."""
        counted = dict[int, Receipt]()
        for answers in self._groups(lease):
            for index, table in answers.items():
                pieces.write(self._replica.targets[index].output, lease.file, lease.group or 0, table)
                counted[index] = replace(_receipt(lease, index), rows=len(table))
        return self._settled(lease, counted.__getitem__)

    def _groups(self, lease: Lease) -> Iterator[Mapping[int, pa.Table]]:
        """Of each row group, the answers of each model that lacks them and has not failed."""
        for _, found in itertools.groupby(self._line.answers(lease), lambda answered: answered[0].group):
            parts = [tables for _, tables in found]
            whole = [index for index in lease.wanted() if all(index in tables for tables in parts)]
            yield {index: pa.concat_tables([t[index] for t in parts]).combine_chunks() for index in whole}

    def _answer(self, part: Part) -> Mapping[int, pa.Table]:
        """Each model's answers to a part. Runs in other threads too."""
        ids, found = part.rows["id"].combine_chunks(), dict[int, pa.Table]()
        for index in part.lease.wanted():
            predictor, look = self._predictors[index], self._replica.targets[index].look
            if isinstance(predictor, Failure):
                continue
            try:
                answers = predictor.answer(part.pixels[look], predictor.truth(part.rows))
                found[index] = answers.add_column(0, "id", ids)
            except Exception as error:
                self._predictors[index] = self._failed(error)
        return found

    def _sealed(self, lease: Lease) -> tuple[Outcome, ...]:
        targets = self._replica.targets
        return self._settled(lease, lambda i: pieces.seal(targets[i].output, lease.seal, _receipt(lease, i)))

    def _settled(self, lease: Lease, commit: Callable[[int], Receipt]) -> tuple[Outcome, ...]:
        """What became of a lease: committed for each model that lacked it and has not failed."""
        outcomes: list[Outcome] = []
        for index, mark in enumerate(lease.fingerprints):
            predictor = self._predictors[index]
            failed = predictor if isinstance(predictor, Failure) else None
            outcomes.append(None if mark is None else failed or commit(index))
        return tuple(outcomes)


def _loader(replica: Replica, looks: tuple[Look, ...]) -> Loader | GpuLoader:
    loader = Loader(looks, replica.decoders())
    return GpuLoader(looks, replica.targets[0].asked.device, loader) if replica.decoder == "gpu" else loader


def _times_a_second(step: Callable[[], object], seconds: float, clock: Callable[[], float]) -> float:
    count, start = 0, clock()
    while not count or clock() - start < seconds:
        step()
        count += 1
    return count / (clock() - start)


def _receipt(lease: Lease, index: int) -> Receipt:
    """What is known of a target's answers before they are counted."""
    return Receipt(lease.file, lease.fingerprints[index] or "", lease.sha256)
