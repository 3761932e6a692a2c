"""One image file of each kind that collections hold by mistake or malice, and of each that is odd but fine.

Everything is made here, from fixed seeds. `broken()` gives bytes that must be refused, with a word that the reason
must contain; `odd()` gives bytes that must be read, with the pixels they hold.
"""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, PngImagePlugin

Array = npt.NDArray[Any]


class Broken(NamedTuple):
    """A file to refuse, and a word of the reason."""

    data: bytes
    word: str


class Odd(NamedTuple):
    """A file to read: its pixels (H, W, 3), and by how many levels a lossy format may miss them on average."""

    data: bytes
    pixels: Array
    tolerance: float = 0.0


def photo(height: int = 48, width: int = 64, seed: int = 0) -> Array:
    """(height, width, 3) uint8: a smooth picture that differs in every corner and channel, with a little grain."""
    y, x = np.mgrid[0:height, 0:width]
    waves = np.stack([x / width, y / height, (x + y) / (height + width)], axis=-1)
    grain = np.random.default_rng(seed).normal(0, 3, (height, width, 3))
    return np.clip(40 + 170 * waves + grain, 0, 255).astype(np.uint8)


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    """A chunk of a PNG, with its checksum."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int, height: int, depth: int, colour: int, rows: bytes, extra: bytes = b"") -> bytes:
    """A PNG from raw rows, each with its filter byte."""
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", head) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def png_16(values: Array) -> bytes:
    """A PNG of 16 bits a channel: values (H, W, C) uint16, C = 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA."""
    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return png(width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], rows)


def bomb(side: int = 20000, channels: int = 3) -> bytes:
    """A PNG of side x side zeros (side a multiple of 1000) that is whole and small, made without its pixels.

    Deflated blocks that end in a full flush can be repeated; the checksum of n zeros is known.
    """
    row = 1 + side * channels
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    thousand = b"".join(packer.compress(bytes(row * 100)) for _ in range(10)) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = struct.pack(">I", (row * side % 65521) << 16 | 1)
    packed = b"\x78\x9c" + thousand * (side // 1000) + b"\x03\x00" + checksum
    head = struct.pack(">IIBBBBB", side, side, 8, {1: 0, 3: 2, 4: 6}[channels], 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@cache
def broken() -> dict[str, Broken]:
    """The kinds that must be refused."""
    image = Image.fromarray(photo())
    jpeg, whole = encode(image, "JPEG"), encode(image, "PNG")
    gif, webp = encode(image, "GIF"), encode(image, "WEBP", lossless=True)
    bmp, tiff = encode(image, "BMP"), encode(image, "TIFF")
    data = whole.index(b"IDAT")
    spoilt = whole[: data + 40] + bytes(b ^ 0xFF for b in whole[data + 40 : data + 80]) + whole[data + 80 :]
    pixel = b"\0\1\2\3"
    return {
        "truncated.jpg": Broken(jpeg[: len(jpeg) // 2], "cut short"),
        "truncated.png": Broken(whole[: len(whole) // 2], "cut short"),
        "truncated.gif": Broken(gif[: len(gif) // 2], "cut short"),
        "truncated.webp": Broken(webp[: len(webp) // 2], "damaged WEBP"),
        "truncated.tif": Broken(tiff[: len(tiff) // 2], "damaged TIFF"),
        "truncated.bmp": Broken(bmp[: len(bmp) // 2], "cut short"),
        "zero.jpg": Broken(b"", "empty"),
        "zeros.jpg": Broken(bytes(5000), "zeros"),
        "page.jpg": Broken(b"<!DOCTYPE html>\n<html><body>404 Not Found</body></html>", "HTML"),
        "drawing.png": Broken(b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        "header.jpg": Broken(jpeg[: jpeg.index(b"\xff\xda") + 14], "cut short"),
        "start.jpg": Broken(jpeg[:20], "damaged JPEG"),
        "bomb.png": Broken(bomb(), "20000x20000"),
        "bomb.gif": Broken(gif[:6] + struct.pack("<HH", 65535, 65535) + gif[10:], "65535x65535"),
        "bomb.webp": Broken(_webp_canvas(16383, 16383), "16383x16383"),
        "bomb.tif": Broken(_tiff_head(60000, 60000), "60000x60000"),
        "text.png": Broken(png(1, 1, 8, 2, pixel, _text_bomb()), "damaged PNG"),
        "profile.png": Broken(png(1, 1, 8, 2, pixel, _profile_bomb()), "damaged PNG"),
        "random.jpg": Broken(np.random.default_rng(1).bytes(4096), "not in a known image format"),
        "random_after_signature.jpg": Broken(jpeg[:4] + np.random.default_rng(2).bytes(4096), "damaged JPEG"),
        "damaged.png": Broken(spoilt, "damaged PNG"),
        "empty.bmp": Broken(bmp[:18] + bytes(8) + bmp[26:], "damaged BMP"),
        "empty.png": Broken(png(0, 0, 8, 2, b""), "damaged PNG"),
        "archive.jpg": Broken(b"PK\x03\x04" + bytes(range(200)), "ZIP"),
    }


def _text_bomb() -> bytes:
    return chunk(b"zTXt", b"comment\0\0" + zlib.compress(bytes(200_000_000), 9))


def _profile_bomb() -> bytes:
    return chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(200_000_000), 9))


def _webp_canvas(width: int, height: int) -> bytes:
    """The head of an animated WebP, whose canvas the decoder would claim memory for."""
    body = b"\x02\0\0\0" + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    chunks = b"VP8X" + struct.pack("<I", 10) + body + b"ANIM" + struct.pack("<IIH", 6, 0, 0)
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


def _tiff_head(width: int, height: int) -> bytes:
    """A TIFF of one strip that says it is large, over few bytes."""
    tags = [
        (256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 1), (262, 3, 1),
        (273, 4, 200), (277, 3, 1), (278, 4, height), (279, 4, 100),
    ]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + bytes(400)


@cache
def odd() -> dict[str, Odd]:
    """The kinds that must be read, and the pixels that must come out."""
    pixels = photo()
    image, second = Image.fromarray(pixels), Image.fromarray(255 - pixels)
    grey = pixels[..., :1]
    grey_3 = np.repeat(grey, 3, axis=2)
    pages = {"save_all": True, "append_images": [second]}
    flat = image.quantize(32)
    flat_pixels = np.asarray(flat.convert("RGB"))
    alpha = np.linspace(0, 255, grey.size).astype(np.uint8).reshape(grey.shape)
    bilevel = Image.fromarray(grey[..., 0]).convert("1")
    return {
        "cmyk.jpg": Odd(encode(image.convert("CMYK"), "JPEG", quality=95), pixels, 4.0),
        "cmyk.tif": Odd(encode(image.convert("CMYK"), "TIFF"), pixels),
        "progressive.jpg": Odd(encode(image, "JPEG", quality=95, progressive=True), pixels, 4.0),
        "grey.jpg": Odd(encode(Image.fromarray(grey[..., 0]), "JPEG", quality=95), grey_3, 3.0),
        "png_named.jpg": Odd(encode(image, "PNG"), pixels),
        "palette.png": Odd(encode(flat, "PNG"), flat_pixels),
        "palette_transparent.png": Odd(encode(flat, "PNG", transparency=bytes([0, 128, 255])), flat_pixels),
        "la.png": Odd(encode(Image.fromarray(np.dstack([grey, alpha]), "LA"), "PNG"), grey_3),
        "rgba.png": Odd(encode(Image.fromarray(np.dstack([pixels, alpha])), "PNG"), pixels),
        "bilevel.png": Odd(encode(bilevel, "PNG"), np.asarray(bilevel.convert("RGB"))),
        **_deep(pixels, alpha),
        "animated.gif": Odd(encode(flat, "GIF", **pages), flat_pixels),
        "animated.webp": Odd(encode(image, "WEBP", lossless=True, **pages), pixels),
        "animated.png": Odd(encode(image, "PNG", **pages), pixels),
        "pages.tif": Odd(encode(image, "TIFF", **pages), pixels),
        "packed.tif": Odd(encode(image, "TIFF", compression="tiff_lzw"), pixels),
        "bitmap.bmp": Odd(encode(image, "BMP"), pixels),
        "portable.ppm": Odd(encode(image, "PPM"), pixels),
        "lossless.jp2": Odd(encode(image, "JPEG2000"), pixels),
        "one_pixel.png": Odd(encode(image.crop((0, 0, 1, 1)), "PNG"), pixels[:1, :1]),
        **{f"turned_{turn}.jpg": _turned(pixels, turn) for turn in range(1, 9)},
        "spoilt_exif.jpg": Odd(encode(image, "JPEG", quality=95, exif=b"Exif\0\0MM\0*\xff" + bytes(9)), pixels, 4.0),
        "turned_6.png": Odd(encode(Image.fromarray(_stored(pixels, 6)), "PNG", exif=_exif(6)), pixels),
        "turned_6.webp": Odd(encode(Image.fromarray(_stored(pixels, 6)), "WEBP", lossless=True, exif=_exif(6)), pixels),
        "turned_6.tif": Odd(encode(Image.fromarray(_stored(pixels, 6)), "TIFF", exif=_exif(6)), pixels),
    }


def _deep(pixels: Array, alpha: Array) -> dict[str, Odd]:
    """More than 8 bits a channel. Every value lies away from a multiple of 257, to show how it is rounded."""
    low = np.random.default_rng(3).integers(-128, 129, pixels.shape)
    values = np.clip(pixels.astype(int) * 257 + low, 0, 65535).astype(np.uint16)
    grey, grey_3 = values[..., :1], np.repeat(pixels[..., :1], 3, axis=2)
    deep_alpha = alpha.astype(np.uint16) * 257
    floats = Image.fromarray(pixels[..., 0].astype(np.float32) / 255)
    integers = Image.fromarray(grey[..., 0].astype(np.int32))
    return {
        "grey_16.png": Odd(png_16(grey), grey_3),
        "grey_alpha_16.png": Odd(png_16(np.dstack([grey, deep_alpha])), grey_3),
        "rgb_16.png": Odd(png_16(values), pixels),
        "rgba_16.png": Odd(png_16(np.dstack([values, deep_alpha])), pixels),
        "grey_16.ppm": Odd(b"P5 64 48 65535\n" + grey.astype(">u2").tobytes(), grey_3),
        "grey_16.tif": Odd(encode(Image.fromarray(grey[..., 0]), "TIFF"), grey_3),
        "rgb_16_little.tif": Odd(tiff_16(values, "<"), pixels),
        "rgb_16_big.tif": Odd(tiff_16(values, ">"), pixels),
        "float_32.tif": Odd(encode(floats, "TIFF"), grey_3),
        "integer_32.tif": Odd(encode(integers, "TIFF"), grey_3),
    }


def tiff_16(values: Array, order: str) -> bytes:
    """An uncompressed TIFF of 16-bit RGB in either byte order."""
    height, width, _ = values.shape
    tags = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 3, 122), (259, 3, 1, 1), (262, 3, 1, 2),
        (273, 4, 1, 128), (277, 3, 1, 3), (278, 4, 1, height), (279, 4, 1, values.nbytes),
    ]  # fmt: skip
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(tags))
    for tag, kind, count, value in tags:
        small = kind == 3 and count == 1
        packed = struct.pack(f"{order}HH", value, 0) if small else struct.pack(f"{order}I", value)
        head += struct.pack(f"{order}HHI", tag, kind, count) + packed
    depths = struct.pack(f"{order}HHH", 16, 16, 16)
    return head + bytes(4) + depths + values.astype(f"{order}u2").tobytes()


_UNTURN = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: a[:, ::-1].transpose(1, 0, 2),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: a.transpose(1, 0, 2)[:, ::-1],
}


def _stored(upright: Array, turn: int) -> Array:
    """How a camera held at EXIF orientation `turn` stores a picture that is `upright` to the eye."""
    return np.ascontiguousarray(_UNTURN[turn](upright))


def _exif(turn: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = turn
    return exif.tobytes()


def _turned(pixels: Array, turn: int) -> Odd:
    return Odd(encode(Image.fromarray(_stored(pixels, turn)), "JPEG", quality=95, exif=_exif(turn)), pixels, 4.0)


def late_exif(turn: int) -> Odd:
    """A PNG whose EXIF chunk comes after its pixels."""
    pixels = photo()
    whole = encode(Image.fromarray(_stored(pixels, turn)), "PNG")
    exif = chunk(b"eXIf", _exif(turn).removeprefix(b"Exif\0\0"))
    return Odd(whole[:-12] + exif + whole[-12:], pixels)


def exif_bomb() -> bytes:
    """A PNG whose EXIF has 65535 tags that all claim the same megabytes."""
    size = 4_000_000
    entries = b"".join(struct.pack("<HHII", 0x8000 + i % 0x7FFF, 7, size, 8) for i in range(65535))
    exif = b"II*\0" + struct.pack("<IH", 8, 65535) + entries + bytes(4) + bytes(size)
    text = PngImagePlugin.PngInfo()
    text.add(b"eXIf", exif)
    return encode(Image.fromarray(photo()), "PNG", pnginfo=text)
