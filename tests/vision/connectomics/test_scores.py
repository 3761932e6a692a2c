"""Scores against scikit-image, against the programs' definitions written down, and on real volumes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import adapted_rand_error as skimage_rand
from skimage.metrics import variation_of_information as skimage_vi

from tests.em import shared_em
from tests.neurites import Array
from vision.connectomics.blocks import Grid
from vision.connectomics.borders import border_halo, without_borders
from vision.connectomics.contingency import Contingency
from vision.connectomics.scores import (
    CONVENTIONS,
    adapted_rand_error,
    cremi_score,
    errors,
    scores,
    variation_of_information,
)


def volumes(seed: int, names: int = 12) -> tuple[Array, Array]:
    """Truth and a segmentation in lumps, with 0 in both."""
    generator = np.random.default_rng(seed)
    truth, segments = (
        np.repeat(np.repeat(generator.integers(0, names, (4, 5, 6)), 3, axis=1), 4, axis=2) for _ in range(2)
    )
    return truth, np.where(generator.random(truth.shape) < 0.7, truth, segments)


def written_down(truth: Array, segments: Array, convention: str) -> float:
    """The adapted Rand error from dense squares, as the programs compute it."""
    table = np.zeros((truth.max() + 1, segments.max() + 1))
    np.add.at(table, (truth.reshape(-1), segments.reshape(-1)), 1)
    known = table[1:]
    if convention == "cremi":
        alone = known[:, 0].sum() / truth.size
        both, b = (known[:, 1:] ** 2).sum() + alone, (known[:, 1:].sum(axis=0) ** 2).sum() + alone
    else:
        both, b = (known**2).sum(), (known.sum(axis=0) ** 2).sum()
    return float(1 - 2 * both / ((known.sum(axis=1) ** 2).sum() + b))


@given(st.integers(0, 2**32), st.integers(2, 40))
@settings(max_examples=40, deadline=None)
def test_scores_are_those_of_scikit_image(seed: int, names: int) -> None:
    truth, segments = volumes(seed, names)
    table = Contingency.of(truth, segments)
    assert np.allclose(variation_of_information(table), skimage_vi(truth, segments, ignore_labels=(0,)), 0, 1e-12)
    expected = skimage_rand(truth, segments, ignore_labels=(0,))[0]
    assert adapted_rand_error(table, "skimage") == pytest.approx(expected, rel=0, abs=1e-12)
    for convention in ("funlib", "cremi"):
        value = adapted_rand_error(table, convention)
        assert value == pytest.approx(written_down(truth, segments, convention), rel=0, abs=1e-12)
    assert cremi_score(table) == pytest.approx(
        math.sqrt(sum(variation_of_information(table)) * adapted_rand_error(table, "cremi")), abs=1e-12
    )


def test_scores_do_not_depend_on_names_and_take_64_bits() -> None:
    truth, segments = volumes(1)
    names = np.sort(np.random.default_rng(2).integers(1, 2**64, 99, np.uint64))
    names[0] = 0
    found, sparse = scores(Contingency.of(truth, segments)), scores(Contingency.of(names[truth], names[segments]))
    assert found.keys() == sparse.keys()
    assert all(np.array_equal(found[name], sparse[name], equal_nan=True) for name in found)


def test_a_perfect_segmentation_and_an_empty_one() -> None:
    truth, _ = volumes(3)
    perfect = scores(Contingency.of(truth, truth * 5))
    assert {perfect[name].value for name in perfect} == {0.0}
    assert perfect["vi"].n == 11 and perfect["vi"][:3] == (0, 0, 0)
    missed = errors(Contingency.of(truth, truth * 0))
    assert (missed.splits, missed.merges, missed.missed) == (0, 0, 11)
    assert all(math.isnan(scores(Contingency())[name].value) for name in ("vi", "adapted_rand_skimage", "cremi"))


def test_conventions_agree_only_where_all_is_assigned() -> None:
    truth, segments = volumes(4)
    dense = Contingency.of(truth, segments + 1)
    values = [adapted_rand_error(dense, name) for name in CONVENTIONS]
    assert max(values) - min(values) < 5e-3
    assert values[1] == pytest.approx(values[2], abs=1e-15)
    holes = Contingency.of(truth, np.where(np.arange(truth.size).reshape(truth.shape) % 3 == 0, 0, segments))
    assert abs(adapted_rand_error(holes, "cremi") - adapted_rand_error(holes, "skimage")) > 0.05
    with pytest.raises(ValueError, match="one of skimage, funlib, cremi, got 'gala'"):
        adapted_rand_error(dense, "gala")  # type: ignore[arg-type]


def test_errors_count_what_a_proofreader_would_do() -> None:
    """Neuron 1 is cut into three, 2 and 3 are one segment, 4 is missed; one voxel of 1 lies in the segment of 2."""
    truth = np.array([1] * 10 + [2] * 5 + [3] * 5 + [4] * 3 + [0] * 2)
    segments = np.array([7] * 4 + [8] * 3 + [9] * 2 + [5] + [5] * 10 + [0] * 3 + [5] * 2)
    table = Contingency.of(truth, segments)
    assert (errors(table).splits, errors(table).merges, errors(table).missed) == (3, 2, 1)
    assert (errors(table, 2).splits, errors(table, 2).merges) == (2, 1)
    assert scores(table, least=2)["split_errors"].value == 2
    with pytest.raises(ValueError, match="at least 1 voxel, got 0"):
        errors(table, 0)


def test_intervals_hold_the_score_of_all_neurons() -> None:
    """Neurons drawn from a big population: the 95 % limits hold the population's VI nearly that often."""
    generator = np.random.default_rng(5)
    pieces, n = generator.integers(1, 5, 4000), generator.integers(50, 200, 4000)
    share = np.log2(pieces)
    true = (share * n).sum() / n.sum()
    held = 0
    for _ in range(200):
        some = generator.choice(4000, 60, replace=False)
        truth = np.repeat(some + 1, pieces[some])
        counts = np.repeat(n[some], pieces[some]) * 12 // np.repeat(pieces[some], pieces[some])
        table = Contingency.rows(truth, np.arange(len(truth)) + 1, counts)
        estimate = scores(table)["vi_split"]
        assert estimate.low <= estimate.value <= estimate.high
        held += estimate.low <= true <= estimate.high
    assert 178 <= held <= 200


