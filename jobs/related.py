"""Test records with relatives in training, marked before they are scored: metrics stand beside those of the others.

A model that was taught with half of an author's photos is not tested by the other half. What relatives are say columns
(author, album, person) and, in rooms that know places, a distance. Both sides are held in memory without pictures:
some 100 bytes a record.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from jobs.answers import Answers
from jobs.records import open_corpus
from jobs.shards import opened
from jobs.spec import SpecError
from vision import relatives

MARK = "leaks"
"""The column by which metrics are broken down."""

_PLACE = ("latitude", "longitude")


@dataclass(frozen=True)
class Asked:
    """Where the training records are, and what makes two records relatives.

    Attributes:
        by: columns of which an equal value does; none: those that the room knows and both sides have.
        km: in rooms that know places, a distance that does.
    """

    corpus: str
    split: str | None
    by: tuple[str, ...] = ()
    km: float = 1.0


def marked(answers: Answers, asked: Asked, room: Any) -> tuple[Answers, pa.Table, tuple[str, ...]]:
    """Answers with a column for each mark, how many of them are marked, and sentences about it.

    Raises:
        SpecError: if a column is not there, nothing can make relatives, or training and test are the same records.
    """
    url, corpus = open_corpus(asked.corpus)
    try:
        split = corpus.pick_split(asked.split)
    except ValueError as error:
        raise SpecError(f"train_split: {error}".replace("--split", "--train-split")) from None
    if (answers.tags.get("corpus"), answers.tags.get("split")) == (url, split):
        raise SpecError(f"train_corpus: {url}, split {split}: the records that are scored")
    first = next(answers.tables(), None)
    if first is None:
        raise SpecError(f"train_corpus: {answers.output} has no record to be related")
    by, notes = _columns(asked, room, list(corpus.columns), first.column_names)
    placed = hasattr(room, "related")
    wanted = [*by, *(_PLACE if placed else ())]
    try:
        train = pa.concat_tables([_of_shard(url, shard.file, wanted) for shard in corpus.present(split)])
        test = pa.concat_tables([_only(table, ["id", *wanted]) for table in answers.tables()])
        if placed:
            found = room.related(train, test, by, asked.km)
        else:
            found = relatives.with_marks(test, relatives.relatives(train, test, by))
    except ValueError as error:
        raise error if isinstance(error, SpecError) else SpecError(f"train_corpus: {error}") from None
    marks = found.drop_columns([name for name in wanted if name in found.column_names])
    counts = relatives.summary(marks)
    return replace(answers, marks=marks), counts, (*notes, *_sentences(counts))


def _columns(asked: Asked, room: Any, train: Sequence[str], test: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """The columns that make relatives; of those that nobody asked for, the ones on both sides, and what is said."""
    if asked.by:
        return asked.by, []
    usual = getattr(room, "RELATED_BY", ())
    if not usual:
        raise SpecError("related_by: which columns make two records relatives? Name some, such as person")
    lost = [name for name in usual if name not in train or name not in test]
    notes = [f"relatives by {name} were not looked for: not both corpora have such a column" for name in lost]
    return tuple(name for name in usual if name not in lost), notes


def _of_shard(url: str, file: str, wanted: Sequence[str]) -> pa.Table:
    with opened(url, file) as shard:
        relatives.check("train", shard.schema_arrow.empty_table(), wanted)
        return shard.read(columns=list(wanted))


def _only(table: pa.Table, wanted: Sequence[str]) -> pa.Table:
    relatives.check("test", table, wanted)
    return table.select(wanted)


def _sentences(counts: pa.Table) -> list[str]:
    rows = {row["mark"]: row for row in counts.to_pylist()}
    some = [f"{row['shared']:,} by {name[5:]}" for name, row in rows.items() if name != MARK and row["shared"]]
    found = rows[MARK]
    told = f"{found['shared']:,} of {found['n']:,} test records have relatives in training"
    why = f" ({', '.join(some)})" if some else ""
    unknown = f"; of {found['unknown']:,} more it is not known" if found["unknown"] else ""
    return [f"{told}{why}{unknown}"]
