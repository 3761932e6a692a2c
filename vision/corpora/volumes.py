"""What a volume is: a (z, y, x) array with a voxel size and an offset, by whatever format it is kept in.

Only descriptions are here, and the metadata they come from; voxels are read by whoever knows storage. A volume is
named as `FILE.npz#key`, `FILE.h5#key`, `STACK.tif`, a folder of sections, or a zarr, N5 or precomputed folder.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Triple = tuple[int, int, int]
Lengths = tuple[float, float, float]

NM_OF = {
    "nanometer": 1.0, "nm": 1.0, "micrometer": 1e3, "um": 1e3, "µm": 1e3, "micron": 1e3, "millimeter": 1e6,
    "mm": 1e6, "angstrom": 0.1, "meter": 1e9, "m": 1e9,
}  # fmt: skip
"""Nanometres of a unit of length, as formats spell them."""

FILES = {"npz": "npz", "npy": "npy", "h5": "h5", "hdf5": "h5", "hdf": "h5", "he5": "h5", "tif": "tiff", "tiff": "tiff"}
"""Kinds of volume that are one file, by the ending of its name."""

SECTIONS = ("png", "tif", "tiff")
"""What the names of sections in a folder end with."""

KEYED = ("npz", "h5")
"""Kinds that hold several arrays, of which `#key` names one."""


@dataclass(frozen=True)
class Address:
    """Where a volume lies: a file or folder, the array in it, and which scale of a pyramid (0: full resolution)."""

    place: str
    key: str = ""
    scale: int = 0

    @classmethod
    def parse(cls, text: str, scale: int = 0) -> Address:
        """The address in `PLACE` or `PLACE#key`."""
        place, _, key = text.partition("#")
        return cls(place.rstrip("/"), key.strip("/"), scale)

    @property
    def kind(self) -> str | None:
        """The kind of a single file; None for what may be a folder."""
        return FILES.get(self.place.rsplit(".", 1)[-1].lower()) if "." in self.place.rsplit("/", 1)[-1] else None

    def __str__(self) -> str:
        return f"{self.place}#{self.key}" if self.key else self.place


@dataclass(frozen=True)
class Volume:
    """What is known of an array without reading its voxels.

    Attributes:
        shape: (z, y, x) voxels.
        dtype: of a voxel, as numpy calls it.
        channels: how many arrays of that shape lie one after another in front; 0: it is (z, y, x) itself.
        voxel_nm: size of a voxel (z, y, x) in nanometres; None where the file does not say.
        offset_nm: where the first voxel lies, (z, y, x) nanometres.
        chunk: voxels that are stored together; reads along it are cheapest.
        attributes: what else the file says of it.
        together: how many channels are stored in one chunk; of 1, a channel can be read without the others.
        kept: bytes that whoever reads it holds from box to box: all of an npz, some sections of a stack.
    """

    shape: Triple
    dtype: str
    channels: int = 0
    voxel_nm: Lengths | None = None
    offset_nm: Lengths = (0.0, 0.0, 0.0)
    chunk: Triple | None = None
    attributes: Mapping[str, Any] | None = None
    together: int = 1
    kept: int = 0

    @property
    def voxels(self) -> int:
        return int(np.prod([int(n) for n in self.shape], dtype=object))

    @property
    def nbytes(self) -> int:
        """Bytes of all voxels, not compressed."""
        return self.voxels * max(self.channels, 1) * np.dtype(self.dtype).itemsize

    @property
    def is_float(self) -> bool:
        return np.dtype(self.dtype).kind == "f"


def describe(
    shape: Sequence[int],
    dtype: Any,
    where: object,
    *,
    voxel_nm: Lengths | None = None,
    offset_nm: Lengths = (0.0, 0.0, 0.0),
    chunk: Sequence[int] | None = None,
    attributes: Mapping[str, Any] | None = None,
    together: int = 1,
) -> Volume:
    """A volume from an array's shape: (z, y, x), or (c, z, y, x) with channels in front.

    Raises:
        ValueError: if it has another number of dimensions, no voxels, or holds no numbers.
    """
    kind = np.dtype(dtype)
    if len(shape) not in (3, 4):
        raise ValueError(f"{where} has {len(shape)} dimensions {tuple(shape)}; a volume is (z, y, x) or (c, z, y, x)")
    if kind.kind not in "buif":
        raise ValueError(f"{where} holds {kind} and not numbers")
    if 0 in shape:
        raise ValueError(f"{where} has no voxels: its shape is {tuple(shape)}")
    z, y, x = (int(n) for n in shape[-3:])
    kept = None if chunk is None else (int(chunk[-3]), int(chunk[-2]), int(chunk[-1]))
    channels = int(shape[0]) if len(shape) == 4 else 0
    return Volume((z, y, x), kind.name, channels, voxel_nm, offset_nm, kept, attributes, int(together))


def check_labels(volume: Volume, where: object) -> None:
    """Refuse what cannot be ids: floats, or several channels.

    Raises:
        ValueError: naming what came.
    """
    if volume.channels:
        raise ValueError(f"{where} has {volume.channels} channels; labels are (z, y, x)")
    if volume.is_float:
        raise ValueError(f"{where} holds {volume.dtype}; labels are whole numbers (uint8 to uint64)")


def check_same_place(first: Volume, second: Volume, what: tuple[object, object]) -> None:
    """Refuse two volumes that are not of the same voxels: other shape, voxel size or offset.

    A voxel size that one of them does not know is no contradiction.

    Raises:
        ValueError: naming both.
    """
    one, other = what
    if first.shape != second.shape:
        raise ValueError(f"{one} has {first.shape} voxels and {other} {second.shape}: they must be the same voxels")
    if first.voxel_nm and second.voxel_nm and not np.allclose(first.voxel_nm, second.voxel_nm, rtol=1e-4):
        raise ValueError(f"{one} has voxels of {_nm(first.voxel_nm)} and {other} of {_nm(second.voxel_nm)}")
    known = first.voxel_nm and second.voxel_nm
    if known and not np.allclose(first.offset_nm, second.offset_nm, atol=1e-3):
        raise ValueError(f"{one} begins at {_nm(first.offset_nm)} and {other} at {_nm(second.offset_nm)}")


def placed(attributes: Mapping[str, Any]) -> tuple[Lengths | None, Lengths]:
    """Voxel size and offset, nanometres (z, y, x), where an array's attributes give them plainly.

    Understood are `voxel_size` or `resolution` with `offset` and `units` (funlib, CREMI), in the order of the array.
    """
    factor = [NM_OF.get(str(unit).lower(), 1.0) for unit in _last(attributes.get("units"), "nm")]
    size = _numbers(attributes.get("voxel_size", attributes.get("resolution")))
    offset = _numbers(attributes.get("offset")) or (0.0, 0.0, 0.0)
    return _scaled(size, factor) if size and min(size) > 0 else None, _scaled(offset, factor)


def parse_box(text: str, shape: Triple) -> tuple[Triple, Triple]:
    """The box that `Z0:Z1,Y0:Y1,X0:X1` names: (begin, end), half open, voxels; an end left out is the volume's.

    >>> parse_box("10:20,:,5:", (30, 40, 50))
    ((10, 0, 5), (20, 40, 50))

    Raises:
        ValueError: if it is no box, empty, or reaches beyond the volume.
    """
    parts = [re.fullmatch(r"\s*(\d*):(\d*)\s*", part) for part in text.split(",")]
    if len(parts) != 3 or None in parts:
        raise ValueError(f"a box is Z0:Z1,Y0:Y1,X0:X1 in voxels, got {text!r}")
    ends = [(int(m[1] or 0), int(m[2] or n)) for m, n in zip(parts, shape, strict=True) if m is not None]
    for (low, high), most in zip(ends, shape, strict=True):
        if not 0 <= low < high <= most:
            raise ValueError(f"the box {text!r} is empty or reaches beyond the volume, which has {shape} voxels")
    (z0, z1), (y0, y1), (x0, x1) = ends
    return (z0, y0, x0), (z1, y1, x1)


def _nm(lengths: Lengths) -> str:
    return " x ".join(f"{length:g}" for length in lengths) + " nm"


def _numbers(value: Any) -> Lengths | None:
    """Three numbers, of as many as there are the last."""
    try:
        found = [float(v) for v in value]
    except (TypeError, ValueError):
        return None
    return (found[-3], found[-2], found[-1]) if len(found) >= 3 and np.isfinite(found).all() else None


def _last(value: Any, default: str) -> list[Any]:
    found = [value] * 3 if isinstance(value, str) else list(value or ())
    return (found if len(found) >= 3 else [default] * 3)[-3:]


def _scaled(lengths: Lengths, factor: Sequence[float]) -> Lengths:
    z, y, x = (length * f for length, f in zip(lengths, factor, strict=True))
    return z, y, x
