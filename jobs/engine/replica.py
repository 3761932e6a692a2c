"""One worker: reads leased shards ahead, answers their records with each model, commits under the shards' own names.

With several models a picture is fetched once and made into pixels once for each distinct preprocessing. A model that
fails leaves the others alone.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import pyarrow as pa

from jobs import compiling, storage
from jobs.engine import pieces
from jobs.engine.commit import Receipt, ShardWriter
from jobs.engine.overlap import Overlap
from jobs.engine.selection import Selection
from jobs.engine.shard import Group, OpenShard
from vision import names
from vision.gpu_loading import GpuLoader
from vision.model import Model
from vision.predictor import Asked, Loaded, Loader, Look, Predictor

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
class Lease:
    """Work to do: a descriptor of some 300 bytes, all that crosses Ray.

    Attributes:
        fingerprints: what each target's answers will be marked with; None where they are committed already.
        group: the only row group to answer, where a shard is shared between workers.
        seal: of a shared shard, how many row groups to put together into the answers of the whole.
    """

    file: str
    sha256: str
    fingerprints: tuple[str | None, ...]
    group: int | None = None
    seal: int = 0

    def __str__(self) -> str:
        return self.file if self.group is None else f"{self.file} (row group {self.group})"


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


@dataclass(frozen=True)
class Part:
    """Some rows of a row group, and their pixels."""

    group: int
    rows: pa.Table
    pixels: Loaded


class Worker:
    """Answers leases, one after the other."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        looks = tuple(dict.fromkeys(target.look for target in replica.targets))
        self._loader = _loader(replica, looks)
        # On a GPU a part is a large batch, and few may wait.
        self._overlap = Overlap(replica.threads(), depth=2 if replica.on_gpu() else 8)
        self._predictors = [self._predictor(target) for target in replica.targets]
        self._reader = ThreadPoolExecutor(1)
        self._opened: dict[str, Future[OpenShard]] = {}
        self._next = ""

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
        shard = self._opening(lease).result()
        group = shard.groups()[0]
        images = list(itertools.islice(shard.images(group), self._replica.part()))
        part = Part(group.number, group.rows.slice(0, len(images)), self._loader.load(images))
        wanted = list(range(len(self._predictors)))
        self._answer(wanted, part)  # warms up, as the loading above did
        steps = (lambda: self._loader.load(images), lambda: self._answer(wanted, part))
        loaded, answered = (len(images) * _times_a_second(step, seconds, clock) for step in steps)
        return loaded, answered

    def ahead(self, lease: Lease) -> None:
        """Begin to read the shard that is leased next."""
        if not lease.seal:
            self._next = lease.file
            self._opening(lease)

    def _opening(self, lease: Lease) -> Future[OpenShard]:
        if lease.file not in self._opened:
            self._opened[lease.file] = self._reader.submit(self._open, lease)
        return self._opened[lease.file]

    def _open(self, lease: Lease) -> OpenShard:
        url = storage.join(self._replica.corpus, lease.file)
        return OpenShard(url, lease.sha256, self._replica.selection, lease.file)

    def __call__(self, lease: Lease) -> tuple[Outcome, ...]:
        if lease.seal:
            return self._sealed(lease)
        shard = self._opening(lease).result()
        # Let go of shards that are done with.
        self._opened = {file: one for file, one in self._opened.items() if file in (lease.file, self._next)}
        if lease.group is not None:
            return self._piece(shard, lease, lease.group)
        return self._whole(shard, lease)

    def _whole(self, shard: OpenShard, lease: Lease) -> tuple[Outcome, ...]:
        """Answer a shard, a row group at a time, and commit it for each model."""
        targets, writers = self._replica.targets, dict[int, ShardWriter]()
        try:
            for answers in self._answered(shard, shard.groups(), lease):
                for index, table in answers.items():
                    if index not in writers:
                        writers[index] = ShardWriter(storage.join(targets[index].output, lease.file))
                    writers[index].add(table)
            return self._settled(lease, lambda index: writers[index].commit(_receipt(lease, index)))
        finally:
            for writer in writers.values():
                writer.discard()

    def _piece(self, shard: OpenShard, lease: Lease, number: int) -> tuple[Outcome, ...]:
        """Answer one row group of a shard that others share."""
        counted = dict[int, Receipt]()
        for answers in self._answered(shard, [g for g in shard.groups() if g.number == number], lease):
            for index, table in answers.items():
                pieces.write(self._replica.targets[index].output, lease.file, number, table)
                counted[index] = replace(_receipt(lease, index), rows=len(table))
        return self._settled(lease, counted.__getitem__)

    def _answered(self, shard: OpenShard, groups: list[Group], lease: Lease) -> Iterator[Mapping[int, pa.Table]]:
        """Of each row group, the answers of each model that lacks them and has not failed."""
        wanted = [index for index, mark in enumerate(lease.fingerprints) if mark is not None]
        answered = self._overlap.map(partial(self._answer, wanted), self._parts(shard, groups))
        for _, found in itertools.groupby(answered, lambda answer: answer[0]):
            parts = [tables for _, tables in found]
            whole = [index for index in wanted if all(index in tables for tables in parts)]
            yield {index: pa.concat_tables([t[index] for t in parts]).combine_chunks() for index in whole}

    def _parts(self, shard: OpenShard, groups: list[Group]) -> Iterator[Part]:
        size = self._replica.part()
        for group in groups:
            images = shard.images(group)
            for start in range(0, max(len(group.rows), 1), size):
                rows = group.rows.slice(start, size)
                yield Part(group.number, rows, self._loader.load(itertools.islice(images, len(rows))))

    def _answer(self, wanted: list[int], part: Part) -> tuple[int, Mapping[int, pa.Table]]:
        """(row group, model: its answers) for a part of one. Runs in other threads too."""
        ids, found = part.rows["id"].combine_chunks(), dict[int, pa.Table]()
        for index in wanted:
            predictor, look = self._predictors[index], self._replica.targets[index].look
            if isinstance(predictor, Failure):
                continue
            try:
                answers = predictor.answer(part.pixels[look], predictor.truth(part.rows))
                found[index] = answers.add_column(0, "id", ids)
            except Exception as error:
                self._predictors[index] = self._failed(error)
        return part.group, found

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
