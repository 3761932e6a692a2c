"""Descriptors against other libraries, and what they must and must not notice."""

from __future__ import annotations

import numpy as np
import pytest

from vision.accumulator import Array
from vision.geolocation.descriptors import PLAIN, Describer, Dictionary, colour, gist, lines, local, sift, textons, tiny


def noise(seed: int = 0, shape: tuple[int, int] = (96, 128)) -> Array:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3)).astype(np.uint8)


def stripes(degrees: float, period: float = 16, side: int = 128) -> Array:
    """Bright and dark stripes that run in a direction (0: horizontal, 90: upright)."""
    y, x = np.mgrid[:side, :side]
    turn = np.radians(degrees)
    wave = np.sin(2 * np.pi * (x * np.sin(turn) + y * np.cos(turn)) / period)
    return np.repeat((128 + 100 * wave)[:, :, None], 3, axis=2).astype(np.uint8)


def test_lab_is_scikit_images() -> None:
    skimage = pytest.importorskip("skimage.color")
    pixels = noise(shape=(64, 64))
    assert np.abs(colour.cielab(pixels) - skimage.rgb2lab(pixels)).max() < 0.01


def test_the_colour_histogram_counts_every_pixel_once() -> None:
    found = colour.histogram(noise())
    assert found.shape == (784,) and found.sum() == pytest.approx(1)
    red = np.zeros((40, 40, 3), np.uint8)
    red[:, :, 0] = 255
    half = np.concatenate([red, np.zeros_like(red)])
    assert sorted(colour.histogram(half)[colour.histogram(half) > 0].tolist()) == [0.5, 0.5]
    assert np.array_equal(colour.histogram(half), colour.histogram(half[::-1]))


def test_a_tiny_photo_keeps_its_layout_alone() -> None:
    dark = noise() // 2
    brighter = dark + 40
    assert tiny.tiny(dark).shape == (768,) and np.linalg.norm(tiny.tiny(dark)) == pytest.approx(1)
    assert np.allclose(tiny.tiny(dark), tiny.tiny(brighter), atol=0.05)
    assert not tiny.tiny(np.full((40, 40, 3), 9, np.uint8)).any()


def test_gist_sees_direction_scale_and_place() -> None:
    upright, level = (gist.gist(stripes(degrees)).reshape(4, 6, 5, 5) for degrees in (90, 0))
    # A filter of direction 0 sees brightness that changes from left to right.
    assert upright.sum(axis=(0, 2, 3)).argmax() == 0 and level.sum(axis=(0, 2, 3)).argmax() == 3
    fine, coarse = (gist.gist(stripes(90, period)).reshape(4, -1).sum(axis=1) for period in (4, 24))
    assert fine.argmax() < coarse.argmax()
    left = np.full((128, 128, 3), 128, np.uint8)
    left[:, :51] = stripes(90)[:, :51]
    by_column = gist.gist(left).reshape(24, 5, 5).sum(axis=(0, 1))
    assert by_column[:2].min() > 2 * by_column[3:].max()


def test_gist_hardly_notices_brightness() -> None:
    photo = stripes(60)
    one, other = (gist.gist(p) for p in (photo, (photo * 0.6 + 60).astype(np.uint8)))
    far = gist.gist(stripes(10))
    assert np.linalg.norm(one - other) < 0.3 * np.linalg.norm(one - far)


@pytest.mark.parametrize("degrees", [0, 30, 90, 135])
def test_lines_have_their_directions(degrees: float) -> None:
    square = np.where(stripes(degrees, 64, 256) > 128, 220, 30).astype(np.uint8)
    length, angle = lines.segments(tiny.grey(square, 256))
    assert len(length) > 4 and length.max() > 100
    weighted = np.bincount(np.rint(np.degrees(angle) / 5).astype(int) % 36, length, 36)
    assert abs((weighted.argmax() * 5 - degrees + 90) % 180 - 90) <= 5
    found = lines.histogram(square)
    assert found[:17].sum() == pytest.approx(1) and found[17:].sum() == pytest.approx(1)
    assert found[:17].argmax() == round(degrees / 180 * 17) % 17


def test_nothing_has_no_lines() -> None:
    assert not lines.histogram(np.full((64, 64, 3), 90, np.uint8)).any()


