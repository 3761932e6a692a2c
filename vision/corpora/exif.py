"""The few EXIF tags that say where, when and by whom a photo was taken, as they stand in the file.

Read without a decoder, tag by tag and within bounds: only those asked for are looked at, so that a hostile directory
costs nothing, and rationals stay pairs of integers, so that 0/0 is seen for what it is.

Reference: Exif 2.32; TIFF 6.0.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from vision import headers

Value = str | bytes | tuple[float | tuple[int, int], ...]
"""Text as bytes; numbers as they are; rationals as (numerator, denominator)."""

HEAD = 1 << 18
"""Bytes of a file that nearly always hold a JPEG's EXIF block, which comes first and has at most 64 KiB."""

_GPS, _DETAILS = 0x8825, 0x8769
_TAKEN, _DIGITISED, _CHANGED, _ARTIST = 0x9003, 0x9004, 0x0132, 0x013B
_LATITUDE_REF, _LATITUDE, _LONGITUDE_REF, _LONGITUDE = 1, 2, 3, 4

_FORMATS = {3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d"}
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
_MOST = {True: 4096, False: 16}  # characters of a text, numbers of a tag
_STANDALONE = frozenset((0x01, *range(0xD0, 0xD8)))


@dataclass(frozen=True)
class Tags:
    """What a photo says of itself; None or empty where it does not.

    Attributes:
        position: GPS tags by number: 1 and 3 the references, 2 and 4 latitude and longitude.
        taken: when, as a camera writes it: `2008:10:22 16:28:39`.
        author: by whom.
    """

    position: Mapping[int, Value] = field(default_factory=dict)
    taken: Value | None = None
    author: Value | None = None

    @property
    def latitude(self) -> tuple[Value | None, Value | None]:
        """Value and reference."""
        return self.position.get(_LATITUDE), self.position.get(_LATITUDE_REF)

    @property
    def longitude(self) -> tuple[Value | None, Value | None]:
        """Value and reference."""
        return self.position.get(_LONGITUDE), self.position.get(_LONGITUDE_REF)


def is_enough(head: bytes) -> bool:
    """Whether the beginning of a file tells all that `read` would find in the whole of it."""
    return headers.kind(head) == "JPEG" and (bool(_in_jpeg(head)) or _pictures_begin(head))


def _pictures_begin(head: bytes) -> bool:
    """Whether a JPEG's segments end inside `head`."""
    return any(marker in (0xDA, 0xD9) for marker, _ in _segments(head))


def read(data: bytes) -> Tags:
    """The tags of an image file, or of a bare EXIF block; none where there are none or they make no sense."""
    block = _block(data)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None or len(block) < 8:
        return Tags()
    (start,) = struct.unpack_from(f"{order}I", block, 4)
    main = _directory(block, order, start, (_GPS, _DETAILS, _CHANGED, _ARTIST))
    gps = _pointed(block, order, main.get(_GPS), (_LATITUDE_REF, _LATITUDE, _LONGITUDE_REF, _LONGITUDE))
    details = _pointed(block, order, main.get(_DETAILS), (_TAKEN, _DIGITISED))
    taken = details.get(_TAKEN) or details.get(_DIGITISED) or main.get(_CHANGED)
    return Tags(gps, taken, main.get(_ARTIST))


def _block(data: bytes) -> bytes:
    """The TIFF structure that holds the tags; empty if there is none."""
    kind = headers.kind(data)
    if kind == "TIFF":
        return data
    if kind == "JPEG":
        return _in_jpeg(data)
    if kind == "PNG":
        return _in_chunks(data, 8, ">", b"eXIf")
    if kind == "WEBP":
        return _in_chunks(data, 12, "<", b"EXIF")
    # In HEIF and AVIF an item of this signature; a bare block begins with it.
    places = [data.find(b"Exif\0\0" + magic) for magic in (b"II*\0", b"MM\0*")]
    found = [place for place in places if place >= 0]
    return data[min(found) + 6 :] if found else b""


def _segments(data: bytes) -> list[tuple[int, bytes]]:
    """(marker, content) of a JPEG's segments up to its pictures, as far as they are whole."""
    place, found = 2, list[tuple[int, bytes]]()
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF or marker in _STANDALONE:  # filling, or a marker of its own
            place += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(data[place + 2 : place + 4])
        if marker in (0xDA, 0xD9):
            return [*found, (marker, b"")]
        content = data[place + 4 : place + 2 + length]
        if len(content) < length - 2:
            break
        found.append((marker, content))
        place += 2 + max(length, 2)
    return found


def _in_jpeg(data: bytes) -> bytes:
    return next((c[6:] for marker, c in _segments(data) if marker == 0xE1 and c[:6] == b"Exif\0\0"), b"")


def _in_chunks(data: bytes, start: int, order: str, wanted: bytes) -> bytes:
    """The content of a chunk of a PNG (length, name, content, checksum) or a WebP (name, length, content, padding)."""
    place = start
    while place + 8 <= len(data):
        name = data[place + 4 : place + 8] if order == ">" else data[place : place + 4]
        (length,) = struct.unpack_from(f"{order}I", data, place if order == ">" else place + 4)
        if name == wanted:
            return data[place + 8 : place + 8 + length].removeprefix(b"Exif\0\0")
        place += 12 + length if order == ">" else 8 + length + length % 2
    return b""


def _pointed(block: bytes, order: str, pointer: Value | None, wanted: tuple[int, ...]) -> dict[int, Value]:
    place = pointer[0] if isinstance(pointer, tuple) and pointer else None
    return _directory(block, order, place, wanted) if isinstance(place, int) else {}


def _directory(block: bytes, order: str, start: int, wanted: tuple[int, ...]) -> dict[int, Value]:
    """The wanted tags of a directory."""
    if start + 2 > len(block):
        return {}
    (entries,) = struct.unpack_from(f"{order}H", block, start)
    found: dict[int, Value] = {}
    for place in range(start + 2, min(start + 2 + 12 * entries, len(block) - 11), 12):
        tag, kind, count = struct.unpack_from(f"{order}HHI", block, place)
        if tag in wanted and tag not in found and kind in _SIZES:
            value = _value(block, order, place + 8, kind, count)
            if value is not None:
                found[tag] = value
    return found


def _value(block: bytes, order: str, place: int, kind: int, count: int) -> Value | None:
    """A tag's value; None if it is absurdly long or lies outside the block."""
    size = _SIZES[kind] * count
    if count > _MOST[kind in (1, 2, 7)]:
        return None
    if size > 4:
        (place,) = struct.unpack_from(f"{order}I", block, place)
    raw = block[place : place + size]
    if len(raw) < size:
        return None
    if kind in (1, 2, 7):
        return raw
    if kind in (5, 10):
        numbers = struct.unpack(f"{order}{2 * count}{'I' if kind == 5 else 'i'}", raw)
        return tuple(zip(numbers[::2], numbers[1::2], strict=True))
    return struct.unpack(f"{order}{count}{_FORMATS[kind]}", raw)
