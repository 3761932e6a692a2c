"""Geotagged photos: positions out of EXIF in every container, tables of them, and what is left out and why."""

from __future__ import annotations

import csv
import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.corpora import listed, put, read, table
from tests.geo import shared_geo
from vision.corpora import exif
from vision.corpora.geotagged import LAYOUT
from vision.layout import WrongOption

GOOD = {1: "N", 2: (48.0, 51.0, 30.12), 3: "E", 4: (2.0, 17.0, 40.2)}
PARIS = (48 + 51 / 60 + 30.12 / 3600, 2 + 17 / 60 + 40.2 / 3600)


def photo(gps: dict[int, Any] | None, kind: str = "JPEG", **tags: str) -> bytes:
    """A picture whose EXIF Pillow wrote."""
    block = Image.Exif()
    block[0x010F] = "a maker"
    if gps is not None:
        block.get_ifd(0x8825).update(gps)
        block[0x8825] = gps  # JPEG is written from the one, TIFF from the other
    if "taken" in tags:
        block[0x8769] = {0x9003: tags["taken"]}
    if "author" in tags:
        block[0x013B] = tags["author"]
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 30, 30)).save(stream, kind, exif=block)
    return stream.getvalue()


def tiff(order: str, kind: int, latitude: bytes, count: int) -> bytes:
    """A bare EXIF block with a GPS directory alone: a latitude as given, 2 degrees and a half east."""
    east = struct.pack(f"{order}6I", 2, 1, 30, 1, 0, 1)
    gps, values = 26, 26 + 2 + 4 * 12 + 4
    entries = [
        (1, 2, 2, b"S\0\0\0"), (2, kind, count, struct.pack(f"{order}I", values)),
        (3, 2, 2, b"e\0\0\0"), (4, 5, 3, struct.pack(f"{order}I", values + len(latitude))),
    ]  # fmt: skip
    packed = b"".join(struct.pack(f"{order}HHI", tag, k, n) + value for tag, k, n, value in entries)
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8)
    main = struct.pack(f"{order}HHHII", 1, 0x8825, 4, 1, gps) + bytes(4)
    return head + main + struct.pack(f"{order}H", 4) + packed + bytes(4) + latitude + east


def in_jpeg(block: bytes, before: bytes = b"") -> bytes:
    content = b"Exif\0\0" + block
    return b"\xff\xd8" + before + b"\xff\xff\xe1" + struct.pack(">H", len(content) + 2) + content + b"\xff\xda\0\2"


def place(data: bytes) -> tuple[float, float]:
    from vision.corpora.position import position

    tags = exif.read(data)
    return position(*tags.latitude, *tags.longitude)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "MPO"])
def test_every_container_that_pillow_writes(kind: str) -> None:
    np.testing.assert_allclose(place(photo(GOOD, kind)), PARIS, atol=1e-6)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("kind", "form", "numbers"),
    [
        (5, "6I", (33, 1, 51, 1, 252, 10)),
        (10, "6i", (-33, 1, 51, 1, 252, 10)),
        (5, "6I", (33, 1, 5142, 100, 0, 0)),
        (5, "4I", (33, 1, 5142, 100)),
        (12, "3d", (33.0, 51.0, 25.2)),
        (12, "1d", (33.857,)),
        (11, "3f", (33.0, 51.0, 25.2)),
        (3, "3H", (33, 51, 25)),
        (2, "12s", (b"33,51,25.2\0\0",)),
    ],
)
def test_every_type_and_byte_order(order: str, kind: int, form: str, numbers: tuple[Any, ...]) -> None:
    raw = struct.pack(order + form, *numbers)
    count = 12 if kind == 2 else int(form[0]) // (2 if kind in (5, 10) else 1)
    block = tiff(order, kind, raw, count)
    for data in (block, in_jpeg(block), in_jpeg(block, b"\xff\xe0\0\4JF"), b"\0\0\0\x18ftypheic" + b"Exif\0\0" + block):
        np.testing.assert_allclose(place(data), (-33.857, 2.5), atol=6e-5 if kind == 3 else 1e-6)


def test_a_damaged_block_says_nothing_and_never_breaks() -> None:
    whole = in_jpeg(tiff("<", 5, struct.pack("<6I", 33, 1, 51, 1, 252, 10), 3))
    generator = np.random.default_rng(0)
    for _ in range(2000):
        data = bytearray(whole[: generator.integers(0, len(whole) + 1)])
        for at in generator.integers(0, max(len(data), 1), 3):
            if data:
                data[at % len(data)] = generator.integers(0, 256)
        exif.read(bytes(data))
        exif.is_enough(bytes(data))
    assert exif.read(b"").position == {}
    assert not exif.is_enough(whole[:20]) and exif.is_enough(whole)


