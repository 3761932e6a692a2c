"""The truth of the 50,000 validation images of ILSVRC-2012, which lie in one folder with a list beside them.

Three lists are read, and nothing is guessed:
- `LOC_val_solution.csv` (Kaggle): name, then wnid and box;
- a list of two columns, name and wnid, or name and class index 0..999 (`val.txt`, `val.csv`, `val_labels.txt`, ...);
- `ILSVRC2012_validation_ground_truth.txt` (development kit): one ILSVRC id a line. These ids 1..1000 are not in the
  order of the wnids; the kit's `meta.mat` beside it says which wnid each is.
"""

from __future__ import annotations

import io
import posixpath
import re
from collections.abc import Iterator, Sequence

import pyarrow.fs as pafs

from vision.layout import Source

KAGGLE = "LOC_val_solution.csv"
KIT = "ILSVRC2012_validation_ground_truth.txt"
LISTS = ("val.txt", "val.csv", "val_labels.txt", "val_labels.csv", "validation.txt", "imagenet_val.txt")
_PLACES = ("", "data", "ILSVRC2012_devkit_t12/data")


def ground_truth(source: Source, folder: str, wnids: Sequence[str]) -> dict[str, str]:
    """The wnid of each validation image, by name without ending.

    Args:
        folder: where the images lie; lists are looked for there, at the source and in a development kit beside it.
        wnids: the 1,000 in class order, which indices in a list refer to.

    Raises:
        ValueError: if there is no list, or it says something else than names with classes.
    """
    for name in (KAGGLE, *LISTS, KIT):
        for path in _candidates(source, folder, name):
            return _read(source, path, wnids)
    raise ValueError(
        f"{folder} has validation images but no list of their classes: put {KAGGLE}, a list of names and wnids "
        f"(val.txt), or {KIT} with meta.mat beside them"
    )


def _candidates(source: Source, folder: str, name: str) -> Iterator[str]:
    """Existing paths of a list: beside the images, or above them as far as the source goes."""
    while len(folder) >= len(source.root):
        for place in _PLACES:
            path = posixpath.join(folder, place, name)
            if source.filesystem.get_file_info(path).type == pafs.FileType.File:
                yield path
        folder = posixpath.dirname(folder)


def _read(source: Source, path: str, wnids: Sequence[str]) -> dict[str, str]:
    with source.filesystem.open_input_file(path) as stream:
        text = bytes(stream.read()).decode("utf-8", "replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if posixpath.basename(path) == KIT:
        return _by_number(source, path, lines)
    return _by_name(path, lines, wnids)


def _by_name(path: str, lines: Sequence[str], wnids: Sequence[str]) -> dict[str, str]:
    known = set(wnids)
    rows = [re.split(r"[,\s]+", line)[:2] for line in lines]
    # A header is a first line whose name is no file of the challenge.
    rows = rows[1:] if rows and not rows[0][0].startswith("ILSVRC2012_val_") else rows
    truth: dict[str, str] = {}
    for number, row in enumerate(rows, 1):
        name, word = (*row, "")[:2]
        if word.isdigit() and int(word) < len(wnids):
            word = wnids[int(word)]
        if word not in known or not name.startswith("ILSVRC2012_val_"):
            raise ValueError(
                f"{path} record {number}: {' '.join(row)!r} is not a validation image and its wnid or index 0..999"
            )
        if truth.setdefault(posixpath.splitext(name)[0], word) != word:
            raise ValueError(f"{path} gives {name} two classes")
    return truth


def _by_number(source: Source, path: str, lines: Sequence[str]) -> dict[str, str]:
    wnids = _kit_wnids(source, posixpath.join(posixpath.dirname(path), "meta.mat"))
    truth: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.isdigit() or int(line) not in wnids:
            raise ValueError(f"{path} line {number}: {line!r} is not an ILSVRC id of meta.mat (1..1000)")
        truth[f"ILSVRC2012_val_{number:08d}"] = wnids[int(line)]
    return truth


def _kit_wnids(source: Source, path: str) -> dict[int, str]:
    """ILSVRC id to wnid, from the kit's `synsets` (a struct array); ids above 1000 are inner nodes of the tree."""
    if source.filesystem.get_file_info(path).type != pafs.FileType.File:
        raise ValueError(
            f"{KIT} holds ILSVRC ids, which only the development kit's meta.mat translates: {path} is missing"
        )
    from scipy.io import loadmat

    with source.filesystem.open_input_file(path) as stream:
        data = bytes(stream.read())
    try:
        synsets = loadmat(io.BytesIO(data), squeeze_me=True, variable_names=["synsets"])["synsets"]
        pairs = {int(row["ILSVRC2012_ID"]): str(row["WNID"]) for row in synsets}
    except Exception as error:  # whatever a damaged MATLAB file raises in SciPy
        raise ValueError(f"{path} is not the development kit's meta.mat: {error}") from None
    return {number: wnid for number, wnid in pairs.items() if number <= 1000}
