"""A volume opened by its address, whatever its format: what it is at once, its voxels by the box.

A worker opens what it reads where it lives; only addresses travel. Nothing is copied: of zarr, N5 and HDF5 the chunks
are read that a box touches, of a stack its sections, and of an npz the whole array, once a worker.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from jobs import storage
from jobs.spec import JobFailed, SpecError, nearest
from vision.accumulator import Array
from vision.connectomics.blocks import Box
from vision.corpora.volumes import KEYED, Address, Volume, check_labels

Front = int | slice | None
"""Of channels: one of them, some, or all."""

Read = Callable[[Box, Front], Array]
Found = tuple[Volume, Read]


class NoArray(KeyError):
    """A file without the array that is asked for; `known` are those it has."""

    def __init__(self, key: str, known: list[str]) -> None:
        super().__init__(key)
        self.key, self.known = key, known


@dataclass(frozen=True)
class Opened:
    """A volume that can be read.

    Attributes:
        address, volume: where it lies, and what it is.
        mark: changes when a single file does, or what a folder says of itself; not when chunks are changed in place.
    """

    address: Address
    volume: Volume
    mark: str
    _read: Read

    def read(self, box: Box, front: Front = None) -> Array:
        """(Z, Y, X) or (C, Z, Y, X) voxels of a box inside the volume; `front` chooses channels where there are any.

        Raises:
            JobFailed: if they cannot be read.
        """
        try:
            return self._read(box, front)
        except MemoryError:
            raise
        except Exception as error:  # codecs of four libraries fail in as many ways
            why = (str(error).splitlines() or [type(error).__name__])[0]
            raise JobFailed(f"{self.address}: voxels {_text(box)} cannot be read: {why}") from None

    def channels(self, box: Box, wanted: Sequence[int]) -> Iterator[Array]:
        """(Z, Y, X) voxels of channels, one after another, so that memory holds one; together where they are stored so.

        Raises:
            JobFailed: if they cannot be read.
        """
        if self.volume.together == 1:
            yield from (self.read(box, channel) for channel in wanted)
        else:
            low = min(wanted)
            found = self.read(box, slice(low, max(wanted) + 1))
            yield from (found[channel - low] for channel in wanted)

    def facts(self) -> dict[str, Any]:
        """What decides its voxels, for fingerprints."""
        return {"volume": str(self.address), "scale": self.address.scale, "mark": self.mark}


def opened(text: str, field: str, scale: int = 0, *, labels: bool = False) -> Opened:
    """The volume that a field names.

    Args:
        field: what complaints call it.
        labels: refuse what cannot be ids.

    Raises:
        SpecError: one line: no such file or array, damaged, not to be read, no volume, or no labels.
    """
    return at(Address.parse(text, scale), field, labels=labels)


def at(address: Address, field: str, *, labels: bool = False) -> Opened:
    """The volume at an address; see `opened`."""
    try:
        address = replace(address, place=storage.absolute(address.place))
    except ValueError as error:
        raise SpecError(f"{field}: {error}") from None
    where = f"{field}: {address}"
    try:
        volume, read = _format(address)(address)
        if labels:
            check_labels(volume, address)
        return Opened(address, volume, _mark(address, volume), read)
    except SpecError:
        raise
    except NoArray as error:
        known = f" (there are: {', '.join(error.known[:20])})" if error.known else ""
        if not error.key:
            raise SpecError(f"{where} holds several arrays: name one as {address.place}#KEY{known}") from None
        raise SpecError(f"{where} has no array {error.key!r}{nearest(error.key, error.known)}{known}") from None
    except FileNotFoundError:
        raise SpecError(f"{where}: no such volume") from None
    except PermissionError:
        raise SpecError(f"{where} may not be read: permission denied") from None
    except ValueError as error:
        raise SpecError(f"{field}: {_one_line(error)}") from None
    except OSError as error:
        raise SpecError(f"{where} cannot be read: {_one_line(error)}") from None


def _format(address: Address) -> Callable[[Address], Found]:
    """What opens an address, by the ending of a file, or by what lies in a folder."""
    from jobs.volumes import chunked, files, sections

    if address.kind is not None and not storage.is_folder(address.place):
        opener = {"npz": files.npz, "npy": files.npy, "h5": files.hdf5, "tiff": sections.stack}
        if address.key and address.kind not in KEYED:
            raise ValueError(f"{address}: only npz and HDF5 files hold arrays by key")
        return _one_scale(address, opener[address.kind])
    return chunked.format_of(address) or _one_scale(address, sections.folder)


def _one_scale(address: Address, opener: Callable[[Address], Found]) -> Callable[[Address], Found]:
    """What opens a format without pyramids."""
    if address.scale:
        raise ValueError(f"{address} is one array and has no scale {address.scale}")
    return opener


def _mark(address: Address, volume: Volume) -> str:
    found = storage.info(address.place)
    if found.is_file:
        return storage.mark(found)
    facts = [volume.shape, volume.dtype, volume.channels, volume.voxel_nm, volume.offset_nm, volume.chunk]
    whole = json.dumps([facts, volume.attributes], sort_keys=True, default=str)
    return hashlib.sha256(whole.encode()).hexdigest()


def _one_line(error: Exception) -> str:
    first = (str(error).splitlines() or [""])[0].strip()
    return first or type(error).__name__


def _text(box: Box) -> str:
    return ",".join(f"{b}:{e}" for b, e in zip(box.begin, box.end, strict=True))
