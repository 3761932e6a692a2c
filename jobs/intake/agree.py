"""Whether new records fit a corpus that is there: its columns, its classes, its groups, the way it keeps images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from jobs import storage
from jobs.intake.groups import Groups
from jobs.intake.ids import shard_schema
from jobs.spec import JobFailed
from vision.corpora.files import some
from vision.corpus import Corpus
from vision.layout import Listing

LABELS = ("label", "box_labels")


@dataclass(frozen=True)
class Terms:
    """What new records are written with.

    Attributes:
        columns: the question's columns.
        classes: of the corpus, after this run.
        remap: from the source's labels to the corpus'; None where they are the same.
        groups: declared columns.
    """

    columns: pa.Schema
    classes: tuple[str, ...] | None
    remap: tuple[int, ...] | None
    groups: Groups

    def apply(self, entries: pa.Table) -> pa.Table:
        """Entries in the words of the corpus."""
        entries = self.groups.apply(entries)
        for name in LABELS:
            if self.remap is not None and name in entries.column_names:
                place = entries.column_names.index(name)
                values = entries[name].combine_chunks()
                entries = entries.set_column(place, entries.schema.field(name), _remapped(values, self.remap))
        return entries


def terms(url: str, corpus: Corpus | None, listing: Listing, groups: Groups | None, keep: str) -> Terms:
    """What new records are written with.

    Raises:
        SpecError: if a declared group is no column.
        JobFailed: if the records do not fit the corpus, saying in what.
    """
    if corpus is None:
        declared = groups or Groups()
        return Terms(declared.schema(listing.columns), listing.classes, None, declared)
    declared = _groups(corpus, groups)
    columns = declared.schema(listing.columns)
    _same_columns(url, corpus, columns)
    _same_keeping(url, corpus, keep)
    classes, remap = _classes(url, corpus.classes, listing.classes)
    return Terms(columns, classes, remap, declared)


def _groups(corpus: Corpus, groups: Groups | None) -> Groups:
    if groups is None:
        return Groups(dict(corpus.groups))
    for name in {*corpus.groups, *groups.values}:
        old, new = set(corpus.groups.get(name, ())), set(groups.values.get(name, ()))
        if not old <= new or (not old and new):
            raise JobFailed(
                f"groups: {name} was declared as {', '.join(sorted(old)) or 'no group'} when earlier records came in, "
                f"and {', '.join(sorted(new)) or 'no group'} does not contain that"
            )
    return groups


def _same_columns(url: str, corpus: Corpus, columns: pa.Schema) -> None:
    new = {field.name: str(field.type) for field in columns}
    for name in sorted({*corpus.columns, *new}):
        old, found = corpus.columns.get(name), new.get(name)
        if old != found:
            raise JobFailed(
                f"{url} has {f'the column {name} ({old})' if old else f'no column {name}'}, "
                f"the source has {found or 'none'}: records of one corpus have the same columns"
            )


def _same_keeping(url: str, corpus: Corpus, keep: str) -> None:
    present = corpus.present()
    if not present:
        return
    kept = "copy" if "image" in shard_schema(storage.join(url, present[0].file)).names else "reference"
    if kept != keep:
        raise JobFailed(f"{url} keeps its images by {kept}: add to it with --keep {kept}")


def _classes(
    url: str, old: tuple[str, ...] | None, new: tuple[str, ...] | None
) -> tuple[tuple[str, ...] | None, tuple[int, ...] | None]:
    """The classes after this run, and where the source's labels lie among them."""
    if old == new:
        return old, None
    if old is None or new is None:
        has, has_not = ("the source", url) if old is None else (url, "the source")
        raise JobFailed(f"{has} names its classes and {has_not} only numbers them: they cannot be told to be the same")
    if new[: len(old)] == old:
        return new, None
    unknown = [name for name in new if name not in old]
    if unknown:
        raise JobFailed(
            f"{url} has no class {some(unknown)}; it could only be added behind the others ({some(old)}), "
            "and labels never change: make a new corpus"
        )
    return old, tuple(old.index(name) for name in new)


def _remapped(values: pa.Array, remap: Sequence[int]) -> pa.Array:
    if pa.types.is_list(values.type):
        return pa.ListArray.from_arrays(values.offsets, _remapped(values.values, remap))
    return pc.take(pa.array(remap, pa.int32()), values)
