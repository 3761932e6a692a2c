"""The records of a source that a corpus has not yet: split, spelt and labelled as it wants, each once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.intake.agree import Terms
from jobs.intake.cut import STATE
from jobs.intake.ids import Known, Seen, hashes, states
from jobs.spec import JobFailed, SpecError
from vision.corpora.files import some
from vision.layout import Listing
from vision.tombstones import Tombstones

SUSPECTS = 10_000
"""Ids that may be doubled before the listing is compared word by word."""


@dataclass
class Intake:
    """A source on its way into a corpus; counts fill while `new` is read.

    Attributes:
        source: its URL.
        scan: lists it, again if need be.
        split: the only split that is taken, and the one of records without any; None: all, and `all`.
        forgotten: records that are not to come back; `kept_out` counts them.
    """

    source: str
    scan: Callable[[], Listing]
    terms: Terms
    known: Known
    split: str | None
    reference: bool
    forgotten: Tombstones | None = None
    listed: int = 0
    there: int = 0
    kept_out: int = 0
    labels: Counter[tuple[str, int | None]] = field(default_factory=Counter)
    splits: set[str] = field(default_factory=set)
    _seen: Seen = field(default_factory=Seen)
    _suspects: list[str] = field(default_factory=list)
    _changed: list[str] = field(default_factory=list)
    _elsewhere: list[str] = field(default_factory=list)

    def new(self, listing: Listing) -> Iterator[pa.Table]:
        """Entries that are new, with their states.

        Raises:
            SpecError: if `split` is none of the source's.
            JobFailed: if ids are doubled, or there already from elsewhere or with another content.
        """
        for table in listing.entries:
            entries = self._of_split(table)
            if entries.num_rows:
                self._check(entries)
                entries = self._unknown(self.terms.apply(entries))
                self._count(entries)
                yield entries
        self._settle()
        if self.split is not None and self.splits and self.split not in self.splits:
            raise SpecError(f"split: {self.source} has {', '.join(sorted(self.splits))}, not {self.split!r}")

    def _of_split(self, table: pa.Table) -> pa.Table:
        splits = table["split"].fill_null(self.split or "all")
        self.splits.update(pc.unique(splits).to_pylist())
        table = table.set_column(table.column_names.index("split"), pa.field("split", pa.string()), splits)
        return table if self.split is None else table.filter(pc.equal(splits, self.split))

    def _check(self, entries: pa.Table) -> None:
        if entries["id"].null_count or pc.any(pc.equal(entries["id"], "")).as_py():
            raise JobFailed(f"{self.source} has a record without an id")
        if self.reference and entries["offset"].null_count < entries.num_rows:
            raise SpecError("keep: images inside archives, batches or tables have no file to refer to; use copy")

    def _unknown(self, entries: pa.Table) -> pa.Table:
        """Leave out what the corpus has; note what must be refused."""
        self.listed += entries.num_rows
        ids, state = entries["id"].to_pylist(), states(entries)
        marks = hashes(ids)
        here, changed, elsewhere = self.known.sort_out(ids, marks, state, self.source)
        again = self._seen.add(marks)
        self._changed += changed
        self._elsewhere += elsewhere
        self._suspects += [ids[row] for row in np.flatnonzero(again)]
        if max(map(len, (self._changed, self._elsewhere, self._suspects))) >= SUSPECTS:
            self._settle()
        self.there += int(here.sum())
        wanted = ~here & ~np.isin(np.array(ids, object), [*changed, *elsewhere]) if changed or elsewhere else ~here
        if self.forgotten is not None:
            barred = np.array(self.forgotten.holds(ids), bool)
            self.kept_out += int(barred.sum())
            wanted &= ~barred
        return entries.append_column(STATE, pa.array(state)).filter(pa.array(wanted))

    def _count(self, entries: pa.Table) -> None:
        if "label" in entries.column_names:
            pairs = zip(entries["split"].to_pylist(), entries["label"].to_pylist(), strict=True)
            self.labels.update(pairs)

    def _settle(self) -> None:
        """Refuse what cannot come in.

        Raises:
            JobFailed: naming the first few, and how many.
        """
        if self._changed:
            raise JobFailed(
                f"{len(self._changed):,} records changed in {self.source} since they came in (file, label or another "
                f"column): {some(self._changed)}; records never change: ingest into a new corpus",
                self._changed[:1000],
            )
        if self._elsewhere:
            raise JobFailed(
                f"{len(self._elsewhere):,} ids of {self.source} are there already from another source: "
                f"{some(self._elsewhere)}",
                self._elsewhere[:1000],
            )
        if self._suspects and (doubled := self._doubled()):
            raise JobFailed(
                f"{len(doubled):,} ids occur more than once in {self.source}: {some(doubled)}", doubled[:1000]
            )
        self._suspects.clear()

    def _doubled(self) -> list[str]:
        """The suspects that do occur twice: the source is listed again and their ids are compared as text."""
        wanted = hashes(self._suspects)
        found: Counter[str] = Counter()
        for table in self.scan().entries:
            ids = self._of_split(table)["id"].to_pylist()
            found.update(ids[row] for row in np.flatnonzero(np.isin(hashes(ids), wanted)))
        return sorted(text for text, count in found.items() if count > 1)
