"""Numbers by group in bins, against NumPy and SciPy on the numbers themselves; what pictures look like."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageFilter
from scipy.stats import ks_2samp

from vision.fairness.appearance import appearance
from vision.fairness.coding import coded, constant
from vision.fairness.counts import Cube
from vision.fairness.spread import BIN, PROPERTY, SHARES, by_group, counted, whole


def cube(values: np.ndarray, groups: list[str | None], name: str = "width") -> Cube:
    return Cube.of(
        {"g": coded(pa.array(groups, pa.string())), PROPERTY: constant(name, len(values)), BIN: counted(values)}
    )


def test_quantiles_distances_and_p_are_those_of_the_numbers() -> None:
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.gamma(4, 100, 4000), rng.gamma(4, 130, 500), rng.gamma(9, 1, 7)])
    groups: list[str | None] = ["a"] * 4000 + ["b"] * 500 + [None] * 7
    found = {one.cell: one for one in by_group(cube(values, groups), ["g"])}
    assert set(found) == {(("g", "a"),), (("g", "b"),)}
    one, exact = found[(("g", "b"),)], values[4000:4500]
    assert one.quantiles == pytest.approx(np.quantile(exact, SHARES, method="inverted_cdf"), rel=0.005)
    wanted = ks_2samp(exact, values[:4000], method="asymp")
    assert one.distance == pytest.approx(wanted.statistic, abs=0.005)
    assert one.p == pytest.approx(wanted.pvalue, rel=0.5)
    assert one.rest_median == pytest.approx(np.median(values[:4000]), rel=0.005)
    assert one.median.low < np.median(exact) < one.median.high
    (everyone,) = whole(cube(values, groups))
    assert (everyone.n, everyone.cell) == (4507, ())


def test_alike_groups_are_apart_no_more_often_than_said() -> None:
    rng = np.random.default_rng(4)
    p = []
    for _ in range(200):
        found = by_group(cube(rng.random(300), rng.choice(["a", "b"], 300).tolist()), ["g"])
        p.append(found[0].p)
    assert sum(one <= 0.05 for one in p) <= 10 + 2 * np.sqrt(9.5)


def test_medians_hold_the_truth() -> None:
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(200):
        (one,) = whole(cube(rng.gamma(2, 1, 40), ["a"] * 40))
        held += one.median.low <= 1.6783 <= one.median.high
    assert held >= 186
    (few,) = whole(cube(rng.random(5), ["a"] * 5))
    assert np.isnan(few.median.low)


def test_parts_add_up_to_the_whole() -> None:
    rng = np.random.default_rng(6)
    values, groups = rng.gamma(3, 5, 500), rng.choice(["a", "b"], 500).tolist()
    parts = [cube(values[part], [groups[i] for i in part]) for part in np.array_split(rng.permutation(500), 7)]
    merged = parts[0]
    for part in parts[1:]:
        merged = merged.merge(part)
    assert merged.to_bytes() == cube(values, groups).to_bytes()


def test_brighter_flatter_and_blurred_pictures_are_told() -> None:
    rng = np.random.default_rng(7)
    noise = Image.fromarray(rng.integers(0, 256, (300, 400, 3), np.uint8))
    plain, blurred = appearance(noise), appearance(noise.filter(ImageFilter.GaussianBlur(4)))
    assert blurred.sharpness < plain.sharpness / 50
    assert blurred.contrast < plain.contrast
    white = appearance(Image.new("L", (50, 20), 255))
    assert white == (1.0, 0.0, 0.0)
    assert appearance(Image.new("RGB", (1, 1), (0, 0, 0))) == (0.0, 0.0, 0.0)
    half = appearance(Image.new("L", (2000, 1000), 128))
    assert half.brightness == pytest.approx(128 / 255)


def test_a_photo_and_its_thumbnail_are_alike() -> None:
    rng = np.random.default_rng(8)
    small = Image.fromarray(rng.integers(0, 256, (24, 32), np.uint8)).resize((1024, 768), Image.Resampling.BICUBIC)
    large, thumbnail = appearance(small), appearance(small.resize((512, 384), Image.Resampling.BOX))
    assert thumbnail.brightness == pytest.approx(large.brightness, abs=0.01)
    assert thumbnail.sharpness == pytest.approx(large.sharpness, rel=0.2)