def test_filters_answer_nothing_to_one_colour() -> None:
    bank = textons.filters()
    assert bank.shape == (34, 37, 37)
    assert np.allclose(bank.sum(axis=(1, 2)), 0, atol=1e-12) and np.allclose(np.abs(bank).sum(axis=(1, 2)), 1)
    assert np.abs(textons.responses(np.full((50, 50, 3), 77, np.uint8))).max() < 1e-6
    assert textons.responses(noise()).shape == (4096, 34)


def test_a_filter_answers_most_to_its_own_direction() -> None:
    found = np.abs(textons.responses(stripes(90, 12))).mean(axis=0)
    bars = found[17:33:2]  # of the second scale
    assert bars.argmax() == 4  # a bar that is long from top to bottom


def test_sift_of_a_slope() -> None:
    slope = np.tile(np.linspace(0, 1, 32), (32, 1))
    found = sift.patches(slope).reshape(-1, 4, 4, 8)
    assert len(found) == 9 and np.allclose(np.linalg.norm(found.reshape(9, -1), axis=1), 1)
    assert found[:, :, :, 1:].max() == 0 and found[4, :, :, 0].min() > 0  # it rises to the right, everywhere
    rising = found[:, :, :, 0].reshape(3, 3, 4, 4)  # patches by row and column, their cells by row and column
    downwards = sift.patches(slope.T).reshape(3, 3, 4, 4, 8)[:, :, :, :, 2]
    assert np.allclose(downwards, rising.transpose(1, 0, 3, 2))
    assert np.allclose(rising, rising[::-1, ::-1, ::-1, ::-1])  # no side of a patch sees more than the other


def test_sift_does_not_mind_contrast_and_leaves_out_what_is_flat() -> None:
    picture = tiny.grey(noise(), 64)
    assert np.allclose(sift.patches(picture), sift.patches(picture * 0.5 + 0.2), atol=1e-6)
    assert len(sift.patches(np.full((64, 64), 0.5))) == 0
    assert sift.dense(noise()).shape[1] == 128


def test_a_dictionary_finds_the_clusters() -> None:
    generator = np.random.default_rng(3)
    middles = generator.normal(0, 10, (4, 5))
    features = (middles[np.arange(400) % 4] + generator.normal(0, 0.1, (400, 5))).astype(np.float32)
    words = Dictionary.learn(features, 4, seed=1)
    assert len(set(words.nearest(features[:4]).tolist())) == 4
    assert np.allclose(words.histogram(features), 0.25)
    brute = ((features[:, None] - words.words[None]) ** 2).sum(axis=2).argmin(axis=1)
    assert np.array_equal(words.nearest(features), brute)
    assert np.array_equal(Dictionary.learn(features, 4, seed=1).words, words.words)
    assert not words.histogram(np.empty((0, 5), np.float32)).any()


def test_all_side_by_side() -> None:
    learnt = {
        name: Dictionary.learn(np.concatenate([local(name, noise(seed))[::20] for seed in range(3)]), 12)
        for name in ("textons", "words")
    }
    describe = Describer(dict.fromkeys([*PLAIN, *learnt], 1.0), learnt)
    vector = describe(noise())
    assert vector.dtype == np.float32
    assert len(vector) == 768 + 784 + 600 + 33 + sum(len(one.words) for one in learnt.values())
    assert np.linalg.norm(vector) ** 2 == pytest.approx(6, rel=1e-4)  # six parts of length 1
    alike, other = describe(np.clip(noise() * 0.95 + 5, 0, 255).astype(np.uint8)), describe(stripes(30))
    assert np.linalg.norm(vector - alike) < np.linalg.norm(vector - other)


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no descriptor 'hog'; there are tiny"):
        Describer({"hog": 1.0})
    with pytest.raises(ValueError, match="words needs a dictionary"):
        Describer({"words": 1.0})
    with pytest.raises(ValueError, match="weights are above 0"):
        Describer({"gist": 0.0})
    with pytest.raises(ValueError, match=r"at least 32 x 32, got \(8, 8, 3\)"):
        Describer()(np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(ValueError, match="12 words needs as many features, got 3"):
        Dictionary.learn(np.zeros((3, 2)), 12)
