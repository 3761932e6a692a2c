"""The globe's cells from geotags: PlaNet's adaptive partition of a corpus, of a table, or as somebody published it.

Shards are counted apart and the counts added, so cells are the same to the last bit for any sharding, order and number
of workers. What was counted stays beside the output (`CELLS.parquet.state`, 8 bytes a photo): when shards are added,
the same command reads those alone. 126 million photos are 1 GB of state; a billion 8 GB, in as many files as there are
shards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pydantic import Field

from jobs import flow, records, storage
from jobs.choosing import sha256
from jobs.partitioning import listed, output, state, summary, tables
from jobs.partitioning.columns import Columns
from jobs.partitioning.survey import survey
from jobs.probing import size_text
from jobs.records import Reads, Spread
from jobs.spec import Context, Plain, Report, SpecError
from vision.accumulator import Array, Counts
from vision.geolocation import cells as adaptive
from vision.geolocation import means
from vision.geolocation.stored import Cells


class Partition(Reads, Spread):
    """Divide the globe into cells that hold about as many photos each."""

    output: str = Field(description="Parquet file of the cells")
    table: str | None = Field(None, description="CSV, TSV or Parquet with positions, in place of --corpus")
    published: str | None = Field(None, description="CSV of cells as papers publish them, to be checked and kept")
    columns: tuple[str, ...] = Field((), description="role=name,... such as latitude=LAT,longitude=LON,count=n,id=file")
    t_max: int = Field(10_000, ge=1, description="a cell with more photos is cut into four")
    t_min: int = Field(50, ge=0, description="what few photos are: such cells are dropped")
    min_level: int = Field(0, ge=0, le=30, description="level of the largest cells (0: the six faces)")
    max_level: int = Field(30, ge=0, le=30, description="level of the smallest cells (30: a centimetre)")
    drop: adaptive.Drop = Field("below", description="drop cells with fewer than t_min photos, or with at most t_min")
    geojson: str | None = Field(None, description="file for the outlines of the cells, as GeoJSON")
    keep_state: bool = Field(
        True, description="keep photos' ids beside the output, so that new shards cost only theirs"
    )

    def run(self, context: Context | None = None) -> Report:
        """Divide.

        Raises:
            SpecError: if a field does not fit, or the output holds something else.
            JobFailed: if a shard is missing or damaged, or published tokens are.
        """
        given = [name for name in ("corpus", "table", "published") if getattr(self, name)]
        if len(given) != 1:
            got = " and ".join(given) or "none"
            raise SpecError(f"partition takes one of --corpus, --table and --published, got {got}")
        self._refuse(given[0])
        place = storage.absolute(self.output)
        if self.published:
            return self._kept(place)
        return self._counted(place) if self.table else self._surveyed(place, context or Plain())

    def estimate(self, context: Context) -> Mapping[str, str]:
        if not self.corpus:
            return {}
        reading = flow.read(self)
        shards = reading.corpus.present(reading.split)
        rows = sum(shard.rows for shard in shards)
        return {
            "photos": f"{rows:,} in {len(shards):,} shards",
            "bytes to read": f"about {size_text(16 * rows)} of positions",
            "state": f"{size_text(8 * rows)} in {state.beside(storage.absolute(self.output))}",
        }

    def _refuse(self, source: str) -> None:
        """Words that would change nothing are wrong words."""
        idle = {
            "corpus": (),
            "table": ("split",),
            "published": ("split", "where", "limit", "sample", "stratify", "join"),
        }
        for name in idle[source]:
            if getattr(self, name) is not None:
                raise SpecError(f"{name}: nothing is chosen from --{source}")
        if source == "corpus" and (Columns.parse(self.columns).count or Columns.parse(self.columns).id):
            raise SpecError("columns: count and id are roles in a table; a corpus has a row for each photo")

    def _kept(self, place: str) -> Report:
        """A published table, checked and kept."""
        url = storage.absolute(self.published or "")
        output.check(place, {"published": url})
        return self._written(place, listed.read(url, self.columns), Counts(), {"table": url})

    def _counted(self, place: str) -> Report:
        """A table, counted in this process."""
        url = storage.absolute(self.table or "")
        asked = {**self._asked(), "table": url}
        output.check(place, asked)
        photos = tables.leaves(url, Columns.parse(self.columns), self)
        found = adaptive.partition(photos.leaves, self._rule())
        facts = {**asked, "table_sha256": sha256(url), **summary.seen(len(photos.leaves), photos.rejected)}
        cells = _cells(found, means.sums(photos.leaves, found.cells), facts)
        return self._written(place, cells, photos.rejected, {"table": url})

    def _surveyed(self, place: str, context: Context) -> Report:
        """A corpus, counted shard by shard."""
        asked, rule, columns = self._asked(), self._rule(), Columns.parse(self.columns)
        reading, folder = flow.read(self), state.beside(place)
        corpus = reading.corpus
        asked |= {"corpus": reading.url, "split": reading.split}
        with storage.claim(folder):
            output.check(place, asked)
            rounds = survey(reading, columns, rule, folder, self, context)
            found, sums = rounds.result()
            state_of = {"corpus_version": str(corpus.version), "corpus_digest": corpus.digest}
            facts = {**asked, **state_of, **summary.seen(rounds.photos, rounds.rejected)}
            tags = {"corpus": reading.url, **state_of, "split": reading.split}
            report = self._written(place, _cells(found, sums, facts), rounds.rejected, tags)
            if not self.keep_state:
                state.clear(folder)
        return report

    def _written(self, place: str, cells: Cells, rejected: Counts, tags: Mapping[str, str]) -> Report:
        output.write(place, cells, self.geojson and storage.absolute(self.geojson))
        return summary.report(place, cells, rejected, tags)

    def _rule(self) -> adaptive.Rule:
        try:
            return adaptive.Rule(self.t_max, self.t_min, self.min_level, self.max_level, self.drop)
        except ValueError as error:
            raise SpecError(str(error)) from None

    def _asked(self) -> dict[str, Any]:
        """What decides the cells besides the photos, in words that a refusal can name."""
        named = {"columns": sorted(self.columns)} if self.columns else {}
        return {**asdict(self._rule()), **records.key(self), **named}


def _cells(found: adaptive.Partition, sums: Array, about: Mapping[str, Any]) -> Cells:
    return Cells(found.cells, found.counts, means.means(sums, found.counts), about=about)
