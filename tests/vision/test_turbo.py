"""JPEGs decoded in one call have Pillow's pixels and Pillow's verdict, whole or damaged."""

from __future__ import annotations

import contextlib
import io
import re
import time
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import simplejpeg
from PIL import Image, JpegImagePlugin

from tests import peaks
from vision import headers, image, resampling, turbo, views
from vision.image import CorruptImage, picture
from vision.preprocessing import Preprocessing

Array = npt.NDArray[Any]

SHAPES = [(48, 64), (37, 53), (129, 70), (8, 8), (1, 1), (17, 16), (2, 300)]
KINDS: list[dict[str, Any]] = [
    {"subsampling": 0}, {"subsampling": 1}, {"subsampling": 2}, {"progressive": True}, {"quality": 30},
    {"quality": 98, "progressive": True, "subsampling": 0}, {"restart_marker_blocks": 2}, {"optimize": True},
]  # fmt: skip


def fast(data: bytes, scale: int = 1) -> Image.Image | None:
    """By libjpeg-turbo in one call, if it is that path's to decode."""
    file = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
    return turbo.picture(file, data, file.size, scale)


def verdict(data: bytes, **options: Any) -> Array | str:
    try:
        return np.asarray(picture(data, **options))
    except CorruptImage as error:
        return str(error)


def both(monkeypatch: pytest.MonkeyPatch, data: bytes, **options: Any) -> tuple[Array | str, Array | str]:
    """The verdict as it is, and that of Pillow alone."""
    found = verdict(data, **options)
    with monkeypatch.context() as patched:
        patched.setattr(turbo, "picture", lambda *_: None)
        return found, verdict(data, **options)


def same(found: Array | str, want: Array | str) -> bool:
    return found == want if isinstance(found, str) or isinstance(want, str) else np.array_equal(found, want)


def jpegs(hostile: ModuleType) -> list[bytes]:
    """Every usual kind in every shape, and some that are not usual."""
    made = []
    for shape in SHAPES:
        photo = Image.fromarray(hostile.photo(*shape))
        made += [hostile.encode(photo, "JPEG", **kind) for kind in KINDS]
        made += [hostile.encode(photo.convert("L"), "JPEG", progressive=p) for p in (False, True)]
        made += [hostile.encode(photo.convert("CMYK"), "JPEG"), hostile.encode(photo, "JPEG", keep_rgb=True)]
        made.append(hostile.encode(photo, "JPEG", exif=hostile._exif(6)))
    return made


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_usual_jpegs_are_decoded_fast_to_pillows_pixels(
    hostile: ModuleType, shape: tuple[int, int], kind: dict[str, Any]
) -> None:
    for photo in (Image.fromarray(hostile.photo(*shape)), Image.fromarray(hostile.photo(*shape)).convert("L")):
        data = hostile.encode(photo, "JPEG", **kind)
        found = fast(data)
        assert found is not None
        assert found.mode == photo.mode
        assert np.array_equal(np.asarray(found), np.asarray(Image.open(io.BytesIO(data))))


