"""The file of cells: written whole, never over other cells, and read back with its reasons if it is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.spec import SpecError
from vision.geolocation import stored
from vision.geolocation.outlines import geojson
from vision.geolocation.stored import Cells

FOUND = ("corpus_version", "corpus_digest", "table_sha256", "photos", "kept", "rejected", "format", "cells_sha256")
"""What a file of cells says about what was found; the rest is what was asked for."""


def check(url: str, asked: Mapping[str, Any]) -> None:
    """Refuse to write over something else; the same question, asked again, may find more photos.

    Raises:
        SpecError: naming the first fact that differs.
    """
    if not storage.exists(url):
        return
    try:
        filesystem, path = storage.locate(url)
        with filesystem.open_input_file(path) as stream:
            held = stored.about(pq.read_schema(stream))
    except (ValueError, OSError):
        raise SpecError(f"{url} is there and holds no cells: choose another --output") from None
    for name in sorted({*held, *asked} - {*FOUND}):
        if held.get(name) != asked.get(name):
            raise SpecError(
                f"{url} holds other cells: {name} is {held.get(name)!r} there and {asked.get(name)!r} now; choose "
                "another --output"
            )


def write(url: str, cells: Cells, outlines: str | None) -> None:
    """Write the Parquet file and, if asked for, outlines as GeoJSON. The same cells give the same bytes."""
    if outlines is not None:
        with storage.upload(outlines) as stream:
            for line in geojson(cells):
                stream.write(line.encode())
    with storage.upload(url) as stream:
        pq.write_table(cells.table(), stream, compression="zstd")


def read(url: str) -> Cells:
    """The cells in a file.

    Raises:
        SpecError: if there is none, or it is damaged or something else.
    """
    filesystem, path = storage.locate(url)
    try:
        with filesystem.open_input_file(path) as stream:
            return stored.from_table(pq.read_table(stream))
    except FileNotFoundError:
        raise SpecError(f"{url}: there are no cells; make them with `safelight run partition`") from None
    except (ValueError, OSError, pa.ArrowInvalid) as error:
        raise SpecError(f"{url}: {str(error).splitlines()[0]}") from None
