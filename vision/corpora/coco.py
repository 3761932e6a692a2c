"""COCO instances: a JSON of images, annotations and categories, or several, with the images beside them.

Boxes become corners (x1, y1, x2, y2) in pixels; `box_labels` are places in the list of categories sorted by id, so the
91 ids of COCO become 0..79; `box_crowd` and `box_areas` are kept for the metrics that need them. Each JSON is a split,
named as its file is (`instances_val2017.json`: val2017), unless its images name theirs.

A JSON is parsed whole, without its outlines: the 450 MB of instances_train2017 take about 1.5 GB for a minute.

Reference: Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014.
"""

from __future__ import annotations

import json
import math
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs

from vision.corpora.files import batches, listed, some
from vision.layout import ENTRY, Layout, Listing, Options, Source

COLUMNS = pa.schema(
    [
        pa.field("image_id", pa.int64()),
        pa.field("boxes", pa.list_(pa.list_(pa.float32(), 4))),
        pa.field("box_labels", pa.list_(pa.int32())),
        pa.field("box_crowd", pa.list_(pa.bool_())),
        pa.field("box_areas", pa.list_(pa.float64())),
    ]
)


@dataclass(frozen=True)
class Box:
    """An annotation: its image, its category, x, y, width, height in pixels, area in square pixels."""

    image: int
    category: int
    box: tuple[float, float, float, float]
    area: float
    crowd: bool


@dataclass(frozen=True)
class Instances:
    """What a JSON says, and the folder of its images."""

    path: str
    split: str | None
    folder: str
    images: list[dict[str, Any]]
    boxes: Mapping[int, list[Box]]
    categories: Mapping[int, str]


def scan(source: Source, options: Options) -> Listing:
    """List COCO instances.

    Raises:
        ValueError: if there is no JSON of instances, several disagree on categories, or one is damaged or refers to
            images or categories that it does not list.
    """
    paths = _annotation_files(source)
    found = [_instances(source, path, alone=len(paths) == 1) for path in paths]
    categories = found[0].categories
    for other in found[1:]:
        if other.categories != categories:
            raise ValueError(f"{other.path} and {found[0].path} have different categories: ingest them apart")
    order = {category: place for place, category in enumerate(sorted(categories))}
    names = tuple(categories[category] for category in sorted(categories))
    if len(set(names)) < len(names):
        raise ValueError(f"{found[0].path} gives two categories one name: {some(sorted(names))}")
    listing = Listing(COLUMNS, (), names)
    listing.entries = _entries(source, found, order, listing, options.skip_missing)
    return listing


def _annotation_files(source: Source) -> list[str]:
    """The JSON itself, or those of a folder or its `annotations` called instances*, else the only one there."""
    if source.is_file:
        return [source.root]
    for folder in (source.root, f"{source.root}/annotations"):
        if source.filesystem.get_file_info(folder).type != pafs.FileType.Directory:
            continue
        files = [info.path for info in listed(source.filesystem, folder)[1] if info.path.endswith(".json")]
        instances = [path for path in files if posixpath.basename(path).startswith("instances")]
        if instances or len(files) == 1:
            return instances or files
    raise ValueError(f"{source.root} has no instances*.json, neither there nor in annotations/")


def _instances(source: Source, path: str, *, alone: bool) -> Instances:
    with source.filesystem.open_input_stream(path) as stream:
        content = bytes(stream.read())
    try:
        whole = json.loads(content, object_hook=_slim)
    except ValueError as error:
        raise ValueError(f"{path} is not JSON, or cut short: {error}") from None
    keys = ("images", "annotations", "categories")
    if not isinstance(whole, dict) or not all(isinstance(whole.get(key), list) for key in keys):
        raise ValueError(f"{path} is not COCO instances: it needs the lists images, annotations and categories")
    try:
        categories = {int(c["id"]): str(c["name"]) for c in whole["categories"]}
        images = sorted(whole["images"], key=lambda image: str(image["file_name"]))
        ids = {int(image["id"]) for image in images}
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: an image or category lacks {error} (it needs id, and file_name or name)") from None
    if len(ids) < len(images):
        raise ValueError(f"{path} has images with one id: {len(images):,} images, {len(ids):,} ids")
    split = _split(path, alone=alone)
    folder = _image_folder(source, path, split, images)
    return Instances(path, split, folder, images, _grouped(path, whole["annotations"], ids, categories), categories)


