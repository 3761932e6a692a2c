"""Contact sheets and thumbnails: pictures where they belong, and broken ones as grey tiles with words."""

from __future__ import annotations

import io
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from vision.sheet import TILE, contact_sheet, thumbnail


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_thumbnail_keeps_proportions_and_never_enlarges(hostile: ModuleType) -> None:
    large = hostile.encode(Image.fromarray(hostile.photo(300, 600)), "JPEG")
    assert opened(thumbnail(large)).size == (160, 80)
    assert opened(thumbnail(large, 50)).size == (50, 25)
    assert opened(thumbnail(large)).format == "JPEG"
    assert opened(thumbnail(hostile.odd()["one_pixel.png"].data)).size == (1, 1)
    thin = hostile.encode(Image.fromarray(hostile.photo(2, 900)), "PNG")
    assert opened(thumbnail(thin)).size == (160, 1)


def test_thumbnail_looks_like_the_picture(hostile: ModuleType) -> None:
    photo = hostile.photo(320, 640)
    data = hostile.encode(Image.fromarray(photo), "JPEG", quality=95)
    found = np.asarray(opened(thumbnail(data))).astype(int)
    want = photo.reshape(80, 4, 160, 4, 3).mean(axis=(1, 3))
    assert np.abs(found - want).mean() < 3


def test_thumbnail_of_every_odd_and_broken_file(hostile: ModuleType) -> None:
    for name, odd in hostile.odd().items():
        assert opened(thumbnail(odd.data)).size == odd.pixels.shape[1::-1], name
    for name, broken in hostile.broken().items():
        tile = np.asarray(opened(thumbnail(broken.data)).convert("L"))
        assert tile.shape == (TILE, TILE), name
        assert abs(int(tile[-1, -1]) - 190) < 4, name
        assert (tile < 120).sum() > 50, f"{name} has no words on it"


def test_sheet_puts_pictures_in_rows(hostile: ModuleType) -> None:
    red, blue = np.zeros((2, 100, 100, 3), np.uint8)
    red[..., 0], blue[..., 2] = 255, 255
    items = [(red, "red"), (hostile.encode(Image.fromarray(blue), "PNG"), "blue"), (red, "again")]
    sheet = opened(contact_sheet(items, columns=2, side=100))
    assert sheet.format == "PNG"
    assert sheet.width == 8 + 2 * 108
    pixels = np.asarray(sheet.convert("RGB"))
    row = (sheet.height - 8) // 2
    assert tuple(pixels[58, 58]) == (255, 0, 0)
    assert tuple(pixels[58, 166]) == (0, 0, 255)
    assert tuple(pixels[58 + row, 58]) == (255, 0, 0)
    assert tuple(pixels[58 + row, 166]) == (255, 255, 255)
    assert (pixels[110:136, 8:108] < 100).any(), "no caption below the first picture"


def test_sheet_shows_broken_pictures_and_long_captions(hostile: ModuleType) -> None:
    broken = hostile.broken()["page.jpg"].data
    short = contact_sheet([(broken, "x")], columns=3)
    long = contact_sheet([(broken, "a caption of very many words " * 20 + "\n\u732b")], columns=3)
    assert opened(short).size == opened(long).size
    assert short == contact_sheet([(broken, "x")], columns=3), "the same pictures, another file"


def test_nothing_to_show_is_refused() -> None:
    with pytest.raises(ValueError, match="got 0 and 3"):
        contact_sheet([], columns=3)
    with pytest.raises(ValueError, match="got 1 and 0"):
        contact_sheet([(np.zeros((2, 2, 3), np.uint8), "")], columns=0)
    with pytest.raises(ValueError, match="uint8"):
        contact_sheet([(np.zeros((2, 2), np.float32), "")], columns=1)
