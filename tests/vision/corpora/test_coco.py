"""COCO instances: boxes as corners, categories as places, splits by file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.corpora import listed, put, read
from vision.corpora.coco import LAYOUT

CATEGORIES = [{"id": 18, "name": "dog"}, {"id": 3, "name": "car"}]


def instances(names: list[str], boxes: list[dict[str, Any]], **other: Any) -> bytes:
    images = [{"id": 100 + n, "file_name": name, "width": 9, "height": 9} for n, name in enumerate(names)]
    annotations = [{"id": n, "segmentation": [[1, 2, 3]], **box} for n, box in enumerate(boxes)]
    return json.dumps({"images": images, "annotations": annotations, "categories": CATEGORIES, **other}).encode()


BOX = {"image_id": 100, "category_id": 18, "bbox": [1.5, 2, 3, 4], "area": 10.5, "iscrowd": 1}


def test_boxes_become_corners_and_categories_places(tmp_path: Path) -> None:
    boxes = [BOX, {"image_id": 100, "category_id": 3, "bbox": [0, 0, 1, 1]}]
    put(tmp_path, {"instances.json": instances(["b.jpg", "a.jpg"], boxes), "a.jpg": b"aa", "b.jpg": b"b"})
    listing, rows = listed(LAYOUT, tmp_path)
    assert listing.classes == ("car", "dog")
    assert [row["id"] for row in rows] == ["a.jpg", "b.jpg"]
    assert rows[0]["boxes"] == [] and rows[0]["image_id"] == 101
    assert rows[1]["boxes"] == [[1.5, 2.0, 4.5, 6.0], [0, 0, 1, 1]]
    assert (rows[1]["box_labels"], rows[1]["box_crowd"], rows[1]["box_areas"]) == ([1, 0], [True, False], [10.5, 1.0])
    assert str(listing.columns.field("boxes").type) == "list<element: fixed_size_list<element: float>[4]>".replace(
        "element", listing.columns.field("boxes").type.value_field.name
    )
    assert read(LAYOUT, tmp_path / "instances.json") == [b"aa", b"b"]


def test_each_json_is_a_split_and_finds_its_images(tmp_path: Path) -> None:
    put(
        tmp_path,
        {
            "annotations/instances_val2017.json": instances(["1.jpg"], [BOX]),
            "annotations/instances_train2017.json": instances(["2.jpg"], []),
            "annotations/captions_val2017.json": b"{}",
            "val2017/1.jpg": b"v",
            "images/train2017/2.jpg": b"t",
        },
    )
    _, rows = listed(LAYOUT, tmp_path)
    assert [(row["split"], row["id"]) for row in rows] == [("train2017", "2.jpg"), ("val2017", "1.jpg")]
    assert read(LAYOUT, tmp_path) == [b"t", b"v"]
    _, rows = listed(LAYOUT, tmp_path / "annotations/instances_val2017.json")
    assert [(row["split"], row["id"]) for row in rows] == [("val2017", "1.jpg")]
    assert read(LAYOUT, tmp_path / "annotations/instances_val2017.json") == [b"v"]


def test_real_annotations(shared_images: Path) -> None:
    listing, rows = listed(LAYOUT, shared_images / "coco_detection")
    assert listing.classes is not None and (len(listing.classes), listing.classes[0]) == (80, "person")
    assert sorted(row["split"] for row in rows) == ["train2017"] * 12 + ["val2017"] * 35
    assert sum(len(row["boxes"]) for row in rows) == 335
    first = next(row for row in rows if row["id"] == "000000000139.jpg")
    assert first["boxes"][0] == pytest.approx([236.98, 142.51, 261.68, 212.01], abs=1e-4)
    assert listing.classes[first["box_labels"][0]] == "potted plant"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (instances(["1.jpg"], [BOX])[:-20], "not JSON, or cut short"),
        (b'{"images": []}', "needs the lists images, annotations and categories"),
        (instances(["1.jpg"], [{**BOX, "image_id": 7}]), "a box in image 7, which it does not list"),
        (instances(["1.jpg"], [{**BOX, "category_id": 7}]), "a box of category 7, which it does not list"),
        (instances(["1.jpg"], [{**BOX, "bbox": [1, 2, 3]}]), "no bbox of four numbers"),
        (instances(["1.jpg"], [{**BOX, "bbox": [1, 2, -3, 4]}]), "has the box"),
        (instances(["1.jpg"], [{"image_id": 100}]), "has no bbox"),
        (instances(["9.jpg"], []), "its images .* lie in none of"),
        (instances(["1.jpg"], [], images=[{"id": 1, "file_name": "1.jpg"}] * 2), "images with one id"),
        (instances(["1.jpg"], [], images=[{"id": 1}]), "lacks 'file_name'"),
    ],
)
def test_damage_is_refused_by_name(tmp_path: Path, content: bytes, message: str) -> None:
    put(tmp_path, {"instances_val.json": content, "1.jpg": b"x"})
    with pytest.raises(ValueError, match=rf"instances_val\.json.*{message}"):
        listed(LAYOUT, tmp_path)


def test_missing_images_are_named_or_left_out(tmp_path: Path) -> None:
    put(tmp_path, {"instances.json": instances(["1.jpg", "2.jpg"], []), "1.jpg": b"x"})
    with pytest.raises(ValueError, match=r"1 images of .* do not exist: 2\.jpg"):
        listed(LAYOUT, tmp_path)
    listing, rows = listed(LAYOUT, tmp_path, skip_missing=True)
    assert len(rows) == 1 and "2.jpg" in listing.notes[0]


def test_different_categories_do_not_mix(tmp_path: Path) -> None:
    other = instances(["1.jpg"], [], categories=[{"id": 3, "name": "cat"}])
    put(tmp_path, {"instances_a.json": instances(["1.jpg"], []), "instances_b.json": other, "1.jpg": b"x"})
    with pytest.raises(ValueError, match="different categories"):
        listed(LAYOUT, tmp_path)


def test_a_folder_without_annotations(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no instances\*\.json"):
        listed(LAYOUT, tmp_path)