def _slim(fields: dict[str, Any]) -> Any:
    """An annotation without its outline, which is most of the file."""
    if "bbox" not in fields or "image_id" not in fields:
        return fields
    try:
        x, y, width, height = (float(v) for v in fields["bbox"])
        area, crowd = float(fields.get("area", width * height)), bool(fields.get("iscrowd", 0))
        box = Box(int(fields["image_id"]), int(fields["category_id"]), (x, y, width, height), area, crowd)
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"annotation {fields.get('id')} has no category_id or no bbox of four numbers") from None
    if not all(map(math.isfinite, box.box)) or width < 0 or height < 0:
        raise ValueError(f"annotation {fields.get('id')} has the box {fields['bbox']}")
    return box


def _grouped(path: str, boxes: Sequence[Any], ids: set[int], categories: Mapping[int, str]) -> dict[int, list[Box]]:
    found: dict[int, list[Box]] = {}
    for box in boxes:
        if not isinstance(box, Box):
            raise ValueError(f"{path}: annotation {box.get('id') if isinstance(box, dict) else box} has no bbox")
        if box.image not in ids:
            raise ValueError(f"{path} has a box in image {box.image}, which it does not list")
        if box.category not in categories:
            raise ValueError(f"{path} has a box of category {box.category}, which it does not list")
        found.setdefault(box.image, []).append(box)
    return found


def _split(path: str, *, alone: bool) -> str | None:
    """`instances_val2017.json` is val2017; the name of a lone file counts only if it is the usual one of a split."""
    name = posixpath.splitext(posixpath.basename(path))[0].removeprefix("instances").strip("_-")
    usual = re.match(r"(train|val|test|minival|dev)", name)
    return name if name and (usual or not alone) else None


def _image_folder(source: Source, path: str, split: str | None, images: Sequence[dict[str, Any]]) -> str:
    """The folder, near the JSON, that holds the first image that is found."""
    here = posixpath.dirname(path)
    places = [
        "",
        "images",
        "..",
        "../images",
        *([split, f"../{split}", f"images/{split}", f"../images/{split}"] if split else []),
    ]
    folders = [posixpath.normpath(posixpath.join(here, place)) for place in reversed(places)]
    for image in images[:8]:
        for folder in folders:
            if source.filesystem.get_file_info(f"{folder}/{image['file_name']}").type == pafs.FileType.File:
                return folder
    raise ValueError(
        f"{path}: its images ({images[0]['file_name'] if images else 'none'}) lie in none of {some(folders, 9)}"
    )


def _entries(
    source: Source, found: Sequence[Instances], order: Mapping[int, int], listing: Listing, skip_missing: bool
) -> Iterator[pa.Table]:
    missing: list[str] = []
    for instances in found:
        for images in batches(instances.images):
            paths = [posixpath.normpath(f"{instances.folder}/{image['file_name']}") for image in images]
            infos = source.filesystem.get_file_info(paths)
            there = [info.type == pafs.FileType.File for info in infos]
            missing += [image["file_name"] for image, ok in zip(images, there, strict=True) if not ok]
            kept = [(image, info) for image, info, ok in zip(images, infos, there, strict=True) if ok]
            yield _table(source, instances, kept, order)
    if missing:
        message = f"{len(missing):,} images of {source.root} do not exist: {some(missing)}"
        if not skip_missing:
            raise ValueError(f"{message} (--skip-missing leaves them out)")
        listing.notes.append(f"left out: {message}")


def _table(
    source: Source, instances: Instances, kept: Sequence[tuple[dict[str, Any], pafs.FileInfo]], order: Mapping[int, int]
) -> pa.Table:
    boxes = [instances.boxes.get(int(image["id"]), []) for image, _ in kept]
    values: dict[str, list[Any]] = {
        "id": [image["file_name"] for image, _ in kept],
        "split": [image.get("split") or instances.split for image, _ in kept],
        "file": [posixpath.relpath(info.path, source.folder) for _, info in kept],
        "offset": [None] * len(kept),
        "length": [info.size for _, info in kept],
        "modified": [str(info.mtime_ns) for _, info in kept],
        "image_id": [int(image["id"]) for image, _ in kept],
        "boxes": [[corners(box.box) for box in inside] for inside in boxes],
        "box_labels": [[order[box.category] for box in inside] for inside in boxes],
        "box_crowd": [[box.crowd for box in inside] for inside in boxes],
        "box_areas": [[box.area for box in inside] for inside in boxes],
    }
    schema = pa.schema([*ENTRY, *COLUMNS])
    return pa.table([pa.array(values[name], schema.field(name).type) for name in schema.names], schema=schema)


def corners(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    """(x, y, width, height) as (x1, y1, x2, y2)."""
    x, y, width, height = box
    return x, y, x + width, y + height


LAYOUT = Layout("coco", scan, options=("skip_missing",))
