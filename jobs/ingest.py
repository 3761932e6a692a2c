"""Raw files to a corpus: listed once, cut into shards, written in parallel, and made visible at the end.

The driver streams the listing and sends descriptors; workers read images and write whole shards. `corpus.json` is
changed last, by compare and swap: until then the corpus is what it was. After a crash the same words find the shards
that are done by their footers and write the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from typing import Literal

import pyarrow.fs as pafs
from pydantic import Field

from jobs import storage
from jobs.intake.agree import Terms, terms
from jobs.intake.cut import Cutter, next_numbers
from jobs.intake.drive import Drive, salt
from jobs.intake.groups import Groups
from jobs.intake.ids import Known
from jobs.intake.listing import Intake
from jobs.intake.manifest import Manifest, labels_table, rejected_table, splits_table
from jobs.intake.write import Writer
from jobs.probing import size_text
from jobs.spec import Context, Job, JobFailed, Plain, Report, SpecError
from vision import corpora
from vision.layout import Layout, Listing, Options, Source, WrongOption

MIB = 2**20
ROW_BYTES = 100
"""What a record takes besides its image: its id, its columns, its place in the footer."""


class Ingest(Job):
    """Turn raw files into a sharded corpus, or add what is new to one."""

    source: str = Field(description="folder, file or URL of the raw files")
    layout: str = Field(
        description="imagefolder, imagenet, cifar10, cifar100, table, geotagged, coco, webdataset, or module:name"
    )
    corpus: str = Field(description="folder or URL of the corpus")
    split: str | None = Field(None, description="split of records without one; of several, the one to take")
    keep: Literal["copy", "reference"] = Field("copy", description="copy the bytes of images, or point at their files")
    shard_rows: int | None = Field(None, ge=1, description="records of a shard, instead of --shard-mb")
    shard_mb: int = Field(128, ge=1, le=1024, description="MiB of images of a shard")
    groups: str | None = Field(None, description="YAML file: group column to its values, and their other spellings")
    path_column: str | None = Field(None, description="table: column of the images' paths or URLs")
    image_column: str | None = Field(None, description="table: column of the images' bytes")
    label_column: str | None = Field(None, description="table, webdataset: column of the labels, numbers or names")
    split_column: str | None = Field(None, description="table: column of the splits")
    id_column: str | None = Field(None, description="table: column of the ids")
    skip_missing: bool = Field(False, description="leave out listed files that do not exist, and say so")
    latitude_column: str | None = Field(None, description="geotagged table: column of latitudes; default: by name")
    longitude_column: str | None = Field(None, description="geotagged table: column of longitudes; default: by name")
    time_column: str | None = Field(None, description="geotagged table: column kept as `time`")
    author_column: str | None = Field(None, description="geotagged table: column kept as `author`, to split by")
    album_column: str | None = Field(None, description="geotagged table: column kept as `album`, to split by")
    name: str | None = Field(None, description="name of the corpus; default: of its folder")
    licence: str | None = Field(None, description="licence of the images")
    workers: int | None = Field(
        None, ge=0, description="processes of one core each; 0: this process, without Ray; default: by the work"
    )
    code: str | None = Field(None, description="folder of Python modules that --layout may point into")

    def run(self, context: Context | None = None) -> Report:
        """Ingest.

        Raises:
            SpecError: if a field does not fit the source.
            JobFailed: if the source is missing, damaged or empty, records are doubled or do not fit the corpus.
        """
        context = context or Plain()
        url = storage.absolute(self.corpus)
        layout, options = self._layout(), self._options()
        groups = Groups.read(self.groups) if self.groups else None
        with _one_line(self.source):
            listing = layout.scan(self._source(), options)
            with storage.claim(url):
                manifest = Manifest.read(url)
                agreed = terms(url, manifest.corpus, listing, groups, self.keep)
                return self._take(context, manifest, layout, listing, agreed)

    def _take(self, context: Context, manifest: Manifest, layout: Layout, listing: Listing, agreed: Terms) -> Report:
        """Write what is new, then make it visible."""
        source, url, before = storage.absolute(self.source), manifest.url, manifest.corpus
        writer = Writer(source, self.layout, self._options(), url, agreed.columns, self.keep, self.code)
        known = Known.of(url, before) if before else Known.nothing(url)
        intake = Intake(
            source, lambda: layout.scan(self._source(), self._options()), agreed, known, self.split,
            self.keep == "reference", before.forgotten if before else None,
        )  # fmt: skip
        numbers = next_numbers([shard.file for shard in before.shards] if before else [])
        cutter = Cutter(self.shard_rows, self.shard_mb * MIB, numbers, salt(writer))
        receipts = Drive(writer, cutter, context, self.workers).run(intake.new(listing))
        if not intake.listed:
            raise JobFailed(f"{self.source} holds no images for a corpus{_because(listing)}")
        after = manifest.commit(self.name, self.licence, source, agreed, listing, receipts)
        found = sum(receipt.found for receipt in receipts)
        notes = [f"{intake.there:,} records were there already"] if intake.there else []
        notes += [f"{intake.kept_out:,} records were forgotten before and stay out"] if intake.kept_out else []
        notes += [f"{found:,} finished shards of an earlier attempt were kept"] if found else []
        added = sum(receipt.rows for receipt in receipts)
        what = f"{added:,} records added in {len(receipts):,} shards: version {after.version}"
        notes.append(what if receipts else "nothing new: the corpus is as it was")
        tables = {"splits": splits_table(after)}
        tables |= {"labels": labels_table(intake.labels, after.classes)} if intake.labels else {}
        tables |= {"rejected": rejected_table(listing.rejected)} if listing.rejected else {}
        tags = {"corpus": url, "corpus_version": str(after.version), "corpus_digest": after.digest}
        return Report(output=url, tables=tables, tags=tags, notes=(*listing.notes, *notes))

    def estimate(self, context: Context) -> Mapping[str, str]:
        """Images and bytes by a listing, and what a new corpus of them would take; nothing is written."""
        layout, rows, size, shards = self._layout(), 0, 0, 0
        with _one_line(self.source):
            listing = layout.scan(self._source(), self._options())
            agreed = Terms(listing.columns, None, None, Groups())
            intake = Intake(self.source, lambda: listing, agreed, Known.nothing(""), self.split, False)
            cutter = Cutter(self.shard_rows, self.shard_mb * MIB, {}, "")
            for plan in cutter.run(intake.new(listing)):
                rows, size, shards = rows + plan.rows, size + plan.bytes, shards + 1
        output = (size if self.keep == "copy" else 0) + ROW_BYTES * rows
        return {
            "images": f"{rows:,}",
            "bytes to read": size_text(size if self.keep == "copy" else 0),
            "requests": f"{rows + 2 * shards + 2:,}",
            "output size": f"about {size_text(output)} in {shards:,} shards",
        }

    def _layout(self) -> Layout:
        if self.code is not None:
            from vision import names

            names.trust(self.code)
        try:
            layout = corpora.find(self.layout)
        except ValueError as error:
            raise SpecError(f"layout: {error}") from None
        for name in (field.name for field in fields(Options)):
            if name != "split" and getattr(self, name) and name not in layout.options:
                readers = f"it reads {', '.join(layout.options)}" if layout.options else "it reads no such fields"
                raise SpecError(f"{name}: the layout {layout.name} does not read it ({readers})")
        if self.keep == "reference" and layout.inside_containers:
            raise SpecError(f"keep: images of {layout.name} lie inside other files and cannot be referred to; use copy")
        return layout

    def _options(self) -> Options:
        return Options(**{field.name: getattr(self, field.name) for field in fields(Options)})

    def _source(self) -> Source:
        url = storage.absolute(self.source)
        if "*" not in url and storage.info(url).type == pafs.FileType.NotFound:
            raise SpecError(f"source: there is nothing at {self.source}")
        return storage.source(url)


@contextmanager
def _one_line(source: str) -> Iterator[None]:
    """What a layout or a file system says, as an error of a job."""
    try:
        yield
    except (SpecError, JobFailed):
        raise
    except WrongOption as error:
        raise SpecError(str(error)) from None
    except (ValueError, OSError) as error:
        raise JobFailed(str(error).strip().splitlines()[0] if str(error) else f"{source}: {error!r}") from None


def _because(listing: Listing) -> str:
    return f" ({'; '.join(listing.notes)})" if listing.notes else ""
