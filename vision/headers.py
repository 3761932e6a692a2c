"""What the first bytes of a file say, read without any decoder: its format, a WebP's size, how a
JPEG is coded, an EXIF orientation.

A file's name is never looked at. Only formats with a signature are known: one that any bytes might be (TGA) would
turn rubbish into pixels, and one that carries a program (EPS) or drawing commands (WMF, SVG) is not a photograph.
"""

from __future__ import annotations

import struct

_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
    (b"BM", "BMP"),
)
_PORTABLE = (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"Pf")
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")

_OTHERS = (
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x80\x04\x95", "a pickle"),
    (b"version https://git-lfs", "a pointer of Git LFS"),
)

_ORIENTATION = 0x0112

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SEGMENTS = frozenset((0xC4, 0xDB, 0xDD, 0xFE, *range(0xE0, 0xF0)))  # tables, restarts, comments, applications


def kind(data: bytes) -> str | None:
    """The format that the first bytes declare, by Pillow's name, or None: `JPEG`, `PNG`, `TIFF`, `HEIF`, ..."""
    for signature, name in _SIGNATURES:
        if data.startswith(signature):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        return _boxed_kind(data)
    if data[:2] in _PORTABLE and data[2:3].isspace():
        return "PPM"
    return None


def _boxed_kind(data: bytes) -> str | None:
    """AVIF or HEIF, by the brands in the file type box."""
    (size,) = struct.unpack(">I", data[:4])
    brands = data[8 : min(size, 256)]
    if b"avif" in brands or b"avis" in brands:
        return "AVIF"
    return "HEIF" if any(brand in brands for brand in _HEIF_BRANDS) else None


def complaint(data: bytes) -> str:
    """In a few words, what a file is whose first bytes are no image's."""
    if not data:
        return "the file is empty"
    if not data[:4096].strip(b"\0"):
        return "not an image: it starts with zeros only"
    text = data[:256].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "not an image but a web page (HTML)"
    if b"<svg" in data[:1024].lower():
        return "not an image of pixels but a drawing (SVG)"
    for signature, name in _OTHERS:
        if data.startswith(signature):
            return f"not an image but {name}"
    return f"not in a known image format (it starts with the bytes {data[:4].hex(' ')})"


def webp_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) of a WebP's canvas, from its first 30 bytes; None if they do not say."""
    chunk = data[12:16]
    if len(data) < 30:
        return None
    if chunk == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if chunk == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if chunk == b"VP8 ":
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return None


def jpeg_frame(data: bytes) -> tuple[int, int] | None:
    """How a JPEG is coded, or None if its header is unusual.

    Usual is one frame, and whole segments from the first byte to the first scan with nothing between them.

    Returns:
        The marker of its frame (0xC0 baseline, 0xC1 extended, 0xC2 progressive, ...), and how many colours the first
        scan holds.
    """
    place, frame, last = 2, None, len(data) - 5
    while place <= last and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xDA:
            return None if frame is None else (frame, data[place + 4])
        if marker in _FRAMES:
            if frame is not None:
                return None
            frame = marker
        elif marker not in _SEGMENTS:
            return None
        place += 2 + (data[place + 2] << 8 | data[place + 3])
    return None


def orientation(exif: object) -> int:
    """The EXIF orientation, 1 (upright) to 8; 1 where there is none or it makes no sense.

    Only the first directory is read, entry by entry: a hostile one can make a full parser build every tag it lists.

    Reference: Exif 2.32, tag 0x0112.
    """
    if not isinstance(exif, bytes):
        return 1
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 10:
        return 1
    (start,) = struct.unpack_from(f"{order}I", tiff, 4)
    if start + 2 > len(tiff):
        return 1
    (entries,) = struct.unpack_from(f"{order}H", tiff, start)
    for place in range(start + 2, min(start + 2 + 12 * entries, len(tiff) - 11), 12):
        tag, kind_of_value, count, value = struct.unpack_from(f"{order}HHIH", tiff, place)
        if tag == _ORIENTATION:
            return value if kind_of_value == 3 and count == 1 and 1 <= value <= 8 else 1
    return 1
