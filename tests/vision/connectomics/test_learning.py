"""What a net of a volume learns: costs against sums by hand, balance, variation of picture and labels together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.neurites import Array, labels
from vision.connectomics import objective
from vision.connectomics.blocks import Box
from vision.connectomics.learning import Objective
from vision.connectomics.targets import UNKNOWN, UNTAUGHT
from vision.connectomics.varying import Variation
from vision.corpora.volumes import describe
from vision.draws import mix

VOLUME = describe((20, 64, 64), np.uint8, "v")


def test_the_cost_is_the_mean_cross_entropy_of_what_is_taught() -> None:
    torch.manual_seed(0)
    logits = torch.randn(3, 2, 4, 5, 6)
    taught = torch.randint(0, 2, (3, 2, 4, 5, 6), dtype=torch.uint8)
    taught[torch.rand(taught.shape) < 0.2] = UNTAUGHT
    plain = objective(VOLUME, crop=(4, 5, 6), kind="affinities", offsets="0,-1,0;0,0,-1", balance=False)
    cost, right = plain.loss(logits, taught)
    by_hand = shares = 0.0
    for one, wanted in zip(logits, taught, strict=True):
        known = wanted != UNTAUGHT
        p = torch.sigmoid(one[known]).double()
        answer = wanted[known].double()
        by_hand += float(-(answer * p.log() + (1 - answer) * (1 - p).log()).mean())
        shares += float(((p > 0.5) == (answer > 0.5)).double().mean())
    assert float(cost) == pytest.approx(by_hand, rel=1e-5) and float(right) == pytest.approx(shares, rel=1e-5)


def test_both_answers_of_a_crop_count_alike() -> None:
    """One voxel in five is a boundary: answering d or -d everywhere costs the same only where both count alike."""
    taught = torch.zeros((1, 1, 1, 10, 10), dtype=torch.uint8)
    taught[..., :2, :] = 1
    learned = objective(VOLUME, crop=(1, 10, 10))
    up, down = (float(learned.loss(torch.full((1, 1, 10, 10), d), taught)[0]) for d in (1.0, -1.0))
    assert up == pytest.approx(down, rel=1e-5)
    even = objective(VOLUME, crop=(1, 10, 10), balance=False)
    assert float(even.loss(torch.full((1, 1, 10, 10), 1.0), taught)[0]) > 1.3 * down


def test_crops_that_teach_nothing_cost_nothing_and_break_nothing() -> None:
    taught = torch.full((2, 1, 1, 8, 8), UNTAUGHT, dtype=torch.uint8)
    taught[1, 0, 0, 0, 0] = 1
    logits = torch.randn(2, 1, 8, 8, requires_grad=True)
    cost, _ = objective(VOLUME, crop=(1, 8, 8)).loss(logits, taught)
    cost.backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None and torch.isfinite(logits.grad).all()
    assert int((logits.grad != 0).sum()) == 1


def test_a_net_without_padding_is_taught_the_middle() -> None:
    taught = torch.zeros((1, 1, 1, 12, 12), dtype=torch.uint8)
    taught[..., 2:10, 2:10] = 1
    learned = objective(VOLUME, crop=(1, 12, 12))
    cost, right = learned.loss(torch.full((1, 1, 8, 8), 9.0), taught)
    assert float(cost) < 1e-3 and float(right) == 1


def test_what_a_crop_teaches_is_what_the_volume_teaches() -> None:
    truth = labels(Box((0, 0, 0), (12, 40, 40)), 1).astype(np.int64)
    for changed in ({"kind": "boundaries"}, {"kind": "affinities", "offsets": "-1,0,0;0,-5,0;0,2,-3"}, {"erode": 2}):
        fields: Any = changed
        learned: Objective = objective(VOLUME, crop=(4, 16, 16), **fields)
        z, y, x = learned.reach
        padded = np.pad(truth, [(z, z), (y, y), (x, x)], constant_values=UNKNOWN)
        whole = learned.taught(padded)
        part = learned.taught(padded[5 : 9 + 2 * z, 11 : 27 + 2 * y, 20 : 36 + 2 * x])
        assert part.shape[1:] == (4, 16, 16)
        assert np.array_equal(part, whole[:, 5:9, 11:27, 20:36])


def test_affinities_of_a_flipped_crop_are_those_of_its_flipped_labels() -> None:
    """A channel moves along: the neighbour below is the one above in the mirror."""
    truth = labels(Box((0, 0, 0), (6, 26, 26)), 1).astype(np.int64)
    learned = objective(VOLUME, crop=(4, 24, 24), kind="affinities")
    plain, mirrored = learned.taught(truth), learned.taught(truth[:, ::-1])
    assert np.array_equal(plain[0], mirrored[0][:, ::-1]) and np.array_equal(plain[2], mirrored[2][:, ::-1])
    assert np.array_equal(plain[1][:, 1:], mirrored[1][:, :0:-1]) and not np.array_equal(plain[1], mirrored[1][:, ::-1])


def varied(words: tuple[str, ...], row: int, image: Array, truth: Array, beyond: int = 0) -> tuple[Array, Array]:
    found = Variation.parse(words, (len(image), *image.shape[1:]))  # type: ignore[arg-type]
    inner = np.s_[beyond : len(truth) - beyond] if beyond else np.s_[:]
    changed, moved = found.apply(image, truth, mix(0, 0, row))
    return changed, moved[inner]


def test_flips_and_transposes_move_picture_and_labels_together() -> None:
    truth = np.arange(3 * 8 * 8).reshape(3, 8, 8)
    seen = set()
    for row in range(60):
        image, moved = varied(("flip", "transpose"), row, truth.astype(np.float32), truth)
        assert np.array_equal(image.astype(np.int64), moved)
        assert np.array_equal(np.sort(moved, axis=None), truth.reshape(-1))
        seen.add(tuple(moved.reshape(-1)))
    assert len(seen) == 16, "three axes, and y with x"


def test_defects_come_as_often_as_asked_and_leave_the_rest() -> None:
    draws = np.random.default_rng(0)
    image, truth = draws.normal(size=(8, 40, 40)).astype(np.float32), draws.integers(1, 9, (10, 42, 42))
    for word in ("missing:0.2", "blur:0.2", "shift:0.2"):
        changed = moved = 0
        for row in range(100):
            found, ids = Variation.parse((word,), (8, 40, 40)).apply(image, truth, mix(0, 0, row))
            hit = np.array([not np.array_equal(a, b) for a, b in zip(found, image, strict=True)])
            changed += int(hit.sum())
            moved += int(sum(not np.array_equal(a, b) for a, b in zip(ids, truth, strict=True)))
            assert np.array_equal(ids[[0, -1]], truth[[0, -1]]), "labels beyond the crop stay"
            if word.startswith("missing"):
                assert not found[hit].any()
            if word.startswith("blur"):
                assert (found[hit].std(axis=(1, 2)) < 0.9).all()
        assert 0.14 < changed / 800 < 0.26
        assert (moved > 0) == word.startswith("shift")


def test_a_shifted_section_takes_its_labels_along() -> None:
    truth = np.random.default_rng(0).integers(1, 99, (4, 30, 30))
    image, moved = Variation.parse(("shift:1",), (4, 30, 30)).apply(truth.astype(np.float32), truth, mix(7))
    known = moved != UNKNOWN
    assert np.array_equal(image[known].astype(np.int64), moved[known])
    assert not image[~known].any() and not known.all()


def test_nets_that_do_not_answer_for_voxels_are_refused() -> None:
    learned = objective(VOLUME, crop=(1, 32, 32), kind="affinities")
    learned.check_outputs(torch.zeros(2, 3, 32, 32))
    for shape in ((2, 3), (2, 1, 32, 32)):
        with pytest.raises(ValueError, match="where there are 3 affinities"):
            learned.check_outputs(torch.zeros(shape))


def test_volumes_and_words_that_cannot_be_learned_are_refused() -> None:
    for dtype, shape in ((np.float32, (4, 8, 8)), (np.uint8, (3, 4, 8, 8))):
        with pytest.raises(ValueError, match="a net of volumes learns from grey levels"):
            objective(describe(shape, dtype, "v"), crop=(1, 8, 8))
    with pytest.raises(ValueError, match="boundaries have none"):
        objective(VOLUME, crop=(1, 8, 8), offsets="0,1,0")
    with pytest.raises(ValueError, match="its number must be above 0 and at most 1"):
        Variation.parse(("blur:2",), (1, 8, 8))
    with pytest.raises(ValueError, match="needs crops as high as wide"):
        Variation.parse(("transpose",), (1, 8, 9))