def test_scaled_jpegs_have_the_pixels_of_pillows_draft(hostile: ModuleType) -> None:
    for kind in KINDS:
        data = hostile.encode(Image.fromarray(hostile.photo(160, 240)), "JPEG", **kind)
        for scale in (2, 4, 8):
            drafted = Image.open(io.BytesIO(data))
            drafted.draft(None, (240 // scale, 160 // scale))
            assert drafted.size == (240 // scale, 160 // scale)
            found = fast(data, scale)
            assert found is not None
            assert np.array_equal(np.asarray(found), np.asarray(drafted))


def test_every_hostile_and_odd_kind_is_judged_alike(hostile: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [file.data for file in (*hostile.broken().values(), *hostile.odd().values())] + jpegs(hostile)
    for data in files:
        found, want = both(monkeypatch, data)
        assert same(found, want), data[:40]


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """Bytes changed, lost, added, or the end cut off; as often in the header as after it."""
    file = bytearray(data)
    end = (data.index(b"\xff\xda") + 14, len(file))[rng.integers(2)]
    place, what = int(rng.integers(2, end)), rng.integers(6)
    if what == 0:
        del file[place:]
    elif what == 1:
        del file[place : place + int(rng.integers(1, 40))]
    elif what == 2:
        file[place:place] = rng.bytes(int(rng.integers(1, 20)))
    elif what == 3:
        file[place] ^= 1 << int(rng.integers(8))
    else:
        for _ in range(int(rng.integers(1, 5))):
            file[int(rng.integers(2, end))] = int(rng.choice([0, 1, 2, 17, 33, 34, 255, rng.integers(256)]))
    return bytes(file)


def test_damage_is_judged_as_by_pillow(hostile: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    rng, files, decoded = np.random.default_rng(0), jpegs(hostile), {True: 0, False: 0}
    real = turbo.picture

    def counted(*arguments: Any) -> Image.Image | None:
        found = real(*arguments)
        decoded[found is not None] += 1
        return found

    monkeypatch.setattr(turbo, "picture", counted)
    refused = 0
    for number in range(5000):
        data = damaged(files[number % len(files)], rng)
        found, want = both(monkeypatch, data, max_pixels=300_000)
        assert same(found, want), (number, found, want)
        refused += isinstance(found, str)
    assert decoded[True] > 500 and decoded[False] > 500 and refused > 500  # all three were tried


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:-2],  # no end marker
        lambda data: data[:2] + b"\xff" + data[2:],  # a marker padded
        lambda data: data.replace(b"\xff\xc0", b"\xff\xc9"),  # arithmetic codes
        lambda data: data.replace(b"\xff\xc0\x00\x11\x08", b"\xff\xc1\x00\x11\x0c"),  # 12 bits
        lambda data: data.replace(b"\x01\x22\x00", b"\x01\x41\x00"),  # 4:1:1
        lambda data: data.replace(b"\xff\xda", b"\xff\xe1\xff\xff"),
    ],
)
def test_what_is_unusual_is_left_to_pillow(hostile: ModuleType, change: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = hostile.encode(Image.fromarray(hostile.photo()), "JPEG", quality=90)
    data = change(whole)
    assert data != whole
    with contextlib.suppress(SyntaxError, OSError):  # Pillow reads headers first, and may refuse them
        assert fast(data) is None
    found, want = both(monkeypatch, data)
    assert same(found, want)


def test_cut_photographs_are_errors_not_grey_halves(hostile: ModuleType) -> None:
    for kind in KINDS:
        data = hostile.encode(Image.fromarray(hostile.photo(200, 300)), "JPEG", **kind)
        for share in (0.3, 0.6, 0.9):
            with pytest.raises(CorruptImage, match="cut short"):
                Preprocessing().load(data[: int(len(data) * share)])


def repeated_scans(hostile: ModuleType, scans: int) -> bytes:
    """A progressive JPEG of 3000x3000 whose last scan is there `scans` times."""
    flat = Image.fromarray(np.full((3000, 3000, 3), 90, np.uint8))
    data = hostile.encode(flat, "JPEG", progressive=True)
    last = [match.start() for match in re.finditer(b"\xff\xda", data)][-1]
    return bytes(data[:-2] + data[last:-2] * scans + data[-2:])


def test_repeated_scans_are_left_to_pillow_which_can_be_stopped(
    hostile: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fast(repeated_scans(hostile, 0)) is not None
    many = repeated_scans(hostile, 4000)
    monkeypatch.setattr(simplejpeg, "decode_jpeg", lambda *_, **__: pytest.fail("decoded in one call"))
    started = time.monotonic()
    with pytest.raises(CorruptImage, match=r"longer than 0\.2 s"), image.time_limit_s(0.2):
        picture(many)
    assert time.monotonic() - started < 10


def test_sizes_are_checked_before_anything_is_decoded(hostile: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turbo, "picture", lambda *_: pytest.fail("decoded"))
    data = hostile.encode(Image.fromarray(hostile.photo()), "JPEG")
    with pytest.raises(CorruptImage, match="64x48 pixels, more than the 3000 allowed"):
        picture(data, max_pixels=3000)
    start = data.index(b"\xff\xc0") + 5
    bomb = data[:start] + b"\xff\xff\xff\xff" + data[start + 4 :]
    with pytest.raises(CorruptImage, match="65535x65535"):
        picture(bomb)


@peaks.told
@pytest.mark.parametrize(
    ("progressive", "says", "limit_mb"), [(False, "(224, 224, 3)", 450), (True, "MB to decode", 20)]
)
def test_peak_memory(hostile: ModuleType, progressive: bool, says: str, limit_mb: int) -> None:
    flat = Image.new("RGB", (9000, 9000), (90, 120, 30))
    data = hostile.encode(flat, "JPEG", progressive=progressive)
    said, peak_mb = peaks.loaded(data, shrink=False)
    assert says in said
    assert peak_mb < limit_mb


def test_rows_are_seen_without_a_copy(hostile: ModuleType) -> None:
    for photo in (Image.fromarray(hostile.photo()), Image.fromarray(hostile.photo()).convert("L")):
        seen = views.rows(photo, 5, 20)
        assert seen is not None
        del photo  # the memory stays while it is seen
        assert seen.size == (64, 15)
        pixels = hostile.photo()[5:20]
        want = pixels if seen.mode == "RGB" else np.asarray(Image.fromarray(hostile.photo()).convert("L"))[5:20]
        assert np.array_equal(np.asarray(seen), want)


def test_pictures_in_several_pieces_of_memory_are_resized_in_one_call() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2400, 2500, 3), dtype=np.uint8)
    pieces = Image.fromarray(pixels)
    assert views.rows(pieces, 0, 10) is None
    whole = pieces.resize((267, 256), resampling.FILTERS["bilinear"])
    found = resampling.resample(pieces, (256, 267), resampling.Part(16, 22, 224, 224), "bilinear")
    assert np.array_equal(np.asarray(found), np.asarray(whole)[16:240, 22:246])


def test_header_tells_how_a_jpeg_is_coded(hostile: ModuleType) -> None:
    photo = Image.fromarray(hostile.photo())
    assert headers.jpeg_frame(hostile.encode(photo, "JPEG")) == (0xC0, 3)
    assert headers.jpeg_frame(hostile.encode(photo, "JPEG", progressive=True)) == (0xC2, 3)
    assert headers.jpeg_frame(hostile.encode(photo.convert("L"), "JPEG")) == (0xC0, 1)
    for data in (b"", b"\xff\xd8\xff", b"\xff\xd8" + b"\xff\xe0\0\0" * 3, b"\xff\xd8\xff\xda\0\x0c\3"):
        assert headers.jpeg_frame(data) is None


def test_the_decoders_version_names_what_makes_pixels() -> None:
    assert (
        image.decoder_version() == f"pillow-{version('pillow')} simplejpeg-{version('simplejpeg')} rule-{image._RULE}"
    )


def test_real_photographs_are_decoded_fast(shared_images: Path) -> None:
    files = sorted(p for p in (shared_images / "imagenet").rglob("*") if p.suffix.lower() in (".jpeg", ".jpg"))
    assert files
    slow = 0
    for file in files[::4]:
        data = file.read_bytes()
        found = fast(data)
        slow += found is None
        if found is not None:
            with Image.open(io.BytesIO(data)) as opened:
                assert np.array_equal(np.asarray(found.convert("RGB")), np.asarray(opened.convert("RGB"))), file.name
    assert slow <= len(files) // 40
