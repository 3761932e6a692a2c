"""Pictures looked at once: whatever the shards and workers, only the rows that are wanted, broken ones counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest

from jobs import flow
from jobs.auditing.pixels import Part, Picture, look
from jobs.reading import Reading
from jobs.records import Reads
from jobs.spec import Context, JobFailed, Plain, Report
from tests.making import CorpusMaker, picture, rows_of


class Some(Reads):
    def run(self, context: Context | None = None) -> Report:
        raise NotImplementedError


@dataclass(frozen=True)
class Sizes:
    """What was seen of each record."""

    least: int | None = None
    seen: dict[str, tuple[int, int]] = field(default_factory=dict)
    broken: tuple[str, ...] = ()

    def update(self, part: Part) -> Self:
        seen, broken = dict(self.seen), list(self.broken)
        assert len(part.rows) == len(part.pictures) == len(part.numbers)
        for name, one in zip(part.rows["id"].to_pylist(), part.pictures, strict=True):
            if isinstance(one, Picture):
                assert (one.facts.format, one.facts.width) == ("JPEG", 400)
                seen[name] = one.image.size
            else:
                broken.append(name)
        return type(self)(self.least, seen, tuple(sorted(broken)))

    def merge(self, other: Self) -> Self:
        return type(self)(self.least, self.seen | other.seen, tuple(sorted(self.broken + other.broken)))


@pytest.fixture
def readings(make_corpus: CorpusMaker) -> list[Reading]:
    rows = [(name, picture(0, n, side=400), label) for n, (name, _, label) in enumerate(rows_of(9))]
    rows[4] = ("broken.jpg", rows[4][1][:100], 0)
    folder = make_corpus(rows, shard_rows=4)
    return [flow.read(Some(corpus=folder, where="id <> '00002.jpg'"))]


def test_every_chosen_picture_is_seen_once(readings: list[Reading]) -> None:
    (whole,) = look(readings, [Sizes()], 0, 30, Plain())
    assert sorted(whole.seen) == [f"{n:05d}.jpg" for n in (0, 1, 3, 5, 6, 7, 8)]
    assert set(whole.seen.values()) == {(400, 400)}
    assert whole.broken == ("broken.jpg",)


def test_pictures_are_decoded_small_where_that_is_enough_for_all(readings: list[Reading]) -> None:
    (small,) = look(readings, [Sizes(64)], 0, 30, Plain())
    assert set(small.seen.values()) == {(200, 200)}
    first, second = look(readings, [Sizes(64), Sizes()], 0, 30, Plain())
    assert set(first.seen.values()) == set(second.seen.values()) == {(400, 400)}


def test_some_rows_of_some_shards(readings: list[Reading]) -> None:
    (some,) = look(readings, [Sizes()], 0, 30, Plain(), rows={0: [1], 2: [0]})
    assert sorted(some.seen) == ["00001.jpg", "00008.jpg"]


def test_a_damaged_shard_is_one_line(readings: list[Reading]) -> None:
    Path(readings[0].url, "test/part-00001.parquet").write_bytes(b"nothing")
    with pytest.raises(JobFailed, match=r"part-00001.parquet is damaged"):
        look(readings, [Sizes()], 0, 30, Plain())
