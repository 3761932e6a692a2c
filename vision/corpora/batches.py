"""CIFAR's batches in their two encodings, and small arrays as PNG.

A binary batch is records of label bytes and 3,072 pixel bytes: the red, then the green, then the blue plane of a
32x32 image, row by row. A pickled batch is a dict with `data` (N, 3072) uint8 and lists of labels; it is read by an
unpickler that can build arrays, bytes, text, lists, dicts and numbers, and nothing else.

PNGs are written uncompressed (3,172 bytes for 3,072 pixels): the same bytes on every machine, whatever its zlib.

Reference: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
"""

from __future__ import annotations

import io
import pickle
import re
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from vision.accumulator import Array

SIDE = 32
PIXELS = 3 * SIDE * SIDE
PNG_BYTES = 3_172


@dataclass(frozen=True)
class Batch:
    """Images (N, 3072) uint8 in planes, and int64 labels (N,) by key: `label`, `coarse_label`."""

    data: Array
    labels: Mapping[str, Array]


def from_binary(name: str, content: bytes, keys: tuple[str, ...]) -> Batch:
    """Read a binary batch.

    Args:
        name: for messages.
        content: records of `len(keys)` label bytes, named in their order, and 3,072 pixel bytes.

    Raises:
        ValueError: if the size is not a whole number of records.
    """
    record = len(keys) + PIXELS
    if not content or len(content) % record:
        raise ValueError(f"{name} is truncated or of another kind: {len(content):,} bytes are not records of {record}")
    rows = np.frombuffer(content, np.uint8).reshape(-1, record)
    return Batch(rows[:, len(keys) :], {key: rows[:, i].astype(np.int64) for i, key in enumerate(keys)})


def from_pickle(name: str, content: bytes, keys: Mapping[str, str]) -> Batch:
    """Read a pickled batch.

    Args:
        keys: our name of a label to the batch's (`label` to `fine_labels`).

    Raises:
        ValueError: if it is cut short, holds anything but plain data, or is not a batch.
    """
    fields = unpickle(name, content)
    data = fields.get("data") if isinstance(fields, dict) else None
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != PIXELS:
        raise ValueError(f"{name} is not a CIFAR batch: it has no `data` of (N, {PIXELS}) uint8")
    labels = {}
    for key, theirs in keys.items():
        values = np.asarray(fields.get(theirs, []))
        if values.shape != (len(data),) or not np.issubdtype(values.dtype, np.integer):
            raise ValueError(f"{name} is not a batch of this data set: `{theirs}` is not {len(data):,} whole numbers")
        labels[key] = values.astype(np.int64)
    return Batch(data, labels)


def text(value: Any) -> Any:
    """Text as text: Python 2 pickled it as bytes."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def unpickle(name: str, content: bytes) -> Any:
    """Plain data out of a pickle; nothing in it can run.

    Raises:
        ValueError: if it holds anything but arrays, bytes, text, lists, dicts and numbers, or is cut short.
    """
    try:
        found = _Plain(io.BytesIO(content), encoding="bytes").load()
    except Exception as error:  # a hostile stream can raise nearly anything
        raise ValueError(f"{name} cannot be read as a pickled batch: {error}") from None
    if isinstance(found, dict):
        return {text(key): value.array if isinstance(value, _Array) else value for key, value in found.items()}
    return found


class _Plain(pickle.Unpickler):
    """Builds stand-ins for arrays: no constructor or `__setstate__` of numpy meets what the stream says."""

    def find_class(self, module: str, name: str) -> Any:
        module = module.replace("numpy._core", "numpy.core")
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, and only plain arrays and numbers are allowed")
        return _ALLOWED[module, name]


class _Kind:
    """A number type: `u1`, `<i8`."""

    def __init__(self, code: Any, *_: Any) -> None:
        if not re.fullmatch(r"[<>|=]?[biufSU]\d+", str(text(code))):
            raise pickle.UnpicklingError(f"it asks for an array of {text(code)!r}, not of numbers")
        self.dtype = np.dtype(text(code))

    def __setstate__(self, state: Any) -> None:
        order = text(state[1])
        if order in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(order)


class _Array:
    """An array being read: empty until its state (version, shape, type, in Fortran order, bytes) comes."""

    array: Array

    def __init__(self, *_: Any) -> None:
        self.array = np.empty(0, np.uint8)

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, fortran, content = state
        self.array = np.frombuffer(content, kind.dtype).reshape(shape, order="F" if fortran else "C")


def _from_buffer(content: Any, kind: _Kind, shape: Any, order: Any) -> Array:
    return np.frombuffer(content, kind.dtype).reshape(shape, order=order)


def _scalar(kind: _Kind, content: Any) -> Any:
    return np.frombuffer(content, kind.dtype)[0].item()


def _encode(value: str, encoding: str) -> bytes:
    """How Python 3 pickles bytes for Python 2."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it asks for text in {encoding!r}")
    return value.encode("latin1")


_ALLOWED: Mapping[tuple[str, str], Any] = {
    ("numpy", "ndarray"): None,
    ("numpy", "dtype"): _Kind,
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
    ("_codecs", "encode"): _encode,
}
"""Arrays were pickled as "make an empty ndarray, then set its state", under the module names of their time."""


def png(planes: Array) -> bytes:
    """A 32x32 RGB image, (3072,) uint8 in planes, as an uncompressed PNG of `PNG_BYTES` bytes."""
    pixels = planes.reshape(3, SIDE, SIDE).transpose(1, 2, 0).reshape(SIDE, 3 * SIDE)
    # Each line begins with its filter, 0: none.
    lines = np.pad(pixels, ((0, 0), (1, 0))).tobytes()
    stored = struct.pack("<BHH", 1, len(lines), len(lines) ^ 0xFFFF) + lines
    body = b"\x78\x01" + stored + struct.pack(">I", zlib.adler32(lines))
    head = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", body) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
