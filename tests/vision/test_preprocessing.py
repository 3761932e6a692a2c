"""Preprocessing gives torchvision's pixels, bit for bit, and is refused when it makes no sense."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from vision import resampling
from vision.image import CorruptImage, decode
from vision.preprocessing import PRESETS, Preprocessing

Array = npt.NDArray[Any]

FILTERS = list(resampling.FILTERS)
SHAPES = [
    (1, 1), (1, 7), (7, 1), (375, 500), (500, 375), (480, 640), (333, 500), (256, 256), (255, 257), (100, 90), (3, 400),
    (700, 2), (224, 224), (600, 601), (257, 900), (900, 257), (1200, 300),
]  # fmt: skip
SETTINGS: list[dict[str, Any]] = [
    {"resize": 256, "crop": 224},
    {"resize": 232, "crop": 224},
    {"resize": 64, "crop": 100},
    {"resize": 255, "crop": 33},
    {"resize": None, "crop": 224},
    {"resize": (200, 300), "crop": None},
    {"resize": (200, 300), "crop": 224},
    {"resize": (40, 400), "crop": 31},
]


def torchvision(preprocessing: Preprocessing, image: Image.Image) -> Array:
    """The oracle: torchvision's v2 transforms on a PIL image."""
    from torchvision.transforms import v2

    steps: list[Any] = []
    if preprocessing.resize is not None:
        size = preprocessing.resize
        mode = v2.InterpolationMode(preprocessing.filter)
        steps.append(v2.Resize(list(size) if isinstance(size, tuple) else size, interpolation=mode, antialias=True))
    if preprocessing.crop is not None:
        steps.append(v2.CenterCrop(preprocessing.crop))
    return np.asarray(v2.Compose(steps)(image))


