"""What layouts have in common: folders walked in a fixed order, and what counts as an image.

Folders are listed one at a time, so memory holds one folder's names (about 0.5 KB a file: a flat folder of a million
files takes 0.5 GB, the same files in 1,000 folders 0.5 MB).
"""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import pyarrow as pa
import pyarrow.fs as pafs

from vision.layout import ENTRY, Source

T = TypeVar("T")

ENDINGS = (
    "jpg", "jpeg", "jpe", "jfif", "png", "apng", "gif", "webp", "bmp", "dib", "tif", "tiff", "ppm", "pgm", "pbm", "pnm",
    "avif", "heic", "heif", "jp2", "j2k", "jpx", "ico",
)  # fmt: skip
"""Endings of images, whether or not they can be decoded here: one that cannot becomes an error row, not a gap."""

SPLITS = {
    "train", "training", "trainval", "val", "valid", "validation", "dev", "test", "testing", "eval", "evaluation",
    "holdout", "unlabeled", "unlabelled",
}  # fmt: skip
"""Names that a folder of a split usually has, in lower case."""

DEEPEST = 32
"""Folders below one another: more is a link that leads back."""

BATCH = 4096
"""Entries in a table of a listing."""

_MAGIC = (
    b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"P1\n", b"P2\n", b"P3\n",
    b"P4\n", b"P5\n", b"P6\n", b"\0\0\0\x0cjP  ",
)  # fmt: skip
_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"heif", b"mif1")


@dataclass
class Ignored:
    """Files, or whatever `what` says, that a listing left out, by reason: how many, and one of them."""

    what: str = "file"
    counts: Counter[str] = field(default_factory=Counter)
    example: dict[str, str] = field(default_factory=dict)

    def add(self, reason: str, path: str) -> None:
        self.counts[reason] += 1
        self.example.setdefault(reason, path)

    def notes(self) -> list[str]:
        return [
            f"{count:,} {self.what}{'' if count == 1 else 's'} left out: {reason} (such as {self.example[reason]})"
            for reason, count in sorted(self.counts.items())
        ]


def is_hidden(path: str) -> bool:
    return posixpath.basename(path).startswith((".", "__MACOSX"))


def ending(path: str) -> str:
    """What follows the last dot of a file's name, in lower case; empty if nothing does."""
    return posixpath.splitext(path)[1][1:].lower()


def looks_like_image(head: bytes) -> bool:
    """Whether a file that begins with these 16 bytes is an image."""
    webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    return head.startswith(_MAGIC) or webp or (head[4:8] == b"ftyp" and head[8:12] in _BRANDS)


def is_image(filesystem: pafs.FileSystem, info: pafs.FileInfo) -> bool:
    """By its ending; a file without one is asked for its first bytes."""
    if ending(info.path):
        return ending(info.path) in ENDINGS
    with filesystem.open_input_file(info.path) as stream:
        return looks_like_image(bytes(stream.read(16)))


def listed(filesystem: pafs.FileSystem, folder: str) -> tuple[list[pafs.FileInfo], list[pafs.FileInfo]]:
    """The (folders, files) of a folder that are not hidden, each sorted by name.

    Raises:
        OSError: if there is no such folder, or no right to read it.
        ValueError: if a name in it is not UTF-8.
    """
    try:
        found = filesystem.get_file_info(pafs.FileSelector(folder))
    except UnicodeDecodeError as error:
        raise ValueError(f"{folder} holds a file whose name is not UTF-8: {error.object!r}") from None
    found = sorted((f for f in found if not is_hidden(f.path)), key=lambda f: f.path)
    return (
        [f for f in found if f.type == pafs.FileType.Directory],
        [f for f in found if f.type == pafs.FileType.File],
    )


def images_below(source: Source, folder: str, ignored: Ignored, depth: int = 0) -> Iterator[pafs.FileInfo]:
    """The images in a folder and below it, file by file, folder by folder, in the order of their names.

    Raises:
        ValueError: if folders lie in one another without end.
    """
    if depth > DEEPEST:
        raise ValueError(f"{folder} lies more than {DEEPEST} folders deep: a link that leads back?")
    folders, files = listed(source.filesystem, folder)
    for info in files:
        if is_image(source.filesystem, info):
            yield info
        else:
            ignored.add("not an image by its ending", relative(source, info.path))
    for inner in folders:
        yield from images_below(source, inner.path, ignored, depth + 1)


def relative(source: Source, path: str) -> str:
    """A path below the source, from its folder on."""
    return path.removeprefix(source.folder).lstrip("/")


def file_columns(source: Source, infos: Sequence[pafs.FileInfo], split: str | None) -> dict[str, pa.Array]:
    """The `ENTRY` columns of whole files, whose ids are their paths."""
    paths = [relative(source, info.path) for info in infos]
    values = {
        "id": paths,
        "split": [split] * len(paths),
        "file": paths,
        "offset": [None] * len(paths),
        "length": [info.size for info in infos],
        "modified": [str(info.mtime_ns) for info in infos],
    }
    return {name: pa.array(values[name], ENTRY.field(name).type) for name in ENTRY.names}


def batches(items: Iterable[T], size: int = BATCH) -> Iterator[list[T]]:
    """Lists of up to `size` items."""
    held: list[T] = []
    for item in items:
        held.append(item)
        if len(held) == size:
            yield held
            held = []
    if held:
        yield held


def some(names: Sequence[str], most: int = 3) -> str:
    """The first few of a list of names, and how many more there are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
