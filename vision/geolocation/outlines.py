"""Outlines of cells on a map: GeoJSON polygons, cut at the antimeridian and led along the poles.

The edges of cells are great circles, which are curves on a map of degrees: a large cell gets points along its edges. A
cell that reaches past 180 degrees becomes two polygons, and one that holds a pole a band up to the map's border, as
RFC 7946 asks for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from vision.accumulator import Array
from vision.geolocation import s2
from vision.geolocation.s2_geometry import vertices
from vision.geolocation.stored import Cells
from vision.sphere import positions

_FINE = 6
"""From this level on (edges of about 140 km) corners alone do."""

_DIGITS = 7
_SLIVER = 1e-9
"""Share of a cell that is no polygon of its own: what rounding leaves on the other side of 180 degrees."""

Ring = list[tuple[float, float]]
"""(longitude, latitude) in degrees, first and last the same."""


def outline(cell: Array) -> list[Ring]:
    """The polygons of one cell, each a closed ring, counterclockwise.

    Args:
        cell: (1,) uint64.
    """
    longitudes, latitudes = _round(cell)
    ring = list(zip(longitudes.tolist(), latitudes.tolist(), strict=True))
    middle = np.round(np.mean(longitudes) / 360) * 360
    parts = [_cut([(x - middle - turn, y) for x, y in ring]) for turn in (-360.0, 0.0, 360.0)]
    least = _SLIVER * sum(_area(part) for part in parts if part)
    return [[*part, part[0]] for part in parts if part and _area(part) > least]


def features(cells: Cells) -> Iterator[dict[str, Any]]:
    """A GeoJSON feature for each cell, with its token, level, class, count and mean position."""
    shown = cells.table().select(["token", "level", "label", "count", "mean_latitude", "mean_longitude"])
    for row, properties in enumerate(shown.to_pylist()):
        shape = geometry(cells.ids[row : row + 1])
        yield {"type": "Feature", "id": properties["token"], "properties": properties, "geometry": shape}


def geometry(cell: Array) -> dict[str, Any]:
    """The GeoJSON geometry of one cell (1,) uint64."""
    rings = [np.round(ring, _DIGITS).tolist() for ring in outline(cell)]
    if len(rings) > 1:
        return {"type": "MultiPolygon", "coordinates": [[ring] for ring in rings]}
    return {"type": "Polygon", "coordinates": rings}


def geojson(cells: Cells) -> Iterator[str]:
    """A FeatureCollection as lines of text: 57,000 cells are some 25 MB and need not be held."""
    return collection(features(cells))


def collection(found: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Features as a FeatureCollection, a line of text each."""
    yield '{"type": "FeatureCollection", "features": [\n'
    for number, feature in enumerate(found):
        yield (",\n" if number else "") + json.dumps(feature)
    yield "\n]}\n"


def _round(cell: Array) -> tuple[Array, Array]:
    """Longitudes without jumps, and latitudes, once round a cell; closed over a pole where it holds one."""
    corners = vertices(cell)[0]
    steps = 2 ** max(_FINE - int(s2.level(cell)[0]), 0)
    share = np.arange(steps)[:, None] / steps
    points = np.concatenate([a + (b - a) * share for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True)])
    latitudes, longitudes = positions(points)
    latitudes, longitudes = _at_pole(latitudes, longitudes, points)
    turned = np.unwrap(np.append(longitudes, longitudes[0]), period=360)
    if abs(turned[-1] - turned[0]) > 180:
        # Once round the Earth: up to the pole, back along the map's border, and down again.
        pole = 90.0 if latitudes.mean() > 0 else -90.0
        turned, latitudes = np.append(turned, turned[[-1, 0]]), np.append(latitudes, [latitudes[0], pole, pole])
        return turned, latitudes
    return turned[:-1], latitudes


def _at_pole(latitudes: Array, longitudes: Array, points: Array) -> tuple[Array, Array]:
    """A corner on a pole has no longitude: it becomes two points, under the one before and the one after it."""
    here = np.flatnonzero((points[:, 0] == 0) & (points[:, 1] == 0))
    if not len(here):
        return latitudes, longitudes
    at = int(here[0])
    before, after = longitudes[at - 1], longitudes[(at + 1) % len(longitudes)]
    latitudes = np.insert(latitudes, at, latitudes[at])
    longitudes = np.insert(longitudes, at, before)
    longitudes[at + 1] = after
    return latitudes, longitudes


def _cut(ring: Ring) -> Ring:
    """What of a ring lies within -180..180: cut at one border, then at the other.

    Reference: Sutherland & Hodgman, "Reentrant polygon clipping", CACM 1974.
    """
    return _clipped(_clipped(ring, -180.0, 1.0), 180.0, -1.0)


def _clipped(ring: Ring, border: float, side: float) -> Ring:
    found: Ring = []
    for (x0, y0), (x1, y1) in zip([ring[-1], *ring[:-1]] if ring else [], ring, strict=True):
        inside, was_inside = (x1 - border) * side >= 0, (x0 - border) * side >= 0
        if inside != was_inside:
            share = (border - x0) / (x1 - x0)
            found.append((border, y0 + share * (y1 - y0)))
        if inside:
            found.append((x1, y1))
    return found


def _area(ring: Sequence[tuple[float, float]]) -> float:
    """Square degrees."""
    x, y = (np.array(ring) - ring[0]).T  # near the origin, so that small ones keep their digits
    return abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2