def noise(height: int, width: int, seed: int = 0) -> Array:
    """Grain: the hardest picture to resize exactly."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("resampling_filter", FILTERS)
@pytest.mark.parametrize("values", SETTINGS, ids=str)
def test_pixels_are_torchvisions(values: dict[str, Any], resampling_filter: str) -> None:
    preprocessing = Preprocessing(**values, filter=resampling_filter)
    for height, width in SHAPES:
        image = noise(height, width)
        found = preprocessing.pixels(image)
        assert found.shape == (*preprocessing.size, 3)
        assert np.array_equal(found, torchvision(preprocessing, Image.fromarray(image))), (height, width)


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    st.integers(1, 900), st.integers(1, 900),
    st.one_of(st.none(), st.integers(1, 300), st.tuples(st.integers(1, 300), st.integers(1, 300))),
    st.integers(1, 300), st.sampled_from(FILTERS),
)  # fmt: skip
def test_pixels_are_torchvisions_at_any_size(height: int, width: int, resize: Any, crop: int, name: str) -> None:
    if isinstance(resize, int) and max(height, width) > 40 * min(height, width):
        height = width  # torchvision makes the whole of an elongated picture, which takes long
    image = noise(height, width)
    preprocessing = Preprocessing(resize=resize, crop=crop, filter=name)
    assert np.array_equal(preprocessing.pixels(image), torchvision(preprocessing, Image.fromarray(image)))


@pytest.mark.parametrize("shape", [(1, 1000), (1000, 1), (2, 3001), (3001, 2)])
def test_elongated_pictures_are_made_in_strips(monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int]) -> None:
    preprocessing = Preprocessing(resize=100, crop=70)
    image = noise(*shape)
    want = torchvision(preprocessing, Image.fromarray(image))
    strips: list[int] = []
    real = resampling._in_strips
    monkeypatch.setattr(resampling, "_AT_ONCE", 10_000)
    monkeypatch.setattr(resampling, "_in_strips", lambda *a: strips.append(1) or real(*a))
    assert np.array_equal(preprocessing.pixels(image), want)
    assert strips


def test_very_elongated_pictures_take_bounded_memory_or_are_refused() -> None:
    preprocessing = Preprocessing(resize=255, crop=224)
    for shape in ((1, 4000), (4000, 1)):  # 255 x 1,020,000 pixels when whole: 1 GB
        assert preprocessing.pixels(noise(*shape)).shape == (224, 224, 3)
    with pytest.raises(CorruptImage, match="too elongated to resize: 1x60000 pixels"):
        preprocessing.pixels(np.zeros((60_000, 1, 3), np.uint8))


def test_a_box_is_used_where_it_is_exact() -> None:
    along = resampling._span(375, 256, 16, 224, True)
    assert (along.low, along.high, along.pixels, along.skip) == (23.4375, 351.5625, 224, 0)
    assert resampling._span(500, 341, 58, 224, True) == (0, 500, 341, 58)
    assert resampling._span(375, 256, 16, 224, False) == (0, 375, 256, 16)


@pytest.mark.parametrize("name", ["grey.jpg", "rgba.png", "turned_6.jpg", "palette.png", "grey_16.png"])
def test_load_is_decode_then_pixels(hostile: ModuleType, name: str) -> None:
    data = hostile.odd()[name].data
    preprocessing = Preprocessing(resize=32, crop=40)
    assert np.array_equal(preprocessing.load(data), preprocessing.pixels(decode(data)))


def test_load_refuses_what_decode_refuses(hostile: ModuleType) -> None:
    with pytest.raises(CorruptImage, match="cut short"):
        Preprocessing().load(hostile.broken()["truncated.jpg"].data)


def test_shrinking_stays_close(hostile: ModuleType) -> None:
    data = hostile.encode(Image.fromarray(hostile.photo(1280, 1600)), "JPEG", quality=90)
    preprocessing = Preprocessing(resize=128, crop=112)
    exact, fast = preprocessing.load(data, shrink=False).astype(int), preprocessing.load(data).astype(int)
    difference = np.abs(exact - fast)
    assert 0 < difference.mean() < 0.5
    assert difference.max() <= 4


def test_photographs_below_six_times_the_target_are_exact(hostile: ModuleType) -> None:
    data = hostile.encode(Image.fromarray(hostile.photo(1278, 1600)), "JPEG", quality=90)
    preprocessing = Preprocessing(resize=214, crop=192)
    assert np.array_equal(preprocessing.load(data), preprocessing.load(data, shrink=False))


@pytest.mark.parametrize("order", ["RGB", "BGR"])
def test_normalise_is_torchvisions(order: str) -> None:
    import torch
    from torchvision.transforms.v2 import functional

    preprocessing = Preprocessing(resize=(6, 5), crop=None, order=order, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    batch = np.stack([noise(6, 5, seed) for seed in range(4)])
    tensors = torch.from_numpy(batch).permute(0, 3, 1, 2)
    tensors = tensors.flip(1) if order == "BGR" else tensors
    want = functional.normalize(tensors.float() / 255, preprocessing.mean, preprocessing.std)
    found = preprocessing.normalise(batch)
    assert found.dtype == np.float32 and found.flags["C_CONTIGUOUS"]
    assert np.array_equal(found, want.numpy())


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_survive_json(name: str) -> None:
    preset = Preprocessing.named(name)
    again = Preprocessing.from_dict(json.loads(json.dumps(preset.to_dict())))
    assert again == preset
    assert again.digest() == preset.digest()
    assert preset.size == ((32, 32) if name == "cifar10" else (224, 224))


def test_imagenet_is_torchvisions_preset() -> None:
    from torchvision.models import MobileNet_V2_Weights as Weights

    for name, weights in (("imagenet", Weights.IMAGENET1K_V1), ("imagenet_v2", Weights.IMAGENET1K_V2)):
        theirs, ours = weights.transforms(), Preprocessing.named(name)
        assert [ours.resize] == theirs.resize_size and [ours.crop] == theirs.crop_size
        assert (list(ours.mean), list(ours.std)) == (theirs.mean, theirs.std)
        assert ours.filter == theirs.interpolation.value


def test_digest_tells_apart_what_differs() -> None:
    digests = {p.digest() for p in PRESETS.values()}
    assert len(digests) == len(PRESETS)
    assert Preprocessing(mean=(0, 0, 0)).digest() == Preprocessing(mean=(0.0, 0.0, 0.0)).digest()
    assert Preprocessing(crop=223).digest() != Preprocessing().digest()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Preprocessing(resize=256, crop=None), "different sizes.*crop"),
        (lambda: Preprocessing(resize=None, crop=None), "different sizes"),
        (lambda: Preprocessing(resize=0), "resize must be"),
        (lambda: Preprocessing(resize=True), "resize must be"),
        (lambda: Preprocessing(resize=(3, 4, 5)), "resize must be"),  # type: ignore[arg-type]
        (lambda: Preprocessing(resize="256"), "resize must be.*'256'"),  # type: ignore[arg-type]
        (lambda: Preprocessing(crop=-1), "crop must be"),
        (lambda: Preprocessing(filter="bilinar"), "filter 'bilinar' is not one of nearest"),
        (lambda: Preprocessing(order="GBR"), "order must be RGB or BGR"),
        (lambda: Preprocessing(mean=(1, 2)), "mean must be three numbers"),  # type: ignore[arg-type]
        (lambda: Preprocessing(mean=(0.1, 0.2, float("nan"))), "mean must be three numbers"),
        (lambda: Preprocessing(std=(0.1, 0, 0.2)), "std must be above 0"),
        (lambda: Preprocessing.from_dict({"cropp": 224}), "no field 'cropp'; did you mean crop?"),
        (lambda: Preprocessing.from_dict([1]), "must be a mapping"),  # type: ignore[arg-type]
        (lambda: Preprocessing.named("imagnet"), "no preprocessing 'imagnet'.*did you mean imagenet?"),
        (lambda: Preprocessing().pixels(np.zeros((4, 4), np.uint8)), r"\(H, W, 3\) uint8.*\(4, 4\)"),
        (lambda: Preprocessing().pixels(np.zeros((0, 4, 3), np.uint8)), "not empty"),
        (lambda: Preprocessing().normalise(np.zeros((4, 4, 3), np.uint8)), r"\(B, h, w, 3\)"),
    ],
)
def test_nonsense_is_refused_in_one_line(make: Callable[[], object], says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_real_photographs(shared_images: Path) -> None:
    files = sorted(p for p in (shared_images / "imagenet").rglob("*") if p.suffix.lower() in (".jpeg", ".jpg"))[:60]
    assert files
    preprocessing = Preprocessing.named("imagenet")
    for file in files:
        data = file.read_bytes()
        with Image.open(io.BytesIO(data)) as opened:
            want = torchvision(preprocessing, opened.convert("RGB"))
        assert np.array_equal(preprocessing.load(data), want), file.name


def test_real_photographs_stay_close_when_scaled(shared_images: Path) -> None:
    """Where the target is small enough for a real photograph to be large beside it."""
    files = sorted(p for p in shared_images.rglob("*") if p.suffix.lower() in (".jpeg", ".jpg"))
    preprocessing = Preprocessing(resize=64, crop=56)
    scaled = []
    for file in files:
        data = file.read_bytes()
        with Image.open(io.BytesIO(data)) as opened:
            if min(opened.size) < 384:
                continue
        exact, fast = preprocessing.load(data, shrink=False).astype(int), preprocessing.load(data).astype(int)
        if not np.array_equal(exact, fast):
            scaled.append(np.abs(exact - fast).mean())
    assert len(scaled) >= 5
    assert np.mean(scaled) < 0.35
    assert np.max(scaled) < 0.7
