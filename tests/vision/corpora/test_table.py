"""Tables of images: roles of columns, types, missing files, damage."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.corpora import listed, put, read, table
from vision.corpora.table import LAYOUT
from vision.layout import WrongOption

CSV = """file,kind,split,width,code,ratio,flag,note,label
a/1.jpg,dog,train,10,007,1.5,true,"one, two",x
a/2.jpg,cat,test,20,008,,false,"line
break",y
b/3.jpg,dog,train,,009,2e3,True,,z
"""
IMAGES = {"a/1.jpg": b"1", "a/2.jpg": b"22", "b/3.jpg": b"333"}


@pytest.fixture
def made(tmp_path: Path) -> Path:
    put(tmp_path, {**IMAGES, "labels.csv": CSV.encode()})
    return tmp_path / "labels.csv"


def test_roles_types_and_names(made: Path) -> None:
    listing, entries = table(LAYOUT, made, path_column="file", label_column="kind", split_column="split")
    assert listing.classes == ("cat", "dog")
    assert dict(zip(listing.columns.names, map(str, listing.columns.types), strict=True)) == {
        "label": "int32", "width": "int64", "code": "string", "ratio": "double", "flag": "bool", "note": "string",
        "source_label": "string",
    }  # fmt: skip
    rows = entries.to_pylist()
    assert [row["id"] for row in rows] == list(IMAGES)
    assert [(row["label"], row["split"], row["width"], row["ratio"]) for row in rows] == [
        (1, "train", 10, 1.5), (0, "test", 20, None), (1, "train", None, 2000.0),
    ]  # fmt: skip
    assert [row["note"] for row in rows] == ["one, two", "line\nbreak", None]
    assert [row["code"] for row in rows] == ["007", "008", "009"]
    assert any("kept as source_label" in note for note in listing.notes)
    assert read(LAYOUT, made, path_column="file") == list(IMAGES.values())


def test_real_labels(shared_images: Path) -> None:
    where = shared_images / "imagenet/labels.csv"
    listing, rows = listed(LAYOUT, where, path_column="file", label_column="class_index")
    assert listing.classes is None and len(rows) == 300
    assert (rows[0]["id"], rows[0]["label"], rows[0]["source_label"]) == (
        "jpg/n01494475_hammerhead.JPEG", 4, "hammerhead",
    )  # fmt: skip


def test_tsv_gzip_absolute_paths_and_ids(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere", {"1.jpg": b"one"})
    put(tmp_path, {"t/2.jpg": b"two"})
    text = f"id\tpath\n7\t{tmp_path}/elsewhere/1.jpg\n08\t../t/2.jpg\n"
    put(tmp_path, {"t/x.tsv.gz": gzip.compress(text.encode())})
    listing, rows = listed(LAYOUT, tmp_path / "t/x.tsv.gz", path_column="path")
    assert [row["id"] for row in rows] == ["7", "08"]
    assert listing.columns.names == ["path"], "a path that is not the id is kept"
    assert read(LAYOUT, tmp_path / "t/x.tsv.gz", path_column="path") == [b"one", b"two"]


def test_integer_labels_stay_and_wrong_ones_are_refused(tmp_path: Path) -> None:
    put(tmp_path, {"1.jpg": b"", "2.jpg": b"", "t.csv": b"p,n,f,big\n1.jpg,5,1.5,3000000000\n2.jpg,,2.0,1\n"})
    listing, rows = listed(LAYOUT, tmp_path / "t.csv", path_column="p", label_column="n")
    assert (listing.classes, [row["label"] for row in rows]) == (None, [5, None])
    for column in ("f", "big"):
        with pytest.raises(ValueError, match=f"label column {column} holds numbers that are no labels"):
            listed(LAYOUT, tmp_path / "t.csv", path_column="p", label_column=column)


def parquet(path: Path, groups: int = 1, **columns: Any) -> Path:
    made = pa.table(columns)
    pq.write_table(made, path, row_group_size=max(1, made.num_rows // groups))
    return path


def test_images_in_parquet_are_read_by_row(tmp_path: Path) -> None:
    images = [bytes([n]) * n for n in range(200)]
    where = parquet(tmp_path / "t.parquet", 3, image=pa.array(images), label=pa.array([n % 2 for n in range(200)]))
    options = {"image_column": "image", "label_column": "label"}
    _, entries = table(LAYOUT, where, **options)
    assert entries["id"].to_pylist()[:2] == ["0", "1"] and entries["id"][199].as_py() == "199"
    assert read(LAYOUT, where, **options) == images
    from tests.corpora import source
    from vision.layout import Options

    some = entries.take([3, 5, 70, 131, 199])
    found = list(LAYOUT.images(source(where), some, Options(**options)))  # type: ignore[arg-type]
    assert found == [images[n] for n in (3, 5, 70, 131, 199)]
    # The sizes that shards are cut by are means of row groups.
    assert abs(sum(entries["length"].to_pylist()) - sum(map(len, images))) < 0.2 * sum(map(len, images))


def test_the_structs_and_class_names_of_hugging_face(tmp_path: Path) -> None:
    put(tmp_path, {"side.png": b"side"})
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    images = pa.array([{"bytes": b"in", "path": "x.png"}, {"bytes": None, "path": "side.png"}, None], kind)
    features = {"label": {"names": ["no", "yes"], "_type": "ClassLabel"}, "image": {"_type": "Image"}}
    made = pa.table({"image": images, "label": [1, 0, 1]}).replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": features}})}
    )
    pq.write_table(made, tmp_path / "t.parquet")
    options = {"image_column": "image", "label_column": "label"}
    listing, rows = listed(LAYOUT, tmp_path / "t.parquet", **options)
    assert (listing.classes, [row["label"] for row in rows]) == (("no", "yes"), [1, 0, 1])
    assert read(LAYOUT, tmp_path / "t.parquet", **options) == [b"in", b"side", b""]


def test_images_and_nothing_else(tmp_path: Path) -> None:
    where = parquet(tmp_path / "t.parquet", 2, image=[b"a", b"b", b"c"])
    listing, rows = listed(LAYOUT, where, image_column="image")
    assert ([row["id"] for row in rows], listing.columns.names) == (["0", "1", "2"], [])


def test_dictionaries_and_large_text_become_plain(tmp_path: Path) -> None:
    where = parquet(
        tmp_path / "t.parquet", image=[b"a"], sex=pa.array(["f"]).dictionary_encode(),
        more=pa.array(["x"], pa.large_string()), none=pa.nulls(1), when=pa.array([0], pa.timestamp("us")),
    )  # fmt: skip
    listing, rows = listed(LAYOUT, where, image_column="image", label_column="sex")
    assert [str(kind) for kind in listing.columns.types] == ["int32", "string", "string", "timestamp[us]"]
    assert (listing.classes, rows[0]["label"], rows[0]["none"]) == (("f",), 0, None)


def test_places_are_taken_as_such(tmp_path: Path) -> None:
    put(tmp_path, {"1.jpg": b"", "t.csv": b"p,latitude,longitude,score\n1.jpg,52,13.4,0.5\n"})
    listing, rows = listed(LAYOUT, tmp_path / "t.csv", path_column="p")
    assert listing.columns.names == ["latitude", "longitude", "source_score"]
    assert (rows[0]["latitude"], rows[0]["longitude"]) == (52.0, 13.4)
    put(tmp_path, {"t.csv": b"p,latitude,longitude\n1.jpg,95,13.4\n"})
    with pytest.raises(ValueError, match=r"latitude 95\.0 is outside -90\.\.90"):
        listed(LAYOUT, tmp_path / "t.csv", path_column="p")


def test_unknown_columns_get_the_nearest(made: Path) -> None:
    with pytest.raises(WrongOption, match="label_column: no column 'kinds'; did you mean kind"):
        listed(LAYOUT, made, path_column="file", label_column="kinds")
    with pytest.raises(WrongOption, match="path_column or image_column, one of them"):
        listed(LAYOUT, made)
    with pytest.raises(WrongOption, match="image_column: file is string, not the bytes of images"):
        listed(LAYOUT, made, image_column="file")
    with pytest.raises(WrongOption, match="not a file"):
        listed(LAYOUT, made.parent, path_column="file")
    with pytest.raises(WrongOption, match=r"not a \.csv, \.tsv or \.parquet"):
        listed(LAYOUT, made.parent / "a/1.jpg", path_column="file")


def test_missing_files_are_named_or_left_out(made: Path) -> None:
    (made.parent / "a/2.jpg").unlink()
    (made.parent / "b/3.jpg").unlink()
    with pytest.raises(ValueError, match=r"2 files in .*labels\.csv do not exist: a/2\.jpg, b/3\.jpg"):
        listed(LAYOUT, made, path_column="file")
    listing, rows = listed(LAYOUT, made, path_column="file", skip_missing=True)
    assert [row["id"] for row in rows] == ["a/1.jpg"]
    assert any("left out: 2 files" in note for note in listing.notes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"file,x\n1.jpg,2\n2.jpg", "Expected 2 columns, got 1"),
        (b"file,x\n1.jpg,2,3\n", "Expected 2 columns, got 3"),
        (b'file,x\n1.jpg,"cut', "cut short or has a stray quote"),
        (b"", "is empty"),
        (b"file,file\n1,2\n", "two columns called 'file'"),
        (b"file,x\n1.jpg,\xff\n", "UTF"),
        (b"f\xffle,x\n1.jpg,1\n", "UTF"),
    ],
)
def test_damaged_csv_is_refused_by_name(tmp_path: Path, content: bytes, message: str) -> None:
    put(tmp_path, {"bad.csv": content, "1.jpg": b"", "2.jpg": b""})
    with pytest.raises(ValueError, match=rf"(?s)bad\.csv.*{message}") as failed:
        listed(LAYOUT, tmp_path / "bad.csv", path_column="file")
    assert "\n" not in str(failed.value)


@pytest.mark.parametrize("cut", [4, 0.5, 0.95])
def test_damaged_parquet_is_refused_by_name(tmp_path: Path, cut: float) -> None:
    where = parquet(tmp_path / "bad.parquet", image=[b"x" * 1000] * 20)
    data = where.read_bytes()
    where.write_bytes(data[: int(cut if cut > 1 else len(data) * cut)])
    with pytest.raises(ValueError, match=r"bad\.parquet cannot be read"):
        listed(LAYOUT, where, image_column="image")


def test_a_damaged_page_is_named_when_it_is_read(tmp_path: Path) -> None:
    where = tmp_path / "bad.parquet"
    pq.write_table(pa.table({"image": [bytes([n]) * 5000 for n in range(20)]}), where, compression="zstd")
    data = bytearray(where.read_bytes())
    data[4:200] = b"\xff" * 196
    where.write_bytes(bytes(data))
    with pytest.raises(ValueError, match=r"bad\.parquet cannot be read"):
        read(LAYOUT, where, image_column="image")


def test_empty_splits_and_doubled_names_are_refused(tmp_path: Path) -> None:
    put(tmp_path, {"1.jpg": b"", "t.csv": b"p,s,label,source_label\n1.jpg,,a,b\n"})
    with pytest.raises(ValueError, match="two columns would be called source_label"):
        listed(LAYOUT, tmp_path / "t.csv", path_column="p")
    put(tmp_path, {"t.csv": b"p,s\n1.jpg,\n"})
    with pytest.raises(ValueError, match="column s is empty in row 0"):
        listed(LAYOUT, tmp_path / "t.csv", path_column="p", split_column="s")


def test_a_long_csv_is_typed_by_all_its_rows(tmp_path: Path) -> None:
    rows = [f"1.jpg,{n},{n}" for n in range(9000)] + ["1.jpg,x,1.5"]
    put(tmp_path, {"1.jpg": b"", "t.csv": ("p,late,number\n" + "\n".join(rows) + "\n").encode()})
    listing, entries = table(LAYOUT, tmp_path / "t.csv", path_column="p")
    assert [str(kind) for kind in listing.columns.types] == ["string", "double"]
    assert entries.num_rows == 9001 and entries["late"][9000].as_py() == "x"