def test_a_folder_of_photos(tmp_path: Path) -> None:
    put(tmp_path, {
        "walk/1.jpg": photo(GOOD, taken="2008:10:22 16:28:39", author="Ann  "),
        "walk/sub/2.jpg": photo({**GOOD, 1: "s", 3: "w"}, taken="0000:00:00 00:00:00"),
        "3.png": photo(GOOD, "PNG"),
        "none.jpg": photo(None), "rubbish.jpg": b"no image at all",
        "zero.jpg": photo({1: "N", 2: (0.0, 0.0, 0.0), 3: "E", 4: (0.0, 0.0, 0.0)}),
        "far.jpg": photo({**GOOD, 2: (213.0, 36.0, 0.0)}),
        "bare.jpg": photo({2: GOOD[2], 4: GOOD[4]}),
        "half.jpg": photo({1: "N", 2: GOOD[2]}),
        "notes.txt": b"",
    })  # fmt: skip
    listing, rows = listed(LAYOUT, tmp_path)
    assert [(row["id"], row["album"], row["time"], row["author"]) for row in rows] == [
        ("3.png", None, None, None), ("walk/1.jpg", "walk", "2008-10-22T16:28:39", "Ann"),
        ("walk/sub/2.jpg", "walk/sub", None, None),
    ]  # fmt: skip
    np.testing.assert_allclose([(r["latitude"], r["longitude"]) for r in rows[:2]], [PARIS, PARIS], atol=1e-6)
    np.testing.assert_allclose((rows[2]["latitude"], rows[2]["longitude"]), (-PARIS[0], -PARIS[1]), atol=1e-6)
    assert listing.rejected == {
        "no position": 2, "exactly 0, 0": 1, "latitude outside -90..90": 1, "no longitude": 1,
        "no hemisphere (N or S, E or W)": 1,
    }  # fmt: skip
    assert "2 photos left out: no position (such as none.jpg)" in listing.notes
    assert "1 file left out: not an image by its ending (such as notes.txt)" in listing.notes
    assert read(LAYOUT, tmp_path)[0] == (tmp_path / "3.png").read_bytes()


def test_splits_and_albums_below_them(tmp_path: Path) -> None:
    put(tmp_path, {"train/rome/1.jpg": photo(GOOD), "test/2.jpg": photo(GOOD), "stray.jpg": photo(GOOD)})
    listing, rows = listed(LAYOUT, tmp_path)
    assert [(row["split"], row["album"]) for row in rows] == [("test", None), ("train", "rome")]
    assert "1 images beside the split folders left out: stray.jpg" in listing.notes


def test_a_block_behind_the_first_quarter_megabyte_is_found(tmp_path: Path) -> None:
    filling = b"".join(b"\xff\xe2\xff\xff" + bytes(65533) for _ in range(6))
    block = tiff("<", 5, struct.pack("<6I", 33, 1, 51, 1, 252, 10), 3)
    put(tmp_path, {"1.jpg": in_jpeg(block, filling), "2.jpg": in_jpeg(block) + bytes(10**6)})
    _, rows = listed(LAYOUT, tmp_path)
    assert [row["latitude"] for row in rows] == [pytest.approx(-33.857)] * 2


def test_the_real_photos() -> None:
    folder = shared_geo() / "photos"
    with open(folder / "photos.csv", newline="") as stream:
        known = {row["file"]: row for row in csv.DictReader(stream)}
    listing, rows = listed(LAYOUT, folder)
    assert len(rows) == 29
    for row in rows:
        truth = known.pop(row["id"])
        found = (row["latitude"], row["longitude"])
        np.testing.assert_allclose(found, (float(truth["lat"]), float(truth["lon"])), atol=1e-6, rtol=0)
        assert row["time"] == (truth["datetime"].replace(":", "-", 2).replace(" ", "T") or None)
    reasons = {"BAD GPS: 0,0": "exactly 0, 0", "BAD GPS: NaN (empty GPS)": "not a finite number"}
    expected = [reasons.get(row["note"], "no position") for row in known.values()]
    assert listing.rejected == {reason: expected.count(reason) for reason in expected}
    assert listing.rejected == {"no position": 5, "exactly 0, 0": 2, "not a finite number": 1}


