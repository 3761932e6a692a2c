"""Shards on their way: each picture once and in order, the next shard begun before the last answer of this one."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pytest

from jobs.engine.lease import Lease
from jobs.engine.line import Line, Part, Tables
from jobs.engine.overlap import Overlap
from jobs.engine.selection import Selection
from jobs.engine.shard import OpenShard
from jobs.spec import JobFailed
from tests.making import CorpusMaker, rows_of
from vision.predictor import Loader

IDS = [[f"{6 * shard + place:05d}.jpg" for place in range(6)] for shard in range(4)]


class Watched:
    """A line over four shards of six pictures, in parts of four, which notes what it does.

    Attributes:
        held: shards whose pictures are answered only when a picture of the shard behind is decoded.
    """

    def __init__(self, corpus: str, threads: int) -> None:
        files = sorted(Path(corpus).rglob("*.parquet"))
        self.leases = [Lease(str(f), hashlib.sha256(f.read_bytes()).hexdigest(), ("mark",)) for f in files]
        self.opened: list[str] = []
        self.decoded = [threading.Event() for _ in files]
        self.held: set[int] = set()
        self.line = Line(self._open, Loader(()), self._answer, 4, Overlap(threads))

    def _open(self, lease: Lease) -> OpenShard:
        self.opened.append(lease.file)
        return OpenShard(lease.file, lease.sha256, Selection(), lease.file)

    def _answer(self, part: Part) -> Tables:
        number = self.leases.index(part.lease)
        self.decoded[number].set()
        if number in self.held:
            assert self.decoded[number + 1].wait(30)
        return {0: part.rows.select(["id"])}

    def ask(self, number: int, following: int | None = None) -> list[str]:
        self.line.ahead(None if following is None else self.leases[following])
        answers = self.line.answers(self.leases[number])
        return [id_ for _, tables in answers for id_ in tables[0]["id"].to_pylist()]


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_each_picture_is_answered_once_and_each_shard_read_once(make_corpus: CorpusMaker, threads: int) -> None:
    watched = Watched(make_corpus(rows_of(24), shard_rows=6), threads)
    assert [watched.ask(0, 1), watched.ask(1, 2), watched.ask(2, 3), watched.ask(3)] == IDS
    assert watched.opened == [lease.file for lease in watched.leases]
    assert watched.ask(1) == IDS[1]


def test_the_shard_behind_is_decoded_while_this_one_is_answered(make_corpus: CorpusMaker) -> None:
    """Three threads hold the answers of the first shard until one of the second is there: nobody would wait else."""
    watched = Watched(make_corpus(rows_of(24), shard_rows=6), 3)
    watched.held = {0}
    assert watched.ask(0, 1) == IDS[0]
    assert watched.ask(1) == IDS[1]


@pytest.mark.parametrize("threads", [0, 2])
def test_what_went_to_another_worker_is_dropped(make_corpus: CorpusMaker, threads: int) -> None:
    watched = Watched(make_corpus(rows_of(24), shard_rows=6), threads)
    assert watched.ask(0, 1) == IDS[0]
    assert watched.ask(2, 3) == IDS[2]
    assert watched.ask(3) == IDS[3]


@pytest.mark.parametrize("threads", [0, 2])
def test_a_torn_shard_is_told_at_its_turn(make_corpus: CorpusMaker, threads: int) -> None:
    watched = Watched(make_corpus(rows_of(24), shard_rows=6), threads)
    torn = Path(watched.leases[1].file)
    whole = torn.read_bytes()
    torn.write_bytes(b"PAR1")
    assert watched.ask(0, 1) == IDS[0]
    with pytest.raises(JobFailed, match="is damaged"):
        watched.ask(1)
    torn.write_bytes(whole)
    assert watched.ask(1, 2) == IDS[1], "asked again, it is read again"
    assert watched.ask(2) == IDS[2]
