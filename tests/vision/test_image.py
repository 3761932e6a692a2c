"""Bytes to pixels: every odd file is read right, every broken one is refused with a reason, none costs memory."""

from __future__ import annotations

import io
import signal
import threading
import time
import warnings
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from tests import peaks
from vision import depth, faults, headers, image
from vision.image import CorruptImage, decode, facts, picture

BROKEN = (
    "truncated.jpg", "truncated.png", "truncated.gif", "truncated.webp", "truncated.tif", "truncated.bmp", "zero.jpg",
    "zeros.jpg", "page.jpg", "drawing.png", "header.jpg", "start.jpg", "bomb.png", "bomb.gif", "bomb.webp", "bomb.tif",
    "text.png", "profile.png", "random.jpg", "random_after_signature.jpg", "damaged.png", "empty.bmp", "empty.png",
    "archive.jpg",
)  # fmt: skip


def test_every_broken_kind_is_tested(hostile: ModuleType) -> None:
    assert set(hostile.broken()) == set(BROKEN)


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_refused_with_a_reason(hostile: ModuleType, name: str) -> None:
    data, word = hostile.broken()[name]
    with pytest.raises(CorruptImage) as caught:
        decode(data)
    reason = str(caught.value)
    assert word in reason
    assert len(reason) < 160 and "\n" not in reason and " at 0x" not in reason and "PIL" not in reason


def test_odd_files_are_read(hostile: ModuleType) -> None:
    odd = hostile.odd()
    assert len(odd) > 35
    for name, (data, pixels, tolerance) in odd.items():
        found = decode(data)
        assert found.dtype == np.uint8 and found.shape == pixels.shape, name
        assert np.abs(found.astype(int) - pixels).mean() <= tolerance, name
        seen = facts(data)
        assert (seen.height, seen.width) == found.shape[:2], name


def test_pixels_are_those_of_convert_where_pillow_is_right(hostile: ModuleType) -> None:
    for name, (data, _, _) in hostile.odd().items():
        if "16" in name or "32" in name:
            continue
        with Image.open(io.BytesIO(data)) as file:
            want = np.asarray(ImageOps.exif_transpose(file).convert("RGB"))
        assert np.array_equal(decode(data), want), name


def test_header_facts(hostile: ModuleType) -> None:
    odd = hostile.odd()
    assert facts(odd["turned_6.jpg"].data) == image.Facts("JPEG", 64, 48, "RGB", 1, 6)
    assert facts(odd["png_named.jpg"].data).format == "PNG"
    assert [facts(odd[name].data).frames for name in ("animated.gif", "animated.webp", "pages.tif")] == [2, 2, 2]
    with pytest.raises(CorruptImage, match="HTML"):
        facts(hostile.broken()["page.jpg"].data)


def test_orientation_after_the_pixels(hostile: ModuleType) -> None:
    late = hostile.late_exif(6)
    assert np.array_equal(decode(late.data), late.pixels)


def test_exif_with_many_tags_on_the_same_megabytes_is_not_built(hostile: ModuleType) -> None:
    assert np.array_equal(decode(hostile.exif_bomb()), hostile.photo())


@pytest.mark.parametrize("exif", [None, b"", b"Exif\0\0", b"II*\0\xff\xff\xff\xff\0\0", b"MM\0*\0\0\0\x08\xff\xff\x01"])
def test_senseless_exif_means_upright(exif: bytes | None) -> None:
    assert headers.orientation(exif) == 1


def test_sixteen_bits_are_rounded_to_the_nearest() -> None:
    values = np.arange(65536, dtype=np.uint16)
    assert np.array_equal(depth.nearest(values), np.rint(values / 257).astype(np.uint8))


def test_numbers_without_a_scale_are_refused(hostile: ModuleType) -> None:
    for values in (
        np.full((4, 4), 1e6, np.float32),
        np.full((4, 4), np.nan, np.float32),
        np.full((4, 4), -3, np.int32),
    ):
        with pytest.raises(CorruptImage, match="no known scale"):
            decode(hostile.encode(Image.fromarray(values), "TIFF"))


def test_heic_names_what_reads_it() -> None:
    data = b"\0\0\0\x1cftypheic\0\0\0\0mif1heicmiaf" + bytes(100)
    with pytest.raises(CorruptImage, match=r"pillow-heif|HEIF"):
        decode(data)


def test_limits_are_told(hostile: ModuleType) -> None:
    data = hostile.odd()["png_named.jpg"].data
    with pytest.raises(CorruptImage, match="64x48 pixels, more than the 3071 allowed"):
        decode(data, max_pixels=3071)
    assert decode(data, max_pixels=3072).shape == (48, 64, 3)
    # As many pixels as allowed, but WebP's decoder holds more beside them than they take.
    with pytest.raises(CorruptImage, match="needs 0 MB to decode"):
        decode(hostile.odd()["animated.webp"].data, max_pixels=3072)


def test_a_column_of_pixels_is_refused_for_its_rows(hostile: ModuleType) -> None:
    column = hostile.png(1, 60_000_000, 8, 0, b"")
    with pytest.raises(CorruptImage, match="1x60000000 pixels, which needs 1020 MB"):
        decode(column)


def test_grey_stays_one_channel_until_the_end(hostile: ModuleType) -> None:
    assert picture(hostile.odd()["grey.jpg"].data).mode == "L"
    assert picture(hostile.odd()["rgba.png"].data).mode == "RGB"