def test_borders_are_left_out_by_distance_in_the_section() -> None:
    """A straight border at 6.25 pixels: 6 on each side beside the border pixels themselves, no other section."""
    truth = np.ones((2, 20, 40), np.uint64)
    truth[0, :, 20:] = 2
    kept = without_borders(truth, (40, 4, 4))
    assert (kept[1] == 1).all()
    assert (kept[0, 0] == 0).nonzero()[0].tolist() == list(range(13, 27))
    assert (without_borders(truth, (40, 4, 4), 0)[0, 0] == 0).sum() == 2
    with pytest.raises(ValueError, match="borders need"):
        without_borders(truth, (40, 0, 4))


def test_borders_by_block_are_those_of_the_whole() -> None:
    truth = np.kron(np.random.default_rng(6).integers(0, 9, (3, 4, 5)), np.ones((1, 13, 11), np.int64))
    voxel_nm = (40.0, 4.0, 5.0)
    whole = without_borders(truth, voxel_nm)
    assert 0 < (whole > 0).sum() < (truth > 0).sum()
    for block in Grid(truth.shape, (2, 17, 19), border_halo(voxel_nm)):
        assert np.array_equal(
            without_borders(truth[block.read.slices], voxel_nm)[block.core], whole[block.write.slices]
        )


def exactly(truth: Array, segments: Array) -> tuple[float, float]:
    """VI split and merge with sums that round once."""
    table = Contingency.of(truth, segments)
    rows = [
        row for row in zip(table.truth.tolist(), table.segments.tolist(), table.counts.tolist(), strict=True) if row[0]
    ]
    a: dict[int, int] = {}
    b: dict[int, int] = {}
    for i, j, n in rows:
        a[i], b[j] = a.get(i, 0) + n, b.get(j, 0) + n
    total = sum(a.values())
    split = math.fsum(n * math.log2(a[i] / n) for i, _, n in rows) / total
    return split, math.fsum(n * math.log2(b[j] / n) for _, j, n in rows) / total


@pytest.mark.parametrize(
    ("name", "vi", "rand"),
    [
        ("ws", (2.4449008, 0.3210369), {"skimage": 0.3642185, "funlib": 0.3642179, "cremi": 0.3642179}),
        ("ffn", (0.8311206, 0.7807090), {"skimage": 0.1951509, "funlib": 0.1951507, "cremi": 0.1503910}),
    ],
)
def test_fib25_by_the_name_of_each_convention(name: str, vi: tuple[float, float], rand: dict[str, float]) -> None:
    """The values are scikit-image's where it has one. It rounds up to 2e-12 of bits away here, these below 1e-14."""
    volume = shared_em("fib25_medulla_train")
    truth, segments = volume["gt"], volume[name]
    table = Contingency.of(truth, segments)
    found = {convention: adapted_rand_error(table, convention) for convention in CONVENTIONS}
    print(name, {f"adapted_rand_{key}": round(value, 4) for key, value in found.items()})
    assert found == pytest.approx(rand, abs=1e-7)
    assert variation_of_information(table) == pytest.approx(vi, abs=1e-7)
    assert variation_of_information(table) == pytest.approx(exactly(truth, segments), rel=0, abs=1e-14)
    crop = truth[:40, :100, :100], segments[:40, :100, :100]
    small = Contingency.of(*crop)
    assert np.allclose(variation_of_information(small), skimage_vi(*crop, ignore_labels=(0,)), rtol=0, atol=1e-12)
    assert found["skimage"] == pytest.approx(skimage_rand(truth, segments, ignore_labels=(0,))[0], rel=0, abs=1e-12)
