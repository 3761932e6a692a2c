"""Patches answered in batches on a device say what they say one by one; here the device is the CPU."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.neurites import Array
from tests.vision.connectomics.test_inference import NEAREST, SHAPE, by_block, image, model, read, unet, view
from vision.connectomics.affinities import turned_back
from vision.connectomics.batches import Batches, Device, Sums, inference
from vision.connectomics.blocks import Box, Grid, Zyx
from vision.connectomics.inference import Inference, Meaning, View
from vision.connectomics.tiles import Blend, Tiling
from vision.model import Model

THREE: tuple[Zyx, Zyx, Zyx] = ((8, 32, 32), (1, 4, 4), (2, 6, 6))
TWO: tuple[Zyx, Zyx, Zyx] = ((1, 32, 32), (0, 4, 4), (0, 6, 6))


def batched(found: Model, how: View, size: Zyx, device: Device, order: int = 1) -> Array:
    working, whole = Batches(found, how, read, device), np.zeros((Meaning.of(found).channels, *SHAPE), np.uint8)
    for block in list(Grid(SHAPE, size))[::order]:
        whole[:, *block.write.slices] = working.answers(block.write)
    return whole


def apart(one: Array, other: Array) -> int:
    return int(np.abs(one.astype(int) - other).max())


@pytest.mark.parametrize("flips", [False, True])
@pytest.mark.parametrize(("dimensions", "offsets"), [(2, []), (3, [*NEAREST, [0, -5, 0]])])
def test_batches_say_what_single_patches_say(
    tmp_path: Path, dimensions: int, offsets: list[list[int]], flips: bool
) -> None:
    found, how = unet(tmp_path, dimensions, offsets), view(*(THREE if dimensions == 3 else TWO), flips)
    alone = by_block(found, how, SHAPE)
    together = batched(found, how, SHAPE, Device("cpu", "fp32", 5))
    assert alone.std() > 1
    assert apart(alone, together) <= 1 and (alone == together).mean() > 0.99, "but for last digits of float32"
    for size, order in (((4, 33, 17), 1), ((3, 70, 20), -1)):
        assert np.array_equal(batched(found, how, size, Device("cpu", "fp32", 5), order), together), "any blocks"


def test_bfloat16_is_near(tmp_path: Path) -> None:
    found, how = unet(tmp_path, 2, []), view(*TWO)
    near = batched(found, how, SHAPE, Device("cpu", "bf16", 8))
    alone = by_block(found, how, SHAPE)
    assert not np.array_equal(near, alone)
    assert np.abs(near.astype(int) - alone).mean() < 1 and apart(near, alone) <= 8


def test_what_is_not_imaged_is_no_neuron_and_costs_nothing(tmp_path: Path) -> None:
    found, how = unet(tmp_path, 3, NEAREST), view(*THREE)
    for device in (Device(), Device("cpu", "fp32", 3)):
        dark = inference(found, how, lambda box: np.zeros(box.shape, np.uint8), device)
        assert not dark.answers(Box((0, 0, 0), SHAPE)).any()
        assert dark.forwards == 0
    half = image().copy()
    half[:, :, 30:] = 0
    one, other = (
        inference(found, how, lambda box: half[box.slices], device).answers(Box((0, 0, 0), SHAPE))
        for device in (Device(), Device("cpu", "fp32", 4))
    )
    assert apart(one, other) <= 1


def test_wide_grey_levels_are_taken(tmp_path: Path) -> None:
    found, how = unet(tmp_path, 2, []), view(*TWO)
    wide = replace(how, levels=replace(how.levels, mean=how.levels.mean * 256, spread=how.levels.spread * 256))
    box = Box((0, 0, 0), (3, 40, 40))
    working = Batches(found, wide, lambda at: image()[at.slices].astype(np.uint16) * 256, Device("cpu", "fp32", 4))
    assert apart(working.answers(box), Batches(found, how, read, Device("cpu", "fp32", 4)).answers(box)) <= 1


def test_a_net_without_padding_is_taken_with_a_margin(tmp_path: Path) -> None:
    (tmp_path / "bare.py").write_text(
        "from torch import nn\n\ndef valid(): return nn.Sequential(nn.Conv2d(1, 3, 5), nn.ReLU(), nn.Conv2d(3, 1, 2))\n"
    )
    from vision import names

    names.trust(str(tmp_path))
    found, how = model(tmp_path / "model", "bare:valid", {}, [], (1, 32, 32)), view((1, 32, 32), (0, 3, 3), (0, 4, 4))
    assert apart(by_block(found, how, SHAPE), batched(found, how, SHAPE, Device("cpu", "fp32", 6))) <= 1
    with pytest.raises(ValueError, match=r"answers \(1, 1, 27, 27\) for a patch of \(1, 32, 32\); with a margin"):
        batched(found, view((1, 32, 32), (0, 2, 2), (0, 4, 4)), SHAPE, Device("cpu", "fp32", 6))


def test_blending_is_that_of_tiles_to_the_last_bit() -> None:
    draws, tiling = np.random.default_rng(0), Tiling((7, 30, 31), (4, 12, 14), (1, 2, 2), (1, 3, 4))
    box = Box((1, 3, 0), (7, 30, 29))
    ours = Sums(tiling, box, 2, torch.tensor(tiling.weights("bump")))
    theirs = Blend(tiling, box, 2, "bump")
    for patch in tiling.patches(box):
        for share in (0.7, 1.0):
            answer, known = draws.random((2, 4, 12, 14), np.float32), draws.random((2, 4, 12, 14)) < share
            ours.add(patch, torch.from_numpy(answer), torch.from_numpy(known))
            theirs.add(patch, answer, known)
    assert np.array_equal(ours.result(), theirs.result())


def test_flipped_affinities_are_turned_back_alike(tmp_path: Path) -> None:
    found, how = unet(tmp_path, 3, [*NEAREST, [0, 0, 3]]), view(*THREE)
    working = Batches(found, how, read, Device("cpu", "fp32", 2))
    values = np.random.default_rng(1).random((2, 4, 5, 8, 9), np.float32)
    for axes in ((), (0,), (1, 2), (0, 1, 2)):
        ours, known = (part.numpy() for part in working._turned_back(torch.from_numpy(values), axes))
        for one, other, seen in zip(values, ours, known, strict=True):
            wanted, wanted_known = turned_back(one, working.meaning.offsets, axes)
            assert np.array_equal(wanted, other) and np.array_equal(wanted_known, seen)


def test_what_is_no_probability_is_told(tmp_path: Path) -> None:
    found = unet(tmp_path, 2, [])
    net = found.build()
    with torch.no_grad():
        next(net.parameters()).fill_(float("nan"))
    working = Batches(found, view(*TWO), read, Device("cpu", "fp32", 4), net)
    with pytest.raises(ValueError, match="must be probabilities"):
        working.answers(Box((0, 0, 0), (1, 20, 20)))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no GPU is to be had here for cuda: torch .* sees none"):
        inference(unet(tmp_path, 2, []), view(*TWO), read, Device.of("cuda", (1, 32, 32)))


def test_the_usual_device_is_the_cpu_one_patch_at_a_time(tmp_path: Path) -> None:
    assert type(inference(unet(tmp_path, 2, []), view(*TWO), read, Device.of("cpu", (1, 32, 32)))) is Inference
    assert Device.of("cuda", (1, 256, 256)) == Device("cuda", "bf16", 64)
    assert Device.of("cuda", (128, 512, 512), "fp32") == Device("cuda", "fp32", 1)
    assert not Device.of("cpu", (1, 32, 32), batch=2).usual
