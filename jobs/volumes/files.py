"""Volumes in one file: arrays of an npz or npy, and datasets of an HDF5 file."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from typing import Any

import numpy as np

from jobs import storage
from jobs.volumes.opening import Found, Front, NoArray
from vision.accumulator import Array
from vision.connectomics.blocks import Box
from vision.connectomics.installed import library
from vision.corpora.volumes import Address, describe, placed


def npz(address: Address) -> Found:
    """An array of an npz file; it may stay without a key where there is only one.

    The array is unpacked whole when its first box is read: npz has no chunks. `voxel_nm` and `offset_nm` of the same
    file are its voxel size and offset.
    """
    try:
        archive = np.load(_file(address.place), allow_pickle=False)
    except (zipfile.BadZipFile, EOFError, ValueError):
        raise ValueError(f"{address.place} is damaged or no npz file") from None
    names = list(archive.files)
    key = address.key or _only([name for name in names if name not in ("voxel_nm", "offset_nm")])
    if key not in names:
        raise NoArray(key, names)
    shape, dtype = _header(address.place, archive, key)
    told = {name: archive[f"{name}_nm"] for name in ("voxel", "offset") if f"{name}_nm" in names}
    size, offset = placed({"voxel_size": told.get("voxel"), "offset": told.get("offset")})
    whole: list[Array] = []

    def read(box: Box, front: Front) -> Array:
        if not whole:
            whole.append(archive[key])
        return _cut(whole[0], box, front)

    volume = describe(shape, dtype, address, voxel_nm=size, offset_nm=offset)
    return replace(volume, kept=volume.nbytes), read


def npy(address: Address) -> Found:
    """An npy file, mapped into memory where the file system is local."""
    place = address.place
    try:
        remote = storage.is_s3(place)
        array = np.load(_file(place), allow_pickle=False, mmap_mode=None if remote else "r")
    except (ValueError, EOFError):
        raise ValueError(f"{place} is damaged or no npy file") from None
    return describe(array.shape, array.dtype, address), lambda box, front: np.array(_cut(array, box, front))


def hdf5(address: Address) -> Found:
    """A dataset of an HDF5 file; its voxel size and offset are the attributes `resolution` and `offset` (CREMI)."""
    h5py = library("h5py")
    storage.size(address.place)  # where there is no file, h5py would only say that it cannot open it
    try:
        file = h5py.File(_file(address.place), "r")
    except PermissionError:
        raise
    except OSError:
        raise ValueError(f"{address.place} is damaged or no HDF5 file") from None
    known: list[str] = []
    file.visititems(lambda name, found: known.append(name) if isinstance(found, h5py.Dataset) else None)
    key = address.key or _only(known)
    if key not in known:
        raise NoArray(key, known)
    dataset = file[key]
    attributes = {name: _plain(value) for name, value in dataset.attrs.items()}
    size, offset = placed(attributes)
    volume = describe(
        dataset.shape, dataset.dtype, address, voxel_nm=size, offset_nm=offset,
        chunk=dataset.chunks if dataset.chunks and len(dataset.chunks) >= 3 else None,
        together=dataset.chunks[0] if dataset.chunks and len(dataset.chunks) == 4 else 1,
    )  # fmt: skip
    return volume, lambda box, front: np.asarray(_cut(dataset, box, front))


def _file(place: str) -> Any:
    """A path, or the bytes of an object on S3."""
    return io.BytesIO(storage.read(place)) if storage.is_s3(place) else storage.absolute(place)


def _header(place: str, archive: Any, key: str) -> tuple[tuple[int, ...], Any]:
    """Shape and type of an array in an npz, without unpacking it."""
    try:
        with archive.zip.open(f"{key}.npy") as stream:
            version = np.lib.format.read_magic(stream)
            read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            shape, _, dtype = read[version](stream)
    except (zipfile.BadZipFile, EOFError, ValueError, KeyError):
        raise ValueError(f"{place} is damaged: its array {key!r} has no header") from None
    return shape, dtype


def _only(names: list[str]) -> str:
    """The one array there is.

    Raises:
        NoArray: if there are several, or none.
    """
    if len(names) != 1:
        raise NoArray("", names)
    return names[0]


def _cut(array: Any, box: Box, front: Front) -> Array:
    cut: Array = array[(... if front is None else front, *box.slices)]
    return cut


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
