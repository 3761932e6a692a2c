"""Pictures worth looking at, found again by id and made small for a report."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs import storage
from jobs.answers import Answers
from jobs.engine.shard import referenced
from jobs.spec import Example
from vision.image import CorruptImage
from vision.sheet import thumbnail


def examples(answers: Answers, notable: Sequence[tuple[str, str]]) -> tuple[Example, ...]:
    """A thumbnail for each (id, caption), in their order; ids without a picture are left out."""
    if answers.reading is None or not notable:
        return ()
    reading = answers.reading
    files = [shard.file for shard in reading.corpus.present(reading.split)]
    images = find_images(reading.url, files, [id_ for id_, _ in notable])
    return tuple(Example(id_, caption, thumbnail(images[id_])) for id_, caption in notable if id_ in images)


def find_images(url: str, files: Sequence[str], ids: Sequence[str]) -> dict[str, bytes]:
    """The encoded bytes of a few records of a corpus, by id; only the row groups that hold them are read."""
    found: dict[str, bytes] = {}
    wanted = pa.array(list(ids), pa.string())
    for file in files:
        if len(found) == len(ids):
            break
        filesystem, path = storage.locate(storage.join(url, file))
        with filesystem.open_input_file(path) as stream:
            shard = pq.ParquetFile(stream)
            for group in range(shard.num_row_groups):
                inside = shard.read_row_group(group, columns=["id"])["id"]
                rows = pc.indices_nonzero(pc.is_in(inside, value_set=wanted))
                if len(rows):
                    found |= _bytes(shard.read_row_group(group).take(rows))
    return found


def _bytes(table: pa.Table) -> dict[str, bytes]:
    ids = table["id"].to_pylist()
    if "image" in table.column_names:
        pairs = zip(ids, table["image"].to_pylist(), strict=True)
    else:
        etags = table["etag"].to_pylist()
        pairs = zip(ids, map(referenced, table["uri"].to_pylist(), etags), strict=True)
    return {id_: data for id_, data in pairs if data is not None and not isinstance(data, CorruptImage)}
