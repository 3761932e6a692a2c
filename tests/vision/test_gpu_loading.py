"""JPEGs loaded the GPU's way, on a CPU: the same code, nearly Pillow's pixels, and Pillow's word on what is odd."""

from __future__ import annotations

import io
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from vision.accumulator import Array
from vision.faults import CorruptImage
from vision.gpu_loading import GpuLoader, supports
from vision.image import plain_jpeg
from vision.predictor import Loader
from vision.preprocessing import Preprocessing
from vision.protocol import Views

LOOKS = (
    Preprocessing(resize=48, crop=40),
    Preprocessing(resize=(30, 50), crop=None),
    Preprocessing(resize=20, crop=64),
)


def smooth(height: int, width: int, seed: int) -> Image.Image:
    """A picture that a codec keeps well: few colours, blown up."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def jpeg(picture: Image.Image, **how: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", **how)
    return buffer.getvalue()


def png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return jpeg(smooth(60, 90, 1), exif=exif)


def loaders() -> tuple[Loader, GpuLoader]:
    return Loader(LOOKS), GpuLoader(LOOKS, "cpu", Loader(LOOKS))


def test_ordinary_files_are_nearly_pillows() -> None:
    pictures = [smooth(60, 90, 2), smooth(130, 71, 3), smooth(33, 200, 4), smooth(80, 80, 5).convert("L")]
    files = [jpeg(one, quality=95, subsampling=n % 3, progressive=n == 1) for n, one in enumerate(pictures)]
    assert all(map(plain_jpeg, files))
    exact, near = (loader.load(files) for loader in loaders())
    for look in LOOKS:
        for wanted, found in zip(exact[look], near[look], strict=True):
            assert isinstance(wanted, np.ndarray) and isinstance(found, np.ndarray)
            assert (found.shape, found.dtype) == ((*look.size, 3), np.uint8)
            assert np.abs(found.astype(int) - wanted.astype(int)).mean() < 0.5


def test_the_rest_is_the_cpus_pixel_by_pixel_and_word_by_word(hostile: ModuleType) -> None:
    good = jpeg(smooth(60, 90, 6))
    files = [turned(), png(smooth(50, 50, 7)), good[:-40], jpeg(smooth(40, 40, 8).convert("CMYK")), b"", good[:200]]
    files += [data for _, data in sorted(hostile.broken().items()) if isinstance(data, bytes)]
    assert not any(map(plain_jpeg, files[:6]))
    exact, near = (loader.load([good, CorruptImage("gone"), *files]) for loader in loaders())
    for look in LOOKS:
        for wanted, found in list(zip(exact[look], near[look], strict=True))[1:]:
            assert _same(wanted, found)


def _same(wanted: object, found: object) -> bool:
    if isinstance(wanted, CorruptImage):
        return str(wanted) == str(found)
    return isinstance(found, np.ndarray) and isinstance(wanted, np.ndarray) and bool((found == wanted).all())


def test_a_file_that_the_device_cannot_decode_leaves_its_neighbours_there() -> None:
    whole = jpeg(smooth(60, 90, 9), quality=90)
    scan = whole.index(b"\xff\xda")
    damaged = whole[: scan - 30] + b"\xff\xd9"
    exact, near = (loader.load([whole, damaged, whole]) for loader in loaders())
    first, middle, last = near[LOOKS[0]]
    assert isinstance(first, np.ndarray) and isinstance(last, np.ndarray)
    assert (first == last).all()
    assert _same(exact[LOOKS[0]][1], middle)


def test_what_no_gpu_makes_is_refused() -> None:
    lanczos = Preprocessing(filter="lanczos")
    assert [supports(look) for look in (LOOKS[0], lanczos, Views(LOOKS[0], 5))] == [True, False, False]
    with pytest.raises(ValueError, match="decode: a GPU makes one crop"):
        GpuLoader([lanczos], "cpu", Loader([lanczos]))


def test_nothing_is_loaded_of_nothing() -> None:
    found: dict[Preprocessing, Array] = dict(GpuLoader(LOOKS, "cpu", Loader(LOOKS)).load([]))  # type: ignore[arg-type]
    assert [list(found[look]) for look in LOOKS] == [[], [], []]
