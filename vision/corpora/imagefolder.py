"""A folder for each class, with images at any depth below it; above the classes there may be folders for splits.

    photos/train/cat/1.jpg     splits train, val, ...; classes cat, dog, ...
    photos/cat/tabby/1.jpg     no splits
    photos/1.jpg               no classes, so no label column

Top-level folders are splits when all of them have the usual names of splits. Classes are the sorted names of their
folders, over all splits and including empty ones, which gives the indices of torchvision's `ImageFolder`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.fs as pafs

from vision.corpora.files import SPLITS, Ignored, batches, file_columns, images_below, is_image, listed, relative, some
from vision.layout import ENTRY, Layout, Listing, Options, Source, WrongOption


@dataclass(frozen=True)
class Part:
    """A folder of class folders, which is one split or the whole source."""

    split: str | None
    path: str
    classes: tuple[str, ...]


def scan(source: Source, options: Options) -> Listing:
    """List a folder of images.

    Raises:
        WrongOption: if the source is not a folder.
        ValueError: if a link leads back.
    """
    parts, stray = find_parts(source)
    classes = tuple(sorted({name for part in parts for name in part.classes})) or None
    columns = pa.schema([pa.field("label", pa.int32())] if classes else [])
    listing = Listing(columns, (), classes)
    listing.entries = _entries(source, parts, listing, stray)
    return listing


def find_parts(source: Source) -> tuple[list[Part], list[str]]:
    """The splits of a source, or the source as the only part; and the images beside split folders.

    Raises:
        WrongOption: if the source is not a folder.
    """
    if source.filesystem.get_file_info(source.root).type != pafs.FileType.Directory:
        raise WrongOption(
            f"source: {source.root} is not a folder; a file is read by --layout table, coco or webdataset"
        )
    folders, files = listed(source.filesystem, source.root)
    names = [posixpath.basename(folder.path) for folder in folders]
    if not names or not {name.lower() for name in names} <= SPLITS:
        return [_part(source, None, source.root)], []
    stray = [relative(source, file.path) for file in files if is_image(source.filesystem, file)]
    return [_part(source, name, folder.path) for name, folder in zip(names, folders, strict=True)], stray


def _part(source: Source, split: str | None, path: str) -> Part:
    folders, _ = listed(source.filesystem, path)
    return Part(split, path, tuple(posixpath.basename(folder.path) for folder in folders))


def _entries(source: Source, parts: Sequence[Part], listing: Listing, stray: list[str]) -> Iterator[pa.Table]:
    ignored = Ignored()
    index = {name: number for number, name in enumerate(listing.classes or ())}
    empty, unlabelled = set(index), 0
    for part in parts:
        for infos in batches(images_below(source, part.path, ignored)):
            names = [_class_of(info.path, part) for info in infos]
            empty.difference_update(name for name in names if name)
            columns = file_columns(source, infos, part.split)
            if index:
                unlabelled += names.count(None)
                columns["label"] = pa.array([None if name is None else index[name] for name in names], pa.int32())
            yield pa.table(columns, schema=pa.schema([*ENTRY, *listing.columns]))
    listing.notes += ignored.notes()
    if stray:
        listing.notes.append(f"{len(stray):,} images beside the split folders left out: {some(stray)}")
    if unlabelled:
        listing.notes.append(f"{unlabelled:,} images lie in no class folder and have no label")
    if empty:
        listing.notes.append(f"class folders without an image: {some(sorted(empty))}")


def _class_of(path: str, part: Part) -> str | None:
    """The folder below the part that an image lies in, at whatever depth."""
    inside = path.removeprefix(part.path).lstrip("/")
    return inside.split("/", 1)[0] if "/" in inside else None


LAYOUT = Layout("imagefolder", scan)
