"""ImageNet: folders named by WordNet ids (wnids), and the flat validation folder of ILSVRC-2012 with its list.

The index of a class is the place of its wnid in sorted order. Where all folders are among the 1,000 of ILSVRC-2012,
the classes are those 1,000 even if some are missing, so that labels agree with pretrained networks; otherwise they
are the folders found, named by their wnids. `imagenet_classes.csv` holds the 1,000 with torchvision's names, which
tell apart the two cranes (`crane bird`, `crane`) and the two maillots (`maillot`, `maillot tank suit`).

Reference: Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge", IJCV 2015.
"""

from __future__ import annotations

import csv
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import pyarrow as pa
import pyarrow.fs as pafs

from vision.corpora.files import Ignored, batches, file_columns, images_below, listed, relative, some
from vision.corpora.ilsvrc import ground_truth
from vision.layout import ENTRY, Layout, Listing, Options, Source

WNID = re.compile(r"n\d{8}")
_BASES = ("", "Data/CLS-LOC", "ILSVRC/Data/CLS-LOC")
"""Where splits lie: at the top, or as Kaggle packs them."""


@lru_cache(maxsize=1)
def _table() -> tuple[tuple[str, str], ...]:
    text = resources.files("vision.corpora").joinpath("imagenet_classes.csv").read_text("utf-8")
    return tuple((wnid, name) for wnid, name in list(csv.reader(text.splitlines()))[1:])


def imagenet_wnids() -> tuple[str, ...]:
    """The 1,000 wnids of ILSVRC-2012, sorted: place 0 is class 0 of a pretrained network."""
    return tuple(wnid for wnid, _ in _table())


def imagenet_classes() -> tuple[str, ...]:
    """The 1,000 class names, in the order of `imagenet_wnids`, spelt as torchvision does; no two are equal."""
    return tuple(name for _, name in _table())


@dataclass(frozen=True)
class Part:
    """A split: its folder, and the wnid of each image where that is not the name of the image's folder."""

    split: str | None
    path: str
    wnids: tuple[str, ...]
    truth: Mapping[str, str] | None = None


def scan(source: Source, options: Options) -> Listing:
    """List ImageNet.

    Raises:
        ValueError: if there are no wnid folders and no validation list, or list and images do not fit.
    """
    parts = _parts(source)
    found = sorted({wnid for part in parts for wnid in part.wnids})
    official = set(found) <= set(imagenet_wnids())
    wnids = imagenet_wnids() if official else tuple(found)
    columns = pa.schema([pa.field("label", pa.int32()), pa.field("wnid", pa.string())])
    listing = Listing(columns, (), imagenet_classes() if official else wnids)
    if not official:
        listing.notes.append(
            f"{some(sorted(set(found) - set(imagenet_wnids())))} are not among the classes of ILSVRC-2012: "
            f"classes are the {len(wnids):,} wnids found, named by themselves"
        )
    listing.entries = _entries(source, parts, wnids, listing, options.skip_missing)
    return listing


def _parts(source: Source) -> list[Part]:
    for base in _BASES:
        path = f"{source.root}/{base}".rstrip("/")
        if source.filesystem.get_file_info(path).type != pafs.FileType.Directory:
            continue
        folders, files = listed(source.filesystem, path)
        wnids = _wnids(folders)
        if wnids:
            return [Part(None, path, wnids)]
        validation = [file for file in files if _is_validation(file)]
        if validation:
            return [_validation(source, "val", path)]
        parts = [part for folder in folders if (part := _split(source, folder.path)) is not None]
        if parts:
            return parts
    raise ValueError(
        f"{source.root} is not laid out as ImageNet: no folders named by wnids (n01440764), at the top, "
        "in train/ and val/ or in ILSVRC/Data/CLS-LOC/, and no ILSVRC2012_val_*.JPEG"
    )


def _split(source: Source, path: str) -> Part | None:
    """What a folder is a split of, if it is one: wnid folders, validation images, or test images without truth."""
    name = posixpath.basename(path)
    folders, files = listed(source.filesystem, path)
    if wnids := _wnids(folders):
        return Part(name, path, wnids)
    if any(_is_validation(file) for file in files):
        return _validation(source, name, path)
    if any(posixpath.basename(file.path).startswith("ILSVRC2012_test_") for file in files):
        return Part(name, path, (), {})
    return None


def _is_validation(file: pafs.FileInfo) -> bool:
    return _stem(file.path).startswith("ILSVRC2012_val_")


def _validation(source: Source, name: str, path: str) -> Part:
    truth = ground_truth(source, path, imagenet_wnids())
    return Part(name, path, tuple(sorted(set(truth.values()))), truth)


def _wnids(folders: Sequence[pafs.FileInfo]) -> tuple[str, ...]:
    names = (posixpath.basename(folder.path) for folder in folders)
    return tuple(name for name in names if WNID.fullmatch(name))


def _entries(
    source: Source, parts: Sequence[Part], wnids: Sequence[str], listing: Listing, skip_missing: bool
) -> Iterator[pa.Table]:
    ignored = Ignored()
    index = {wnid: number for number, wnid in enumerate(wnids)}
    for part in parts:
        seen: set[str] = set()
        for infos in batches(images_below(source, part.path, ignored)):
            kept = []
            for info in infos:
                wnid = _wnid_of(info.path, part)
                if wnid == "":
                    ignored.add("not in a wnid folder", relative(source, info.path))
                else:
                    kept.append((info, wnid))
            if part.truth:
                seen.update(_stem(info.path) for info in infos)
            columns = file_columns(source, [info for info, _ in kept], part.split)
            labels = [None if wnid is None else index[wnid] for _, wnid in kept]
            columns["label"] = pa.array(labels, pa.int32())
            columns["wnid"] = pa.array([wnid for _, wnid in kept], pa.string())
            yield pa.table(columns, schema=pa.schema([*ENTRY, *listing.columns]))
        if part.truth:
            _all_there(part, seen, listing, skip_missing)
    listing.notes += ignored.notes()


def _wnid_of(path: str, part: Part) -> str | None:
    """The wnid of an image; None if it has none (test images), empty if it lies outside the wnid folders."""
    if part.truth is None:
        folder = path.removeprefix(part.path).lstrip("/").split("/", 1)[0]
        return folder if folder in part.wnids else ""
    if not part.truth:
        return None
    if _stem(path) not in part.truth:
        raise ValueError(f"{path} has no line in the list of the validation images")
    return part.truth[_stem(path)]


def _all_there(part: Part, seen: set[str], listing: Listing, skip_missing: bool) -> None:
    missing = sorted(set(part.truth or ()) - seen)
    if not missing:
        return
    message = f"{len(missing):,} images of the validation list are missing in {part.path}: {some(missing)}"
    if not skip_missing:
        raise ValueError(f"{message} (--skip-missing goes on without them)")
    listing.notes.append(message)


def _stem(path: str) -> str:
    return posixpath.splitext(posixpath.basename(path))[0]


LAYOUT = Layout("imagenet", scan, options=("skip_missing",))
