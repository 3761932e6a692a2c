"""The ISBI 2012 scores: definitions written down, thinning, real sections."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import binary_erosion, gaussian_filter

from tests.em import shared_em
from tests.neurites import Array
from vision.connectomics.contingency import Contingency
from vision.connectomics.isbi import cells, isbi, mean, section, sections, thinned


def walls(size: int = 60, cell: int = 15, thick: int = 3) -> Array:
    """A mask of square cells behind walls."""
    along = np.arange(size) % cell >= thick
    return along[:, None] & along


def test_scores_are_those_of_singletons_written_out() -> None:
    generator = np.random.default_rng(0)
    truth, segments = generator.integers(0, 4, (2, 9, 10))
    known = truth > 0
    single = np.where(segments == 0, 100 + np.arange(truth.size).reshape(truth.shape), segments)[known]
    joint, a, b = (np.unique(rows, axis=-1, return_counts=True)[1] for rows in (
        np.stack([truth[known], single]), truth[known], single,
    ))  # fmt: skip
    entropy = [-(p * np.log2(p)).sum() for p in (joint / known.sum(), a / known.sum(), b / known.sum())]
    found = section(Contingency.of(truth, segments))
    assert found.vrand == pytest.approx(2 * (joint**2).sum() / ((a**2).sum() + (b**2).sum()), abs=1e-12)
    assert found.vinfo == pytest.approx(
        2 * (entropy[1] + entropy[2] - entropy[0]) / (entropy[1] + entropy[2]), abs=1e-12
    )
    assert np.isnan(section(Contingency.of(truth * 0, segments)).vrand)
    assert section(Contingency.of(truth * 0 + 1, segments * 0 + 1)) == (1, 1)


def test_thinning_leaves_lines_of_one_pixel() -> None:
    inside = walls()
    thin = thinned(inside)
    assert len(np.unique(thin)) - 1 == cells(inside).max() == 16
    lines = thin == 0
    assert 0 < lines.sum() < (~inside).sum() / 2
    assert not binary_erosion(lines, np.ones((2, 2))).any()
    assert (thin[inside] == cells(inside)[inside]).all()
    assert thinned(np.zeros((5, 5), bool)).max() == 0


def test_thick_membranes_cost_much_unless_they_are_thinned() -> None:
    truth = np.stack([cells(walls())] * 2)
    shrunk = np.stack([binary_erosion(walls(), iterations=2)] * 2)
    thick, thin = isbi(shrunk, truth, (0.5,), thin=False), isbi(shrunk, truth, (0.5,))
    assert thin.vrand.value > 0.99 and thick.vrand.value < 0.8
    assert thin.vinfo.value > 0.99 > thick.vinfo.value


def test_the_best_threshold_is_found_and_the_mean_has_limits() -> None:
    truth = np.stack([cells(walls())] * 3)
    noise = np.random.default_rng(1).random(truth.shape) * 0.2
    inside = np.where(truth > 0, 0.8, 0.45) - noise * 0.5
    found = isbi(inside, truth)
    assert found.threshold == pytest.approx(0.5) and found.vrand.n == 3
    assert sections(inside, truth, 0.2)[0].vrand < 0.3
    assert mean(np.array([0.7, 0.8, 0.9])) == pytest.approx((0.8, 0.5516, 1.0, 3), abs=1e-4)
    with pytest.raises(ValueError, match=r"one \(z, y, x\) shape"):
        sections(inside[0], truth)


def test_real_sections() -> None:
    """Truth shrunk by 2 pixels, and a smoothed image: between them lies what a network reaches."""
    volume = shared_em("isbi2012_train")
    inside, image = volume["inside"][18:], volume["image"][18:]
    truth = np.stack([cells(part) for part in inside])
    shrunk = np.stack([binary_erosion(part, iterations=2, border_value=1) for part in inside])
    thin, thick = isbi(shrunk, truth, (0.5,)), isbi(shrunk, truth, (0.5,), thin=False)
    assert min(thin.vrand.value, thin.vinfo.value) > 0.995
    assert 0.85 < thick.vinfo.value < thick.vrand.value < 0.94
    grey = np.stack([gaussian_filter(part.astype(np.float64), 2) for part in image]) / 255
    assert 0.7 < isbi(grey, truth, (0.4, 0.5, 0.6)).vrand.value < 0.9
