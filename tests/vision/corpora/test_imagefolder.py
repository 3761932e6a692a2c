"""Folders of images: splits, classes, ids, and what is no image."""

from __future__ import annotations

from pathlib import Path

import pyarrow.fs as pafs
import pytest

from tests.corpora import listed, put, read, source
from tests.making import picture
from vision.corpora.imagefolder import LAYOUT
from vision.layout import Options, WrongOption


def test_classes_are_the_sorted_folders_and_ids_the_paths(tmp_path: Path) -> None:
    put(tmp_path, {"dog/1.jpg": b"d1", "cat/tabby/old/2.PNG": b"c2", "cat/1.jpg": b"c1"})
    listing, rows = listed(LAYOUT, tmp_path)
    assert listing.classes == ("cat", "dog")
    assert [(row["id"], row["label"], row["split"]) for row in rows] == [
        ("cat/1.jpg", 0, None), ("cat/tabby/old/2.PNG", 0, None), ("dog/1.jpg", 1, None),
    ]  # fmt: skip
    assert read(LAYOUT, tmp_path) == [b"c1", b"c2", b"d1"]
    assert [row["length"] for row in rows] == [2, 2, 2]


def test_folders_named_as_splits_are_splits_and_share_their_classes(tmp_path: Path) -> None:
    put(tmp_path, {"train/b/1.jpg": b"x", "train/a/1.jpg": b"x", "Val/b/1.jpg": b"x", "Val/empty/.keep": b""})
    listing, rows = listed(LAYOUT, tmp_path)
    assert listing.classes == ("a", "b", "empty")
    assert [(row["split"], row["id"], row["label"]) for row in rows] == [
        ("Val", "Val/b/1.jpg", 1), ("train", "train/a/1.jpg", 0), ("train", "train/b/1.jpg", 1),
    ]  # fmt: skip
    assert "class folders without an image: empty" in listing.notes


def test_a_folder_that_is_no_split_makes_all_of_them_classes(tmp_path: Path) -> None:
    put(tmp_path, {"train/1.jpg": b"x", "bus/1.jpg": b"x"})
    listing, _ = listed(LAYOUT, tmp_path)
    assert listing.classes == ("bus", "train")


def test_a_flat_folder_has_no_label_column(tmp_path: Path) -> None:
    put(tmp_path, {"2.jpg": b"x", "1.jpg": b"x"})
    listing, rows = listed(LAYOUT, tmp_path)
    assert listing.classes is None
    assert listing.columns.names == []
    assert [row["id"] for row in rows] == ["1.jpg", "2.jpg"]
    put(tmp_path / "splits", {"test/1.jpg": b"x"})
    listing, rows = listed(LAYOUT, tmp_path / "splits")
    assert (listing.columns.names, rows[0]["split"]) == ([], "test")


def test_what_is_no_image_is_counted_and_what_is_hidden_is_not(tmp_path: Path) -> None:
    files = {"a/1.jpg": b"x", "a/notes.txt": b"x", "a/z.csv": b"x", "a/.DS_Store": b"x", "a/.hidden/2.jpg": b"x"}
    put(tmp_path, files)
    listing, rows = listed(LAYOUT, tmp_path)
    assert [row["id"] for row in rows] == ["a/1.jpg"]
    assert listing.notes == ["2 files left out: not an image by its ending (such as a/notes.txt)"]


def test_files_without_ending_are_asked_for_their_first_bytes(tmp_path: Path) -> None:
    put(tmp_path, {"a/photo": picture(0, 1), "a/README": b"read me", "a/nothing": b""})
    _, rows = listed(LAYOUT, tmp_path)
    assert [row["id"] for row in rows] == ["a/photo"]


def test_broken_empty_and_misnamed_images_are_records(tmp_path: Path) -> None:
    put(tmp_path, {"a/empty.jpg": b"", "a/html.jpg": b"<html>", "a/jpeg.png": picture(0, 1)})
    _, rows = listed(LAYOUT, tmp_path)
    assert [(row["id"], row["length"]) for row in rows][:2] == [("a/empty.jpg", 0), ("a/html.jpg", 6)]
    assert len(rows) == 3


def test_images_beside_split_folders_or_outside_classes_are_said(tmp_path: Path) -> None:
    put(tmp_path, {"train/a/1.jpg": b"x", "train/lost.jpg": b"x", "cover.jpg": b"x"})
    listing, rows = listed(LAYOUT, tmp_path)
    assert [(row["id"], row["label"]) for row in rows] == [("train/lost.jpg", None), ("train/a/1.jpg", 0)]
    assert "1 images beside the split folders left out: cover.jpg" in listing.notes
    assert "1 images lie in no class folder and have no label" in listing.notes


def test_a_link_that_leads_back_is_refused(tmp_path: Path) -> None:
    put(tmp_path, {"a/1.jpg": b"x"})
    (tmp_path / "a/again").symlink_to(tmp_path / "a")
    with pytest.raises((ValueError, OSError), match=r"leads back|symbolic links"):
        listed(LAYOUT, tmp_path)


def test_a_file_is_not_a_folder(tmp_path: Path) -> None:
    put(tmp_path, {"1.jpg": b"x"})
    with pytest.raises(WrongOption, match="is not a folder"):
        LAYOUT.scan(source(tmp_path / "1.jpg"), Options())


def test_a_file_cut_short_after_listing_is_named(tmp_path: Path) -> None:
    put(tmp_path, {"a/1.jpg": b"four"})
    listing = LAYOUT.scan(source(tmp_path), Options())
    (table,) = listing.entries
    (tmp_path / "a/1.jpg").write_bytes(b"two")
    with pytest.raises(OSError, match=r"a/1\.jpg has 3 bytes where 4 were listed"):
        list(LAYOUT.images(source(tmp_path), table, Options()))


def test_another_filesystem_gives_the_same_listing(tmp_path: Path) -> None:
    put(tmp_path, {"in/b/1.jpg": b"x", "in/a/deep/2.jpg": b"yy"})
    local = listed(LAYOUT, tmp_path / "in")[1]
    inside = pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem())
    assert listed(LAYOUT, "in", inside)[1] == local
    assert read(LAYOUT, "in", inside) == [b"yy", b"x"]


def test_many_files_come_in_order_and_more_than_are_read_ahead(tmp_path: Path) -> None:
    put(tmp_path, {f"a/{n:03d}.jpg": str(n).encode() for n in range(50)})
    assert read(LAYOUT, tmp_path) == [str(n).encode() for n in range(50)]