def test_the_real_photos_by_their_table() -> None:
    listing, rows = listed(LAYOUT, shared_geo() / "photos/photos.csv", path_column="file")
    assert len(rows) == 32 and listing.rejected == {"no latitude": 5}
    assert {"make", "model", "datetime", "note"} < set(listing.columns.names)
    assert listing.columns.field("latitude").type == pa.float64()


CSV = """img,LAT,LON,AUTHOR,set,when,year
1.jpg,48.5,2.25,ann,a,2001,7
2.jpg,0,0,ann,a,2002,8
3.jpg,,2,bob,a,2003,9
4.jpg,95.5,2,bob,b,2004,1
5.jpg,-33,-180,,b,2005,2
6.jpg,1,200.5,,b,2006,3
7.jpg,nan,1,,b,2006,3
"""


def test_a_table_by_its_usual_names_and_by_options(tmp_path: Path) -> None:
    put(tmp_path, {"t.csv": CSV.encode(), **{f"{n}.jpg": b"%d" % n for n in range(1, 8)}})
    listing, rows = listed(LAYOUT, tmp_path / "t.csv", path_column="img", album_column="set", time_column="when")
    assert [(r["id"], r["latitude"], r["longitude"], r["author"], r["album"], r["time"], r["year"]) for r in rows] == [
        ("1.jpg", 48.5, 2.25, "ann", "a", 2001, 7), ("5.jpg", -33.0, -180.0, None, "b", 2005, 2),
    ]  # fmt: skip
    assert listing.rejected == {
        "exactly 0, 0": 1, "no latitude": 1, "latitude outside -90..90": 1, "longitude outside -180..180": 1,
        "not a finite number": 1,
    }  # fmt: skip
    assert read(LAYOUT, tmp_path / "t.csv", path_column="img") == [b"1", b"5"]
    _, rows = listed(LAYOUT, tmp_path / "t.csv", path_column="img", split_column="set", album_column="set")
    assert [(row["split"], row["album"]) for row in rows] == [("a", "a"), ("b", "b")]


def test_cells_of_text_are_read_or_rejected(tmp_path: Path) -> None:
    lines = ["img,latitude,longitude", "a.jpg,33 51 25.2 S,151.25", "b.jpg,33 51 25.2,151", "c.jpg,unknown,2.5"]
    put(tmp_path, {"t.csv": "\n".join(lines).encode(), "a.jpg": b"", "b.jpg": b"", "c.jpg": b""})
    listing, rows = listed(LAYOUT, tmp_path / "t.csv", path_column="img")
    assert [(row["latitude"], row["longitude"]) for row in rows] == [(pytest.approx(-33.857), 151.25)]
    assert listing.rejected == {"no hemisphere (N or S, E or W)": 1, "not a number of degrees": 1}


def test_images_in_the_table_itself(tmp_path: Path) -> None:
    rows = pa.table({
        "image": pa.array([b"x", b"y", b"z"]), "lat": [1.5, 0.0, 2.0], "lng": pa.array([3, 0, 4], pa.float32()),
    })  # fmt: skip
    pq.write_table(rows, tmp_path / "t.parquet")
    _, entries = table(LAYOUT, tmp_path / "t.parquet", image_column="image")
    assert entries["longitude"].to_pylist() == [3.0, 4.0]
    assert read(LAYOUT, tmp_path / "t.parquet", image_column="image") == [b"x", b"z"]


def test_options_that_do_not_fit_are_one_line(tmp_path: Path) -> None:
    put(tmp_path, {"t.csv": CSV.encode(), "u.csv": b"img,north,east,latitude\n", "v.csv": b"img,flag,lon\na,true,1\n"})
    cases = [
        (tmp_path, {"path_column": "img"}, "path_column: .* is a folder of photos, which has no columns"),
        (tmp_path / "t.csv", {"path_column": "img", "latitude_column": "LAD"}, "no column 'LAD'; did you mean LAT"),
        (tmp_path / "u.csv", {"path_column": "img"}, "longitude_column says which column of .* it has img, north"),
        (tmp_path / "v.csv", {"path_column": "img", "latitude_column": "flag"}, "flag holds bool and not degrees"),
        (tmp_path / "t.csv", {}, "path_column or image_column"),
    ]  # fmt: skip
    for source, options, message in cases:
        with pytest.raises(WrongOption, match=message):
            listed(LAYOUT, source, **options)
