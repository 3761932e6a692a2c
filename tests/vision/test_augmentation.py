"""Pictures varied by what they are, not by who varies them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import v2

from vision.augmentation import Augmentation, crop
from vision.draws import keys_of, mix, uniform

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (40, 12, 10, 3), np.uint8)
KEYS = mix(3, 1, keys_of([f"{n}.png" for n in range(40)]))


@pytest.mark.parametrize("words", [("crop",), ("flip",), ("colour",), ("crop:2", "flip", "colour:0.2")])
def test_a_picture_is_varied_whatever_its_neighbours_are(words: tuple[str, ...]) -> None:
    augmentation = Augmentation.parse(words)
    whole = augmentation.apply(PIXELS, KEYS)
    assert whole.shape == PIXELS.shape and whole.dtype == np.uint8
    assert (whole != PIXELS).any()
    order = RNG.permutation(40)
    assert (augmentation.apply(PIXELS[order], KEYS[order]) == whole[order]).all()
    assert (augmentation.apply(PIXELS[7:8], KEYS[7:8]) == whole[7:8]).all()
    assert (augmentation.apply(PIXELS, mix(3, 2, KEYS)) != whole).any(), "another epoch, other pictures"


def test_a_crop_is_a_part_of_the_padded_picture() -> None:
    padded = np.pad(PIXELS, ((0, 0), (2, 2), (2, 2), (0, 0)))
    found, places = crop(PIXELS, KEYS, 2), set()
    for picture, wide in zip(found, padded, strict=True):
        hits = [(y, x) for y in range(5) for x in range(5) if (wide[y : y + 12, x : x + 10] == picture).all()]
        assert len(hits) == 1
        places.update(hits)
    assert len(places) > 15


def test_half_of_the_pictures_are_flipped() -> None:
    many = np.tile(PIXELS[:1], (2000, 1, 1, 1))
    flipped = (Augmentation.parse(("flip",)).apply(many, mix(np.arange(2000))) != many).any(axis=(1, 2, 3))
    assert abs(flipped.mean() - 0.5) < 0.05


def test_grey_stays_grey_and_strengths_are_bounds() -> None:
    grey = np.full((200, 4, 4, 3), 100, np.uint8)
    found = Augmentation.parse(("colour:0.2",)).apply(grey, mix(np.arange(200)))
    assert (found[..., 0] == found[..., 1]).all()
    assert found.min() >= 80 and found.max() <= 120
    assert found.min() < 85 and found.max() > 115


def test_a_resized_crop_is_pillows_and_lies_inside() -> None:
    whole = np.asarray(Image.linear_gradient("L").resize((60, 40)).convert("RGB"))
    augmentation = Augmentation.parse(("resized-crop:0.25", "flip"))
    spans = []
    for number in range(200):
        part = augmentation.cut(whole, mix(number), (16, 16))
        assert part.shape == (16, 16, 3)
        spans.append(float(part.max()) - float(part.min()))
    assert min(spans) < 0.7 * max(spans), "some are smaller parts"
    assert (augmentation.cut(whole, mix(5), (16, 16)) == augmentation.cut(whole, mix(5), (16, 16))).all()


@pytest.mark.parametrize(
    ("word", "complaint"),
    [("blur", "no augmentation 'blur', only crop, flip"), ("crop:x", "name:number"), ("flip:2", "at most 1")],
)
def test_wrong_words(word: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Augmentation.parse((word,))


def shorter_side(key: np.ndarray, least: int, most: int) -> int:
    """The scale that a key draws: evenly from whole numbers, by the first of its own draws."""
    return least + int(uniform(mix(key, -2), 1)[0, 0] * (most - least + 1))


def test_a_scaled_part_is_torchvisions_resize_and_crop_at_the_side_that_seed_epoch_and_id_draw() -> None:
    whole = RNG.integers(0, 256, (60, 81, 3), np.uint8)
    augmentation, sides = Augmentation.parse(("scale:36-60", "flip")), set()
    for id_ in (f"{n}.jpg" for n in range(60)):
        key = mix(mix(5, 2), keys_of([id_]))
        found = augmentation.cut(whole, key, (32, 30))
        assert found.shape == (32, 30, 3) and found.dtype == np.uint8
        side = shorter_side(key, 36, 60)
        resized = v2.functional.resize(Image.fromarray(whole), [side], antialias=True)
        assert resized.size == (int(side * 81 / 60), side)
        _, down, right = uniform(mix(key, -2), 3)[0]
        top, left = int(down * (side - 31)), int(right * (resized.width - 29))
        assert np.array_equal(found, np.asarray(resized)[top : top + 32, left : left + 30])
        sides.add(side)
    assert min(sides) <= 38 and max(sides) >= 58 and len(sides) > 18


def test_scales_are_the_same_for_a_seed_an_epoch_and_an_id_and_others_for_others() -> None:
    ids = [f"{n}.jpg" for n in range(8)]

    def drawn(seed: int, epoch: int) -> list[int]:
        return [shorter_side(mix(mix(seed, epoch), keys_of([id_])), 256, 512) for id_ in ids]

    assert drawn(0, 0) == [268, 417, 512, 422, 405, 435, 367, 376]
    assert len({tuple(drawn(*parts)) for parts in ((0, 0), (0, 1), (1, 0))}) == 3


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("scale:512-256",), "'scale:512-256' takes shorter sides in pixels, such as scale:256-512"),
        (("scale:256",), "takes shorter sides"),
        (("scale:0-9",), "takes shorter sides"),
        (("scale:9-99999",), "takes shorter sides"),
        (("scale", "resized-crop"), "resized-crop and scale both choose the size"),
    ],
)
def test_wrong_scales(words: tuple[str, ...], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Augmentation.parse(words)


def test_a_part_fits_into_the_smallest_scale() -> None:
    Augmentation.parse(("scale",)).check((224, 256))
    Augmentation.parse(("flip",)).check((9999, 1))
    with pytest.raises(ValueError, match="scale:256-512: parts of 224x299 need shorter sides from 299 pixels up"):
        Augmentation.parse(("scale",)).check((224, 299))
