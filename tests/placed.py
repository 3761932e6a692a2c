"""Photos whose looks tell where they were taken, and partitions for them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from tests.making import corpus_of, cut
from vision.accumulator import Array
from vision.geolocation import s2
from vision.geolocation.cells import Rule, partition
from vision.geolocation.counts import Leaves
from vision.geolocation.means import means, sums
from vision.geolocation.stored import Cells

TOWNS = np.array([[48.86, 2.35], [48.4, 9.99], [-33.87, 151.21], [-17.7, 179.9], [40.71, -74.0], [64.13, -21.9]])
"""(6, 2) degrees: where the photos are taken, two of them 580 km from each other and one at the antimeridian."""


def places_of(count: int, seed: int = 0, spread: float = 0.3, together: int = 1) -> Array:
    """(N, 2) degrees, round the towns; so many photos one after the other are of one town."""
    generator = np.random.default_rng(seed)
    towns = np.repeat(generator.integers(0, len(TOWNS), -(-count // together)), together)[:count]
    found = TOWNS[towns] + generator.normal(0, spread, (count, 2))
    found[:, 1] = (found[:, 1] + 180) % 360 - 180
    return found


def everywhere(count: int, seed: int = 0) -> Array:
    """(N, 2) degrees, evenly over the globe."""
    generator = np.random.default_rng(seed)
    latitude = np.degrees(np.arcsin(generator.uniform(-1, 1, count)))
    return np.stack([latitude, generator.uniform(-180, 180, count)], axis=1)


Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels; the last ones are not inside."""


def photo(place: Array, seed: int, side: int = 32, cue: Box | None = None) -> bytes:
    """A PNG whose colours are those of its latitude and longitude, with noise; only within `cue`, if there is one."""
    generator = np.random.default_rng(seed)
    latitude, longitude = np.radians(place)
    colour = 90 * np.array([np.sin(latitude), np.sin(longitude), np.cos(longitude)])
    tells = np.zeros((side, side, 1))
    left, top, right, bottom = cue or (0, 0, side, side)
    tells[top:bottom, left:right] = 1
    pixels = np.clip(128 + tells * colour + generator.normal(0, 25, (side, side, 3)), 0, 255)
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def cells_of(places: Array, t_max: int, t_min: int = 1) -> Cells:
    """The adaptive partition of places, with means."""
    leaves = Leaves.of(s2.ids(np.ascontiguousarray(places[:, 0]), np.ascontiguousarray(places[:, 1])))
    found = partition(leaves, Rule(t_max, t_min))
    return Cells(found.cells, found.counts, means(sums(leaves, found.cells), found.counts), about={"t_max": t_max})


def write_cells(path: Path, cells: Cells) -> str:
    """A file of cells."""
    pq.write_table(cells.table(), path)
    return str(path)


def write_corpus(folder: Path, sizes: dict[str, int], shard_rows: int = 40, album: int = 1) -> str:
    """A corpus of such photos: `sizes` says how many each split has, `album` how many photos an album has.

    An album's photos were taken in one town, ten minutes after each other; every 20th photo is in none.
    """
    tables = {}
    for number, (split, count) in enumerate(sizes.items()):
        places = places_of(count, number, together=album)
        times = np.datetime64("2020-05-01T08:00:00") + np.arange(count) * np.timedelta64(10, "m")
        table = pa.table({
            "id": [f"{split}-{n:05d}.png" for n in range(count)],
            "image": pa.array([photo(place, 10_000 * number + n) for n, place in enumerate(places)], pa.binary()),
            "latitude": places[:, 0],
            "longitude": places[:, 1],
            "album": [f"{split}-{n // album}" if n % 20 else None for n in range(count)],
            "time": times.astype(str).tolist(),
        })  # fmt: skip
        tables[split] = cut(table, shard_rows)
    return corpus_of(folder, tables, 16)
