"""The same picture twice: exact and near duplicates within a split and across splits.

Two passes. The first keeps 16 bytes of each picture: where it is, and its 64-bit word (`vision.perceptual`), from a
picture decoded as small as will do. Those whose word is near another's are decoded whole in the second: equal pixels
are exact duplicates, and near ones must look alike. Pairs are never kept, only sets, so memory follows the number of
pictures and of suspects, whatever the number of pairs: some 100 bytes a picture while words are joined, and 1 KB a
suspect. Ten million pictures with 2 % of suspects take 1.2 GB of the driver.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from jobs.auditing import reporting
from jobs.auditing.checked import Checked, cut
from jobs.auditing.copies import ROW_BITS, Looks, Words
from jobs.auditing.pixels import look
from jobs.reading import Reading
from jobs.records import Spread
from jobs.spec import Context
from vision.accumulator import Array, Estimate
from vision.copies import sets, suspicious
from vision.fairness.sentences import shown
from vision.intervals import rate


@dataclass(frozen=True, eq=False)
class Duplicates:
    """Pictures that have a copy, in an order that does not depend on shards: by group, and within it by split and id.

    Attributes:
        group: (D,) int64 from 0, in the order of their first members.
        ids, splits: (D,) texts.
        exact: (D,) bool: whether another of the group has the same pixels.
        distance: (D,) int64: bits in which a word differs from that of the group's first member.
        seen: by split, how many pictures were looked at.
        broken: how many could not be decoded.
    """

    group: Array
    ids: Array
    splits: Array
    exact: Array
    distance: Array
    seen: Mapping[str, int]
    broken: int


def find(words: Words, readings: Sequence[Reading], how: Spread, context: Context) -> Duplicates:
    """All duplicates among the pictures of some splits.

    Args:
        words: of all their pictures.

    Raises:
        JobFailed: if a shard is missing or damaged.
    """
    suspects = words.keys[suspicious(words.words)]
    shards = np.array([r.split for r in readings for _ in r.corpus.present(r.split)], object)
    seen = _counts(shards, words.keys)
    wanted: dict[int, list[int]] = {}
    for key in suspects.tolist():
        wanted.setdefault(key >> ROW_BITS, []).append(key & (2**ROW_BITS - 1))
    (looks,) = look(readings, [Looks()], how.workers, how.retry_s, context, wanted)
    roots = sets(looks.digests, looks.words, looks.colours)
    of_each = shards[looks.keys >> ROW_BITS]
    return _ordered(looks, roots, of_each, {reading.split: 0 for reading in readings} | seen, words.broken)


def _ordered(looks: Looks, roots: Array, splits: Array, seen: Mapping[str, int], broken: int) -> Duplicates:
    """Sets of at least two, in an order that knows no shards."""
    _, inverse, counts = np.unique(roots, return_inverse=True, return_counts=True)
    kept = np.flatnonzero(counts[inverse] > 1)
    kept = kept[np.lexsort((looks.ids[kept].astype(str), splits[kept].astype(str)))] if len(kept) else kept
    # Sets are numbered as their first members come.
    _, first, group = np.unique(roots[kept], return_index=True, return_inverse=True)
    group = np.argsort(np.argsort(first))[group]
    order = np.argsort(group, kind="stable")
    kept, group = kept[order], group[order]
    heads = kept[np.searchsorted(group, group)]
    _, same, twins = np.unique(looks.digests[kept], axis=0, return_inverse=True, return_counts=True)
    distance = np.bitwise_count(looks.words[kept] ^ looks.words[heads]).astype(np.int64)
    exact = twins[same.reshape(-1)] > 1
    return Duplicates(group, looks.ids[kept], splits[kept], exact, distance, seen, broken)


def _counts(shards: Array, keys: Array) -> dict[str, int]:
    """How many pictures of each split there are."""
    found: dict[str, int] = {}
    for shard, count in enumerate(np.bincount(keys >> ROW_BITS, minlength=len(shards)).tolist()):
        found[shards[shard]] = found.get(shards[shard], 0) + count
    return found


def report(found: Duplicates, split: str) -> Checked:
    """What duplicates say of one split: metrics of its own pictures, and how it shares them with the others."""
    n, mine = found.seen[split], found.splits == split
    across = {other: _shared(found, split, other) for other in found.seen if other != split}
    elsewhere = _shared(found, split, None)
    extra = int(mine.sum()) - len(np.unique(found.group[mine]))
    metrics = {
        "duplicates.exact": rate(int((mine & found.exact).sum()), n),
        "duplicates.near": rate(int((mine & ~found.exact).sum()), n),
        "duplicates.extra": rate(extra, n),
    }
    if across:
        metrics["duplicates.across"] = rate(elsewhere, n)
    rows = [
        {"split": split, "other": other, "pictures": n, "copied": hits, **reporting.parts("share", rate(hits, n))}
        for other, hits in across.items()
    ]
    listed, notes = cut(listing(found), "pictures that have a copy")
    tables = {"duplicates": listed, "duplicates_across": reporting.table(rows)}
    return Checked(metrics, tables, (*_sentences(found, split, metrics, across), *notes))


def listing(found: Duplicates) -> pa.Table:
    """A row for each picture that has a copy: group, id, split, kind, and bits from the first of its group."""
    kinds = np.where(found.exact, "exact", "near")
    return pa.table(
        {
            "group": pa.array(found.group, pa.int64()),
            "id": pa.array(found.ids, pa.string()),
            "split": pa.array(found.splits, pa.string()),
            "kind": pa.array(kinds, pa.string()),
            "distance": pa.array(found.distance, pa.int64()),
        }
    )


def _shared(found: Duplicates, split: str, other: str | None) -> int:
    """Pictures of a split whose group has one of the other; None: of any other."""
    theirs = found.splits != split if other is None else found.splits == other
    return int(np.isin(found.group[found.splits == split], found.group[theirs]).sum())


def _sentences(
    found: Duplicates, split: str, metrics: Mapping[str, Estimate], across: Mapping[str, int]
) -> Iterator[str]:
    n = found.seen[split]
    for other, hits in across.items():
        share = rate(hits, n)
        if hits:
            yield f"{hits:,} of {n:,} pictures of {split} have a copy in {other}: a share of {shown(share)}"
        else:
            yield f"no copy of any of the {n:,} pictures of {split} was found in {other}"
    exact, near, extra = (metrics[f"duplicates.{name}"] for name in ("exact", "near", "extra"))
    if exact.value or near.value:
        yield (
            f"of the pictures of {split}, a share of {shown(exact)} has another with the same pixels, "
            f"{shown(near)} a near duplicate only; {shown(extra)} would go if one of each group stayed"
        )
    else:
        yield f"no picture of {split} was found twice, of {n:,}"
    if found.broken:
        yield f"{found.broken:,} pictures could not be decoded and were compared with nothing"
