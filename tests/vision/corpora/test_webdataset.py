"""Tar archives of records: keys, columns, ranges, and what an archive can do to its reader."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from tests.corpora import listed, put, read, source, table, tar
from vision.corpora import archives
from vision.corpora.webdataset import LAYOUT
from vision.layout import Options, WrongOption

MODES = {False: "w", True: "w:gz"}


RECORDS = [
    ("a/001.jpg", b"one"), ("a/001.cls", b"3\n"), ("a/001.json", b'{"w": 1, "exif": {"iso": 100}, "tags": ["x"]}'),
    ("a/001.txt", b"a red one"), ("002.left.png", b"not read"), ("002.json", b'{"w": 1.5, "odd": {"k": [1, "x"]}}'),
    ("002.PNG", b"two-two"), ("003.txt", b"no image"),
]  # fmt: skip


@pytest.mark.parametrize("compressed", [False, True])
def test_members_with_one_key_are_a_record(tmp_path: Path, compressed: bool) -> None:
    name = "shard-0.tar.gz" if compressed else "shard-0.tar"
    put(tmp_path, {name: tar(RECORDS, MODES[compressed])})
    for root in (tmp_path, tmp_path / name, f"{tmp_path}/shard-*.tar*"):
        listing, rows = listed(LAYOUT, root)
        assert [row["id"] for row in rows] == [f"{name}/a/001", f"{name}/002"]
        assert [row["label"] for row in rows] == [3, None]
        assert [row["caption"] for row in rows] == ["a red one", None]
        assert [row["w"] for row in rows] == [1.0, 1.5]
        assert [(row["exif_iso"], row["tags"], row["odd_k"]) for row in rows] == [
            (100, ["x"], None), (None, None, '[1, "x"]'),
        ]  # fmt: skip
        assert read(LAYOUT, root) == [b"one", b"two-two"]
        assert [note.split(" (")[0] for note in listing.notes] == [
            "1 file left out: members .left.png", "1 file left out: records without an image",
        ]  # fmt: skip


def test_ranges_are_read_in_any_cut(tmp_path: Path) -> None:
    images = [bytes([n]) * (n * 300 + 1) for n in range(30)]
    for shard in range(3):
        files = [(f"{n:02d}.jpg", images[n]) for n in range(shard * 10, shard * 10 + 10)]
        put(tmp_path, {f"train/{shard}.tar": tar(files), f"gz/{shard}.tar.gz": tar(files, "w:gz")})
    for folder in ("train", "gz"):
        _, entries = table(LAYOUT, tmp_path / folder)
        parts = [entries.slice(start, 7) for start in range(0, 30, 7)]
        where = source(tmp_path / folder)
        assert [data for part in parts for data in LAYOUT.images(where, part, Options())] == images
    _, rows = listed(LAYOUT, tmp_path)
    assert {(row["id"].split("/")[0], row["split"]) for row in rows} == {("train", "train"), ("gz", None)}


def test_names_in_cls_are_sorted_classes(tmp_path: Path) -> None:
    put(tmp_path, {"s.tar": tar([("1.jpg", b""), ("1.cls", b"dog"), ("2.jpg", b""), ("2.cls", b"cat")])})
    listing, rows = listed(LAYOUT, tmp_path)
    assert (listing.classes, [row["label"] for row in rows]) == (("cat", "dog"), [1, 0])


def test_labels_and_captions_out_of_json(tmp_path: Path) -> None:
    text = b'{"label": "b", "caption": "json", "id": 5}'
    put(tmp_path, {"s.tar": tar([("1.jpg", b""), ("1.json", text), ("1.txt", b"txt")])})
    listing, rows = listed(LAYOUT, tmp_path)
    assert (rows[0]["source_label"], rows[0]["source_id"], rows[0]["caption"], rows[0]["source_caption"]) == (
        "b", 5, "txt", "json",
    )  # fmt: skip
    listing, rows = listed(LAYOUT, tmp_path, label_column="label")
    assert (listing.classes, rows[0]["label"]) == (("b",), 0)
    with pytest.raises(WrongOption, match="no record has the field 'lable'"):
        listed(LAYOUT, tmp_path, label_column="lable")


def special(kind: bytes, name: str = "1.jpg", target: str = "") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        archive.addfile(info)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (tar([("../1.jpg", b"x")]), "points out of it"),
        (tar([("/etc/1.jpg", b"x")]), "points out of it"),
        (tar([("a/../../1.jpg", b"x")]), "points out of it"),
        (tar([("a\\1.jpg", b"x")]), "points out of it"),
        (special(tarfile.SYMTYPE, target="/etc/passwd"), "not a plain file"),
        (special(tarfile.LNKTYPE, target="0.jpg"), "not a plain file"),
        (special(tarfile.CHRTYPE), "not a plain file"),
        (special(tarfile.FIFOTYPE), "not a plain file"),
        (b"\x01" * 2000, "truncated or damaged"),
        (b"", "truncated or damaged"),
        (tar([("1.jpg", b"x"), ("1.png", b"y")]), "has two images"),
        (tar([("1.jpg", b"x"), ("1.json", b"{")]), "is damaged"),
        (tar([("1.jpg", b"x"), ("1.json", b"[1]")]), "is not an object"),
        (tar([("1.jpg", b"x"), ("1.txt", b"\xff")]), "is not text in UTF-8"),
    ],
)
def test_hostile_archives_are_refused_by_name(tmp_path: Path, content: bytes, message: str) -> None:
    put(tmp_path, {"bad.tar": content})
    with pytest.raises(ValueError, match=rf"bad\.tar.*{message}"):
        listed(LAYOUT, tmp_path)


@pytest.mark.parametrize("name", ["huge.tar", "huge.tar.gz"])
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_huge_declared_size_costs_no_memory(tmp_path: Path, name: str, kind: bytes) -> None:
    info = tarfile.TarInfo("1.jpg")
    info.size, info.type = 3 * 2**30, kind
    head = info.tobuf(tarfile.GNU_FORMAT) + bytes(1024)
    put(tmp_path, {name: gzip.compress(head) if name.endswith("gz") else head})
    with pytest.raises(ValueError, match=rf"{name} is truncated or damaged: .*declares 3,221,22"):
        listed(LAYOUT, tmp_path)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("share", [0.2, 0.6, 0.99])
def test_a_truncated_archive_is_named(tmp_path: Path, compressed: bool, share: float) -> None:
    files = [(f"{n}.jpg", bytes([n]) * 700) for n in range(9)]
    whole = tar(files, MODES[compressed])
    end = len(whole) if compressed else 9 * (512 + 1024)
    put(tmp_path, {"cut.tar.gz" if compressed else "cut.tar": whole[: int(end * share)]})
    with pytest.raises(ValueError, match=r"cut\.tar(\.gz)? is truncated or damaged"):
        listed(LAYOUT, tmp_path)


def test_an_archive_cut_between_members_is_noticed(tmp_path: Path) -> None:
    put(tmp_path, {"cut.tar": tar([("1.jpg", b"x"), ("2.jpg", b"y")])[:1024]})
    with pytest.raises(ValueError, match=r"cut\.tar .* without its end mark"):
        listed(LAYOUT, tmp_path)


def test_an_archive_that_shrinks_after_listing_is_noticed(tmp_path: Path) -> None:
    put(tmp_path, {"s.tar": tar([("1.jpg", b"x" * 9000)])})
    _, entries = table(LAYOUT, tmp_path)
    (tmp_path / "s.tar").write_bytes((tmp_path / "s.tar").read_bytes()[:5000])
    with pytest.raises(OSError, match=r"s\.tar ends before byte 9,512"):
        list(LAYOUT.images(source(tmp_path), entries, Options()))


def test_long_names_and_folders_are_fine(tmp_path: Path) -> None:
    put(tmp_path, {"s.tar": tar([("./" + "d" * 120 + "/" + "n" * 120 + ".jpg", b"x")])})
    assert [row["id"] for row in listed(LAYOUT, tmp_path)[1]] == ["s.tar/" + "d" * 120 + "/" + "n" * 120]
    assert archives.LARGEST < 2**30


def test_no_archives(tmp_path: Path) -> None:
    put(tmp_path, {"a.jpg": b"x"})
    for root in (tmp_path, tmp_path / "a.jpg", f"{tmp_path}/*.tar"):
        with pytest.raises(WrongOption, match=r"no \.tar"):
            listed(LAYOUT, root)
