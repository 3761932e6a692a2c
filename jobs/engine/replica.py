"""One worker: reads leased shards ahead, answers their records with each model, commits under the shards' own names.

With several models a picture is fetched once and made into pixels once for each distinct preprocessing. A model that
fails leaves the others alone.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import pyarrow as pa

from jobs import compiling, storage
from jobs.engine import pieces
from jobs.engine.commit import Receipt, ShardWriter
from jobs.engine.selection import Selection
from jobs.engine.shard import Group, OpenShard, truth
from vision import names
from vision.model import Model
from vision.predictor import Asked, Loaded, Loader, Predictor


@dataclass(frozen=True)
class Target:
    """One model's answers: what is asked of it, and the folder or URL they go to."""

    output: str
    model: Model
    asked: Asked


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
    """What a worker is made of; `make` builds it where it will work."""

    corpus: str
    targets: tuple[Target, ...]
    selection: Selection
    code: str | None = None

    def make(self) -> Worker:
        if self.code:
            names.trust(self.code)
        return Worker(self)

    def decoders(self) -> int:
        """Threads that decode beside a GPU: this process's share of the cores. On a CPU the kernel needs the core."""
        if all(target.asked.device == "cpu" for target in self.targets):
            return 0
        return max(len(os.sched_getaffinity(0)) - 1, 1)


class Worker:
    """Answers leases, one after the other."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        looks = tuple(dict.fromkeys(target.model.preprocessing for target in replica.targets))
        self._loader = Loader(looks, replica.decoders())
        self._predictors = [self._predictor(target) for target in replica.targets]
        self._reader, self._ahead = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        self._opened: dict[str, Future[OpenShard]] = {}
        self._next = ""

    def _predictor(self, target: Target) -> Predictor | Failure:
        try:
            asked = compiling.here(target.model, target.asked, self._replica.code)
            found: Predictor = names.room(target.model.task).predictor(target.model, asked)
        except Exception as error:
            return self._failed(error)
        return found

    def _failed(self, error: Exception) -> Failure:
        """A model that fails alone fails the job, as it is; among others it is noted and left out."""
        if len(self._replica.targets) == 1:
            raise error
        return Failure(str(error).splitlines()[0] if str(error) else type(error).__name__)

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
            for group, pixels in self._loaded(shard, shard.groups()):
                for index, answers in self._answers(group, pixels, lease):
                    if index not in writers:
                        writers[index] = ShardWriter(storage.join(targets[index].output, lease.file))
                    writers[index].add(answers)
            return self._settled(lease, lambda index: writers[index].commit(_receipt(lease, index)))
        finally:
            for writer in writers.values():
                writer.discard()

    def _piece(self, shard: OpenShard, lease: Lease, number: int) -> tuple[Outcome, ...]:
        """Answer one row group of a shard that others share."""
        counted = dict[int, Receipt]()
        for group, pixels in self._loaded(shard, [g for g in shard.groups() if g.number == number]):
            for index, answers in self._answers(group, pixels, lease):
                pieces.write(self._replica.targets[index].output, lease.file, number, answers)
                counted[index] = replace(_receipt(lease, index), rows=len(answers))
        return self._settled(lease, counted.__getitem__)

    def _loaded(self, shard: OpenShard, groups: list[Group]) -> Iterator[tuple[Group, Loaded]]:
        """Row groups with their pixels; beside a GPU the next ones are decoded while it works on these."""
        if not self._replica.decoders():
            yield from ((group, self._loader.load(shard.images(group))) for group in groups)
            return
        coming: deque[tuple[Group, Future[Loaded]]] = deque()
        for group in groups:
            coming.append((group, self._ahead.submit(self._loader.load, shard.images(group))))
            if len(coming) > 1:
                done, pixels = coming.popleft()
                yield done, pixels.result()
        yield from ((group, pixels.result()) for group, pixels in coming)

    def _answers(self, group: Group, pixels: Loaded, lease: Lease) -> Iterator[tuple[int, pa.Table]]:
        """(model, its answers) to a row group, for the models that lack them and have not failed."""
        labels, ids = truth(group.rows), group.rows["id"].combine_chunks()
        for index, target in enumerate(self._replica.targets):
            predictor = self._predictors[index]
            if isinstance(predictor, Failure) or lease.fingerprints[index] is None:
                continue
            try:
                answers = predictor.answer(pixels[target.model.preprocessing], labels)
            except Exception as error:
                self._predictors[index] = self._failed(error)
                continue
            yield index, answers.add_column(0, "id", ids)

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


def _receipt(lease: Lease, index: int) -> Receipt:
    """What is known of a target's answers before they are counted."""
    return Receipt(lease.file, lease.fingerprints[index] or "", lease.sha256)
