"""CIFAR-10 and CIFAR-100: binary or pickled batches, in a folder, in a tar archive, or one binary batch by itself.

Ids are `<batch>/<row>` (`data_batch_1/0`), splits `train` and `test`; CIFAR-100 has its 20 superclasses in
`coarse_label`. Pixels become uncompressed PNGs. A batch of CIFAR-10 takes 31 MB while it is read, the training batch
of CIFAR-100 154 MB.
"""

from __future__ import annotations

import csv
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import resources

import numpy as np
import pyarrow as pa

from vision.accumulator import Array
from vision.corpora import archives
from vision.corpora.batches import PNG_BYTES, Batch, from_binary, from_pickle, png, text, unpickle
from vision.corpora.files import is_hidden, listed, relative, some
from vision.layout import ENTRY, Layout, Listing, Options, Source


def _built_in(name: str) -> tuple[str, ...]:
    text_of = resources.files("vision.corpora").joinpath("cifar_classes.csv").read_text("utf-8")
    return tuple(row["name"] for row in csv.DictReader(text_of.splitlines()) if row["data"] == name)


@dataclass(frozen=True)
class Kind:
    """One of the two data sets.

    Attributes:
        batches: pattern of a batch's file name, whose first group `splits` maps to a split.
        meta: names of the files that list the classes; `meta_key` is where a pickled one has them.
        keys: label columns in their binary order, with their names in a pickle.
        sizes: how many values each label has.
        folders: where the official archives put the batches.
    """

    name: str
    batches: str
    splits: Mapping[str, str]
    meta: tuple[str, str]
    meta_key: str
    keys: Mapping[str, str]
    sizes: Mapping[str, int]
    folders: tuple[str, str]
    classes: tuple[str, ...]


CIFAR10 = Kind(
    name="CIFAR-10",
    batches=r"(data|test)_batch[\w-]*(?:\.bin)?",
    splits={"data": "train", "test": "test"},
    meta=("batches.meta.txt", "batches.meta"),
    meta_key="label_names",
    keys={"label": "labels"},
    sizes={"label": 10},
    folders=("cifar-10-batches-bin", "cifar-10-batches-py"),
    classes=_built_in("cifar10"),
)
CIFAR100 = Kind(
    name="CIFAR-100",
    batches=r"(train|test)(?:\.bin)?",
    splits={"train": "train", "test": "test"},
    meta=("fine_label_names.txt", "meta"),
    meta_key="fine_label_names",
    keys={"coarse_label": "coarse_labels", "label": "fine_labels"},
    sizes={"label": 100, "coarse_label": 20},
    folders=("cifar-100-binary", "cifar-100-python"),
    classes=_built_in("cifar100"),
)


@dataclass(frozen=True)
class Found:
    """A batch that was met: its file (empty: the archive itself), its split and time, and its labels."""

    file: str
    batch: str
    split: str
    modified: str
    labels: Mapping[str, Array]


def scan(kind: Kind, source: Source, options: Options) -> Listing:
    """List CIFAR.

    Raises:
        ValueError: if there are no batches, one is there twice, truncated, or holds labels of something else.
    """
    found, classes = _found(kind, source)
    if not found:
        raise ValueError(f"{source.root} holds no batches of {kind.name} ({', '.join(kind.splits)})")
    names = sorted(batch.batch for batch in found)
    if len(set(names)) < len(names):
        raise ValueError(f"{source.root} holds batches twice (binary and pickled?): {some(names)}")
    columns = pa.schema([pa.field(key, pa.int32()) for key in kind.sizes])
    notes = ["raw arrays were written as lossless PNG, without compression"]
    found.sort(key=lambda batch: (batch.split != "train", batch.batch))
    return Listing(columns, (_entries(batch, columns) for batch in found), classes, notes)


def images(kind: Kind, source: Source, entries: pa.Table, options: Options) -> Iterator[bytes]:
    """The PNG of each entry.

    Raises:
        ValueError: if the batch is not what it was when listed.
    """
    names = ("id", "file", "offset", "modified")
    for key, file, row, modified in zip(*(entries[name].to_pylist() for name in names), strict=True):
        yield png(_batch(kind, source, file, key.rpartition("/")[0], modified).data[row])


