"""Volumes as stacks: the pages of one TIFF, or a folder of sections in the order of their names.

A section is decoded whole, so the last few are kept (`KEPT_BYTES` a worker): blocks run along x first, then y, and
those of one row of the grid share their sections. For a large stack write it as zarr first.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from jobs import storage
from jobs.volumes.opening import Found, Front, NoArray
from vision.accumulator import Array
from vision.connectomics.blocks import Box
from vision.connectomics.installed import library
from vision.corpora.volumes import NM_OF, SECTIONS, Address, Lengths, Volume, describe
from vision.faults import CorruptImage, faults

KEPT_BYTES = 128 * 2**20


def stack(address: Address) -> Found:
    """A TIFF of several pages (z); ImageJ's spacing and resolution are the voxel size where its unit is a length."""
    tifffile = library("tifffile")
    place = address.place
    raw = io.BytesIO(storage.read(place)) if storage.is_s3(place) else place
    storage.size(place)
    try:
        with _complaints() as said:
            file = tifffile.TiffFile(raw)
            series = file.series[0]
            shape, dtype = series.shape, series.dtype
            _whole(series.pages, storage.size(place))
        if said:
            raise ValueError(said[0])
    except (tifffile.TiffFileError, IndexError, EOFError, ValueError):
        raise ValueError(f"{place} is damaged or no TIFF file") from None
    if len(shape) == 4:
        raise ValueError(f"{place} has {len(shape)} dimensions {tuple(shape)}; a TIFF stack is (z, y, x)")
    volume = describe(shape, dtype, address, voxel_nm=_imagej(file), chunk=(1, *shape[-2:]))
    pages = list(series.pages)
    if len(pages) != shape[0]:
        # All planes are one page: ImageJ's way for stacks of more than 4 GB.
        mapped = tifffile.memmap(place, series=0, mode="r")
        return volume, lambda box, _front: np.array(mapped[box.slices])
    return keeping(volume), Kept(lambda z: np.asarray(pages[z].asarray()), volume.dtype).read


def folder(address: Address) -> Found:
    """A folder of PNG or TIFF sections, one for each z, in the order of the numbers in their names."""
    place = storage.join(address.place, address.key) if address.key else address.place
    if not storage.is_folder(place):
        if address.key and storage.is_folder(address.place):
            raise NoArray(address.key, storage.children(address.place))
        raise FileNotFoundError(place)
    names = sorted(filter(_is_section, storage.children(place)), key=_natural)
    if not names:
        raise ValueError(f"{place} is no volume: no zarr.json, .zarray, attributes.json or info, and no sections in it")
    first = _section(storage.join(place, names[0]))
    volume = describe((len(names), *first.shape), first.dtype, address, chunk=(1, *first.shape))

    def load(z: int) -> Array:
        found = _section(storage.join(place, names[z]))
        if found.shape != first.shape or found.dtype != first.dtype:
            raise ValueError(f"section {names[z]} is {found.dtype} {found.shape}, and the first {volume.shape[1:]}")
        return found

    return keeping(volume), Kept(load, volume.dtype).read


def keeping(volume: Volume) -> Volume:
    """The volume, with what `Kept` holds of it."""
    return replace(volume, kept=min(KEPT_BYTES + volume.nbytes // volume.shape[0], volume.nbytes))


class Kept:
    """Sections by number, the last ones kept in memory."""

    def __init__(self, load: Callable[[int], Array], dtype: str) -> None:
        self._load, self._dtype = load, dtype
        self._held: OrderedDict[int, Array] = OrderedDict()

    def read(self, box: Box, _front: Front) -> Array:
        found = np.empty(box.shape, self._dtype)
        for z in range(box.begin[0], box.end[0]):
            found[z - box.begin[0]] = self._section(z)[box.slices[1:]]
        return found

    def _section(self, z: int) -> Array:
        if z not in self._held:
            self._held[z] = self._load(z)
            while len(self._held) > 1 and sum(part.nbytes for part in self._held.values()) > KEPT_BYTES:
                self._held.popitem(last=False)
        self._held.move_to_end(z)
        return self._held[z]


def _section(url: str) -> Array:
    """(Y, X) grey levels or ids of one file."""
    from PIL import Image

    data = storage.read(url)
    try:
        if url.lower().endswith("png"):
            with faults("PNG"):
                found = np.array(Image.open(io.BytesIO(data)))
        else:
            found = np.asarray(library("tifffile").imread(io.BytesIO(data)))
    except CorruptImage as error:
        raise ValueError(f"{url}: {error}") from None
    if found.ndim != 2:
        raise ValueError(f"{url} has {found.ndim} dimensions {found.shape}; a section is grey, (y, x)")
    return found.astype(np.uint16) if found.dtype == np.int32 and url.lower().endswith("png") else found


def _whole(pages: Any, size: int) -> None:
    """Refuse a TIFF whose last page lies beyond its end."""
    last = pages[len(pages) - 1]
    for page in (last, pages[0]):
        if page is not None and max(o + c for o, c in zip(page.dataoffsets, page.databytecounts, strict=True)) > size:
            raise ValueError("cut short")


@contextlib.contextmanager
def _complaints() -> Iterator[list[str]]:
    """What tifffile logs as an error: of a file that was cut short it gives the pages that are left, and says so."""
    said: list[str] = []
    log, handler = logging.getLogger("tifffile"), _Heard(said)
    log.addHandler(handler)
    before, log.propagate = log.propagate, False
    try:
        yield said
    finally:
        log.removeHandler(handler)
        log.propagate = before


class _Heard(logging.Handler):
    def __init__(self, said: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._said = said

    def emit(self, record: logging.LogRecord) -> None:
        self._said.append(record.getMessage())


def _imagej(file: Any) -> Lengths | None:
    """(z, y, x) nanometres; None where the file does not say."""
    told = file.imagej_metadata or {}
    unit = NM_OF.get(str(told.get("unit", "")).encode().decode("unicode_escape").lower())
    try:
        y, x = (_per(file.pages[0].tags[name].value) for name in ("YResolution", "XResolution"))
        z = float(told["spacing"])
    except (KeyError, TypeError, ZeroDivisionError):
        return None
    return (z * unit, y * unit, x * unit) if unit else None


def _per(value: tuple[int, int]) -> float:
    """Length of a pixel from a resolution, which is a fraction of pixels to a unit."""
    return value[1] / value[0]


def _is_section(name: str) -> bool:
    return name.lower().rsplit(".", 1)[-1] in SECTIONS


def _natural(name: str) -> list[tuple[int, str]]:
    """Section 10 comes after section 9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name) if part]
