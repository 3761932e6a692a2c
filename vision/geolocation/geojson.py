"""Maps as GeoJSON, for any map program: the cells or lines of a table that `vision.geolocation.drawn` made.

Features bear the columns of the table, but for `id`: such files leave the house, and `forget` cannot follow them.

Reference: Butler et al., "The GeoJSON Format", RFC 7946, 2016.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from vision.geolocation import s2
from vision.geolocation.answers import NEEDS
from vision.geolocation.arcs import arc
from vision.geolocation.outlines import collection, geometry


def geojson(table: pa.Table) -> Iterator[str]:
    """A map's table as lines of text: a FeatureCollection.

    Raises:
        ValueError: if the table is no map.
    """
    plot = json.loads((table.schema.metadata or {}).get(b"plot", b"{}"))
    if plot.get("kind") != "map":
        raise ValueError("the table is no map: it has no plot of that kind")
    marks = [_point(name, place) for name, place in plot.get("marks", {}).items()]
    return collection([*marks, *(_cells(table) if plot["shape"] == "cells" else _lines(table))])


def _cells(table: pa.Table) -> Iterator[dict[str, Any]]:
    ids = s2.from_tokens(table["token"].to_pylist())
    for row, properties in enumerate(table.to_pylist()):
        shape = geometry(ids[row : row + 1])
        yield {"type": "Feature", "id": properties["token"], "properties": properties, "geometry": shape}


def _lines(table: pa.Table) -> Iterator[dict[str, Any]]:
    for row in table.to_pylist():
        latitude, longitude, said_latitude, said_longitude = (row[name] for name in NEEDS)
        parts = [
            [list(point) for point in line] for line in arc((latitude, longitude), (said_latitude, said_longitude))
        ]
        shape: dict[str, Any] = {"type": "MultiLineString", "coordinates": parts}
        if len(parts) == 1:
            shape = {"type": "LineString", "coordinates": parts[0]}
        elif not parts:
            shape = {"type": "Point", "coordinates": [longitude, latitude]}
        yield {"type": "Feature", "properties": {k: v for k, v in row.items() if k != "id"}, "geometry": shape}


def _point(name: str, place: tuple[float, float]) -> dict[str, Any]:
    shape = {"type": "Point", "coordinates": [place[1], place[0]]}
    return {"type": "Feature", "properties": {"mark": name}, "geometry": shape}