def _found(kind: Kind, source: Source) -> tuple[list[Found], tuple[str, ...]]:
    """The batches of a source, and the class names it brings along or is known to have."""
    found, classes = [], kind.classes
    for path, file, content in _contents(kind, source):
        if _split(kind, path) is None:
            classes = _class_names(kind, path, content)
            continue
        labels = _parse(kind, path, content).labels
        for key, limit in kind.sizes.items():
            wrong = np.flatnonzero((labels[key] < 0) | (labels[key] >= limit))
            if len(wrong):
                worst = f"row {wrong[0]} has the {key} {labels[key][wrong[0]]}, of {limit}"
                raise ValueError(f"{path} is not {kind.name}: {worst}")
        found.append(Found(file, _name(path), _split(kind, path) or "", _modified(source, file), labels))
    return found, classes


def _contents(kind: Kind, source: Source) -> Iterator[tuple[str, str, bytes]]:
    """(path, file for an entry, bytes) of each batch and class list."""
    if in_archive(source):
        for member in archives.members(source.filesystem, source.root):
            if _concerns(kind, member.path):
                yield member.path, "", member.read()
    elif source.is_file:
        yield posixpath.basename(source.root), "", _read(source, "")
    else:
        folders, files = listed(source.filesystem, source.root)
        for folder in folders:
            if posixpath.basename(folder.path) in kind.folders:
                files += listed(source.filesystem, folder.path)[1]
        for path in (relative(source, info.path) for info in files):
            if _concerns(kind, path):
                yield path, path, _read(source, path)


def in_archive(source: Source) -> bool:
    return source.root.endswith(archives.ENDINGS) and source.is_file


def _concerns(kind: Kind, path: str) -> bool:
    return not is_hidden(path) and (posixpath.basename(path) in kind.meta or _split(kind, path) is not None)


def _split(kind: Kind, path: str) -> str | None:
    match = re.fullmatch(kind.batches, posixpath.basename(path))
    return None if match is None else kind.splits[match[1]]


def _name(path: str) -> str:
    return posixpath.basename(path).removesuffix(".bin")


def _modified(source: Source, file: str) -> str:
    filesystem, path = source.at(file)
    return str(filesystem.get_file_info(path).mtime_ns)


def _read(source: Source, file: str) -> bytes:
    filesystem, path = source.at(file)
    with filesystem.open_input_file(path) as stream:
        return bytes(stream.read())


def _parse(kind: Kind, path: str, content: bytes) -> Batch:
    if path.endswith(".bin"):
        return from_binary(path, content, tuple(kind.keys))
    return from_pickle(path, content, kind.keys)


def _class_names(kind: Kind, path: str, content: bytes) -> tuple[str, ...]:
    if path.endswith(".txt"):
        names = content.decode("utf-8", "replace").split()
    else:
        fields = unpickle(path, content)
        names = [text(name) for name in (fields.get(kind.meta_key, ()) if isinstance(fields, dict) else ())]
    if len(names) != len(kind.classes) or len(set(names)) < len(names):
        raise ValueError(f"{path} does not list the {len(kind.classes)} classes of {kind.name} but {len(names)} names")
    return tuple(names)


def _entries(batch: Found, columns: pa.Schema) -> pa.Table:
    rows = len(batch.labels["label"])
    values = {
        "id": [f"{batch.batch}/{row}" for row in range(rows)],
        "split": [batch.split] * rows,
        "file": [batch.file] * rows,
        "offset": np.arange(rows),
        "length": np.full(rows, PNG_BYTES),
        "modified": [batch.modified] * rows,
        **batch.labels,
    }
    schema = pa.schema([*ENTRY, *columns])
    return pa.table([pa.array(values[name], schema.field(name).type) for name in schema.names], schema=schema)


_last: dict[tuple[str, ...], Batch] = {}
"""The batch that was read last: the next shard begins where this one ended, mostly in the same batch."""


def _batch(kind: Kind, source: Source, file: str, name: str, modified: str) -> Batch:
    key = (kind.name, source.root, file, name, modified)
    if key not in _last:
        if _modified(source, file) != modified:
            raise ValueError(f"{file or source.root} changed while it was read")
        _last.clear()
        _last[key] = _parse(kind, *_reread(kind, source, file, name))
    return _last[key]


def _reread(kind: Kind, source: Source, file: str, name: str) -> tuple[str, bytes]:
    """Path and bytes of a batch; in an archive all that lies before it is decompressed again."""
    if file or not in_archive(source):
        return file or source.root, _read(source, file)
    return next((path, content) for path, _, content in _contents(kind, source) if _name(path) == name)


def layout(kind: Kind) -> Layout:
    """The layout of one of the two."""
    name = kind.name.lower().replace("-", "")
    return Layout(name, partial(scan, kind), partial(images, kind), inside_containers=True)
