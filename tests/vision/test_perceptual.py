"""Words of pictures: copies are near, other pictures far, and equal pixels have equal digests."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.photographs import COPIES, leaves
from vision.image import picture
from vision.perceptual import NEAR, alike, colours, digest, words

Copy = Callable[[Image.Image, np.random.Generator], Image.Image]


def apart(first: list[Image.Image], second: list[Image.Image]) -> list[int]:
    return [int(bits) for bits in np.bitwise_count(words(first) ^ words(second))]


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    return [leaves(seed) for seed in range(120)]


@pytest.mark.parametrize("copy", COPIES.values(), ids=list(COPIES))
def test_copies_are_near_and_look_alike(pictures: list[Image.Image], copy: Copy) -> None:
    rng = np.random.default_rng(0)
    copies = [copy(one, rng) for one in pictures]
    near = np.array(apart(pictures, copies)) <= NEAR
    same = alike(np.stack([colours(one) for one in pictures]), np.stack([colours(one) for one in copies]))
    assert (near & same).mean() >= 0.95


def test_other_pictures_are_neither(pictures: list[Image.Image]) -> None:
    found, small = words(pictures), np.stack([colours(one) for one in pictures])
    for shift in range(1, len(pictures)):
        far = np.bitwise_count(found ^ np.roll(found, shift)) > NEAR
        assert far.mean() > 0.99
        assert not (alike(small, np.roll(small, shift, axis=0)) & ~far).any()


def test_a_word_does_not_depend_on_its_neighbours(pictures: list[Image.Image]) -> None:
    assert [int(words([one])[0]) for one in pictures[:20]] == words(pictures[:20]).tolist()
    assert words([]).shape == (0,)
    grey = pictures[0].convert("L")
    assert words([grey]) == words([grey.convert("RGB")])


def test_digests_are_of_pixels_and_not_of_files(pictures: list[Image.Image]) -> None:
    files = [io.BytesIO(), io.BytesIO()]
    pictures[0].save(files[0], "PNG")
    pictures[0].save(files[1], "BMP")
    first, second = (picture(file.getvalue()) for file in files)
    assert files[0].getvalue() != files[1].getvalue()
    assert digest(first) == digest(second) != digest(pictures[1])
    turned = pictures[0].copy()
    turned.putpixel((3, 3), (1, 2, 3))
    assert digest(turned) != digest(pictures[0])
    assert digest(Image.new("L", (4, 2))) != digest(Image.new("L", (2, 4)))


def test_pictures_without_a_pattern_are_told_apart_by_their_colour() -> None:
    plain = [Image.new("RGB", (50, 40), colour) for colour in ((255, 255, 255), (254, 255, 255), (0, 0, 0))]
    assert words(plain).tolist() == [0, 0, 0]
    small = np.stack([colours(one) for one in plain])
    assert alike(small[[0, 0]], small[[1, 2]]).tolist() == [True, False]


@pytest.mark.parametrize("copy", COPIES.values(), ids=list(COPIES))
def test_on_photographs_as_measured(shared_images: Path, copy: Copy) -> None:
    files = sorted((shared_images / "imagenet" / "jpg").iterdir())[:100]
    photographs = [picture(file.read_bytes()) for file in files]
    rng = np.random.default_rng(1)
    copies = [copy(one, rng) for one in photographs]
    near = np.array(apart(photographs, copies)) <= NEAR
    same = alike(np.stack([colours(one) for one in photographs]), np.stack([colours(one) for one in copies]))
    assert (near & same).mean() >= 0.95
