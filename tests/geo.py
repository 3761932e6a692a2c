"""Positions to test with: real ones where they lie beside the checkout, and hard ones made here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tests.making import corpus_of, write_shard
from vision.accumulator import Array
from vision.corpus import Corpus

PHOTOS = 5000
"""Rows of `photos`."""

Places = tuple[Array, Array]
"""Latitudes and longitudes, degrees."""


def shared_geo() -> Path:
    """The folder of real positions; skips the test where there is none."""
    folder = Path(__file__).parents[2] / "shared" / "data" / "geo"
    if not folder.is_dir():
        pytest.skip("no real positions beside the checkout")
    return folder


def hard_places(count: int, seed: int = 0) -> Places:
    """Poles, antimeridian, edges, corners and middles of the cube's faces, round numbers; the rest over the globe."""
    generator = np.random.default_rng(seed)
    corner = np.degrees(np.arctan(1 / np.sqrt(2)))  # where three faces meet
    rows = [
        (sign * 90.0, longitude) for sign in (1, -1) for longitude in (0.0, 45.0, -135.0, 180.0, -180.0, 17.3)
    ]  # fmt: skip
    rows += [(latitude, sign * 180.0) for sign in (1, -1) for latitude in (0.0, 12.5, -67.1, 89.999999)]
    rows += [(sign * corner, longitude) for sign in (1, -1) for longitude in (45.0, 135.0, -45.0, -135.0)]
    rows += [(float(a), float(b)) for a in range(-90, 91, 15) for b in range(-180, 181, 15)]
    rows += [(latitude, 45.0 + 90 * k) for latitude in (0.0, 1e-9, -1e-9, 20.0) for k in range(-2, 2)]
    # Along the edges between side faces and the caps: tan(latitude) = cos(longitude) there.
    along = np.linspace(-45, 45, 301)
    edge = np.degrees(np.arctan(np.cos(np.radians(along))))
    rows += [(sign * a, b + 90 * k) for a, b in zip(edge, along, strict=True) for sign in (1, -1) for k in range(-1, 2)]
    hard = np.array(rows)
    hard = np.concatenate(
        [hard, hard + generator.normal(0, 1e-9, hard.shape), hard + generator.normal(0, 1e-15, hard.shape)]
    )
    hard = np.clip(hard, (-90, -180), (90, 180))
    rest = max(count - len(hard), 0)
    everywhere = np.degrees(np.arcsin(generator.uniform(-1, 1, rest)))
    around = generator.uniform(-180, 180, rest)
    rounded = generator.random(rest) < 0.2
    everywhere[rounded], around[rounded] = everywhere[rounded].round(3), around[rounded].round(3)
    return (
        np.concatenate([hard[:, 0], everywhere])[:count],
        np.concatenate([hard[:, 1], around])[:count],
    )


def clustered_places(count: int, seed: int = 0) -> Places:
    """Photos as people take them: a few places with very many, at all scales, and the antimeridian among them."""
    generator = np.random.default_rng(seed)
    towns = generator.uniform((-60, -180), (70, 180), (30, 2))
    towns[:3] = [[-17.7, 179.99], [48.8584, 2.2945], [89.9, 0.0]]
    weights = 1 / np.arange(1, 31)
    which = generator.choice(30, count, p=weights / weights.sum())
    spread = 10.0 ** generator.uniform(-5, 0, (count, 1))
    places = towns[which] + generator.normal(0, 1, (count, 2)) * spread
    places[generator.random(count) < 0.1] = towns[1]  # one spot that everybody photographs
    latitude = np.clip(places[:, 0], -90, 90)
    return latitude, (places[:, 1] + 180) % 360 - 180


def photos() -> pa.Table:
    """Positions with some of each fault, and columns to choose by."""
    latitude, longitude = clustered_places(PHOTOS)
    latitude[5:100:10], longitude[5:100:10] = 0, 0
    latitude[105:200:10] = np.nan
    latitude[205:300:10] = 213.6
    longitude[305:400:10] = -180.5
    empty = np.zeros(PHOTOS, bool)
    empty[405:500:10] = True
    return pa.table(
        {
            "id": [f"{n:05d}.jpg" for n in range(PHOTOS)],
            "latitude": pa.array(latitude, mask=empty),
            "longitude": pa.array(longitude, mask=empty),
            "author": [f"a{n % 7}" for n in range(PHOTOS)],
        }
    )


def write_corpus(folder: Path, parts: Sequence[pa.Table], version: int = 1, before: Corpus | None = None) -> str:
    """A corpus of geotagged photos without pixels, or more shards for one."""
    shards = list(before.shards) if before else []
    for number, table in enumerate(parts, len(shards)):
        shards.append(write_shard(folder, f"all/part-{number:05d}.parquet", table, 100, version))
    columns = {"latitude": "double", "longitude": "double", "author": "string"}
    return corpus_of(folder, {}, 100, columns=columns, version=version, shards=tuple(shards))


def split(table: pa.Table, parts: int, seed: int) -> list[pa.Table]:
    """Shards of a table, rows and shards in any order."""
    rows = np.random.default_rng(seed).permutation(len(table))
    return [table.take(pa.array(part)) for part in np.array_split(rows, parts)]
