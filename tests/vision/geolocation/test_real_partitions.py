"""Ten partitions of real photos, and the published one that papers compare with, by their golden numbers."""

from __future__ import annotations

import csv
import hashlib

import numpy as np
import pytest

from tests.geo import shared_geo
from vision.accumulator import Array
from vision.geolocation import published, s2
from vision.geolocation.cells import Rule, partition
from vision.geolocation.counts import Leaves
from vision.geolocation.published import DamagedTokens

# file, t_max, t_min, start level -> cells, photos kept, levels, sha256 of the sorted lines token,count
GOLDEN = [
    ("photo_coords_60k", 500, 50, 2, 267, 56692, (2, 11), "af1a24f98b37a417"),
    ("photo_coords_60k", 200, 10, 2, 809, 58778, (2, 13), "0698f032d1fee34f"),
    ("photo_coords_60k", 200, 10, 0, 806, 58795, (1, 13), "3d6d7144a1fa4078"),
    ("photo_coords_60k", 50, 5, 2, 2659, 56620, (2, 15), "9e5a8d6048a88399"),
    ("photo_coords_60k", 1000, 50, 0, 169, 58974, (0, 10), "114fb12caeff9813"),
    ("yfcc12800_a_places365", 500, 50, 2, 56, 11593, (2, 6), "200f1edbad567c53"),
    ("yfcc12800_a_places365", 200, 10, 2, 183, 12422, (2, 10), "9f1a1c9ecc0a5408"),
    ("yfcc12800_a_places365", 200, 10, 0, 174, 12441, (0, 10), "9361206e614feec6"),
    ("yfcc12800_a_places365", 50, 5, 2, 543, 12031, (2, 13), "3c9b95eed7ee7971"),
    ("yfcc12800_a_places365", 1000, 50, 0, 34, 12468, (0, 5), "327710e82af570ee"),
]


def column(name: str, *columns: str) -> list[list[str]]:
    with open(shared_geo() / f"{name}.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return [[row[wanted] for row in rows] for wanted in columns]


def leaves(name: str) -> Array:
    return s2.ids(*(np.array(values, float) for values in column(name, "LAT", "LON")))


@pytest.mark.parametrize(("name", "t_max", "t_min", "start", "cells", "photos", "levels", "sha"), GOLDEN)
def test_golden_partitions(
    name: str, t_max: int, t_min: int, start: int, cells: int, photos: int, levels: tuple[int, int], sha: str
) -> None:
    found = partition(Leaves.of(leaves(name)), Rule(t_max, t_min, min_level=start, drop="at-most"))
    depth = s2.level(found.cells)
    assert (len(found.cells), found.counts.sum(), (depth.min(), depth.max())) == (cells, photos, levels)
    lines = sorted(f"{a},{b}" for a, b in zip(s2.tokens(found.cells).tolist(), found.counts.tolist(), strict=True))
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16] == sha


def test_the_published_partition_and_its_labels() -> None:
    cells = published.read((shared_geo() / "cells_50_5000.csv").read_text())
    assert len(cells) == 3298
    assert s2.tokens(cells.ids)[cells.labels == 5].tolist() == ["89c244"]
    assert cells.counts.min() == 51
    (labels,) = column("yfcc12800_a_class_50_5000", "class_50_5000")
    same_order = column("yfcc12800_a_class_50_5000", "IMG_ID") == column("yfcc12800_a_places365", "IMG_ID")
    assert same_order
    found = cells.locate(leaves("yfcc12800_a_places365"))
    assert (found == np.array(labels, int)).sum() == 12_800


def test_the_copy_that_a_spreadsheet_damaged() -> None:
    text = (shared_geo() / "cells_50_5000_translocator.csv").read_text()
    with pytest.raises(DamagedTokens, match="121 of 3,298 tokens are damaged") as caught:
        published.read(text)
    good = (shared_geo() / "cells_50_5000.csv").read_text().splitlines()
    lines = text.splitlines()
    differ = [
        (n, line.split(",")[1]) for n, line in enumerate(lines, 1) if line.split(",")[1] != good[n - 1].split(",")[1]
    ]
    assert list(caught.value.rows) == differ
    assert len(differ) == 121
    assert "42, 54, 73" in str(caught.value) or all(str(n) in str(caught.value) for n, _ in differ)