def test_large_arrays_are_filled_in_strips() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2100, 2050, 3), dtype=np.uint8)
    assert np.array_equal(image.array(Image.fromarray(pixels)), pixels)


def test_shrinking_in_the_decoder_leaves_enough_to_resize(hostile: ModuleType) -> None:
    photo = Image.fromarray(hostile.photo(1280, 1600))
    data = hostile.encode(photo, "JPEG", quality=90)
    assert decode(data, shrink_to=(106, 80)).shape == (320, 400, 3)  # by 4: three times what is wanted
    assert decode(data, shrink_to=(107, 80)).shape == (640, 800, 3)
    assert decode(data, shrink_to=(214, 80)).shape == (1280, 1600, 3)
    assert decode(data, shrink_to=(63, 63)).shape == (1280, 1600, 3)  # too small to stay close to exact
    turned = hostile.encode(photo, "JPEG", quality=90, exif=hostile._exif(6))
    assert decode(turned, shrink_to=(266, 128)).shape == (800, 640, 3)
    uneven = hostile.encode(photo.crop((0, 0, 1599, 1280)), "JPEG")
    assert decode(uneven, shrink_to=(64, 64)).shape == (1280, 1599, 3)  # 1599 is odd: no scale divides it


@peaks.told
@pytest.mark.parametrize(
    ("side", "channels", "says", "limit_mb"),
    [(9000, 3, "(224, 224, 3)", 450), (20000, 3, "20000x20000", 20), (9000, 4, "648 MB", 20)],
)
def test_peak_memory(hostile: ModuleType, side: int, channels: int, says: str, limit_mb: int) -> None:
    data = hostile.bomb(side, channels)
    said, peak_mb = peaks.loaded(data, shrink=True)
    assert says in said
    assert peak_mb < limit_mb


def test_pillow_says_nothing(hostile: ModuleType) -> None:
    names = ("palette_transparent.png", "spoilt_exif.jpg", "turned_6.tif")
    with warnings.catch_warnings(record=True) as said:
        for name in names:
            decode(hostile.odd()[name].data)
        with pytest.raises(CorruptImage):
            decode(hostile.broken()["truncated.tif"].data)
    assert not said


def test_time_limit_stops_a_slow_image(hostile: ModuleType) -> None:
    data = hostile.bomb(6000)
    started = time.monotonic()
    with pytest.raises(CorruptImage, match=r"longer than 0\.05 s"), image.time_limit_s(0.05):
        for _ in range(1000):
            picture(data)
    assert time.monotonic() - started < 5


def test_time_limit_leaves_no_trace() -> None:
    fired: list[int] = []
    handler = signal.signal(signal.SIGALRM, lambda *_: fired.append(1))
    outer = signal.setitimer(signal.ITIMER_REAL, 30)
    try:
        with image.time_limit_s(5):
            time.sleep(0.01)
        left, _ = signal.getitimer(signal.ITIMER_REAL)
        assert 29 < left < 30
        with pytest.raises(CorruptImage), image.time_limit_s(0.01):
            time.sleep(2)
        assert signal.getsignal(signal.SIGALRM) not in (signal.SIG_DFL, faults._time_up)
        assert not fired
    finally:
        signal.setitimer(signal.ITIMER_REAL, *outer)
        signal.signal(signal.SIGALRM, handler)


def test_time_limit_does_nothing_in_other_threads_or_without_seconds(hostile: ModuleType) -> None:
    seen = []

    def work() -> None:
        with image.time_limit_s(0.01):
            time.sleep(0.05)
            seen.append(decode(hostile.odd()["rgba.png"].data).shape)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    with image.time_limit_s(None):
        seen.append(None)
    assert seen == [(48, 64, 3), None]


def test_threads_decode_alike(hostile: ModuleType) -> None:
    odd = list(hostile.odd().values())
    failures: list[str] = []

    def work() -> None:
        failures.extend("differs" for o in odd if np.abs(decode(o.data).astype(int) - o.pixels).mean() > o.tolerance)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    st.binary(max_size=300),
    st.sampled_from([s for s, _ in headers._SIGNATURES] + [b"RIFF\0\0\0\0WEBPVP8X", b"P6 ", b""]),
)
def test_random_bytes_are_only_ever_refused(tail: bytes, signature: bytes) -> None:
    try:
        decode(signature + tail, max_pixels=1_000_000)
    except CorruptImage as error:
        assert str(error).isprintable()


@settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_damage_gives_pixels_or_a_reason(hostile: ModuleType, data: st.DataObject) -> None:
    names = sorted(hostile.odd())
    file = bytearray(hostile.odd()[data.draw(st.sampled_from(names))].data)
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(0, min(len(file), 400) - 1))
        file[place] = data.draw(st.integers(0, 255))
    del file[data.draw(st.integers(len(file) // 2, len(file))) :]
    try:
        found = decode(bytes(file), max_pixels=1_000_000)
    except CorruptImage as error:
        assert str(error).isprintable() and len(str(error)) < 200
    else:
        assert found.dtype == np.uint8 and found.ndim == 3 and found.shape[2] == 3 and found.size


def test_real_photographs(shared_images: Path) -> None:
    files = sorted(p for p in (shared_images / "imagenet").rglob("*") if p.suffix.lower() in (".jpeg", ".jpg"))[:40]
    assert files
    for file in files:
        with Image.open(file) as opened:
            want = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
        assert np.array_equal(decode(file.read_bytes()), want), file.name
