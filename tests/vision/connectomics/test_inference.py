"""A voxel's answer is that of the volume: the same for any block, whole or cut, flipped or not."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.neurites import Array
from tests.neurites import boundary as drawn
from vision import model as models
from vision.connectomics.blocks import Box, Grid, Zyx
from vision.connectomics.grey import Grey
from vision.connectomics.inference import Inference, Meaning, View, as_boundary
from vision.connectomics.tiles import Tiling
from vision.model import Model
from vision.preprocessing import Preprocessing

SHAPE: Zyx = (10, 70, 62)
NEAREST = [[-1, 0, 0], [0, -1, 0], [0, 0, -1]]
LOOK = Preprocessing(resize=(32, 32), crop=None)


@cache
def image() -> Array:
    return (drawn(Box((0, 0, 0), SHAPE), 3, 100) // 2 + 40).astype(np.uint8)


def model(folder: Path, net: str, arguments: dict[str, Any], offsets: list[list[int]], crop: Zyx) -> Model:
    """A model folder with weights drawn at random, and norms that have seen something."""
    from vision import names

    torch.manual_seed(1)
    built = names.net(net, arguments)
    channels = 1
    shape = (4, channels, *crop) if arguments.get("dimensions") == 3 else (4, channels, *crop[1:])
    for _ in range(3):
        built.train()(torch.randn(shape))
    decoding = {
        "targets": "affinities" if offsets else "boundaries", "offsets": offsets, "normalise": "section",
        "crop": list(crop),
    }  # fmt: skip
    found = Model(net, LOOK, "", arguments, None, "connectomics", decoding=decoding)
    return models.save(found, folder, net=built.eval())


def unet(folder: Path, dimensions: int, offsets: list[list[int]]) -> Model:
    arguments = {"classes": len(offsets) or 1, "width": 4, "depth": 2, "dimensions": dimensions}
    return model(folder, "nets.unet:unet", arguments, offsets, (8, 32, 32) if dimensions == 3 else (1, 32, 32))


def view(patch: Zyx, margin: Zyx, overlap: Zyx, flips: bool = False) -> View:
    levels = Grey.of(image(), 0, SHAPE[0]).levels("section")
    return View(Tiling(SHAPE, patch, margin, overlap), levels, flips)


def read(box: Box) -> Array:
    return image()[box.slices]


def by_block(found: Model, how: View, size: Zyx, order: int = 1) -> Array:
    """Answers of the volume, block by block, with what a block leaves behind for the next."""
    inference, whole = Inference(found, how, read), np.zeros((Meaning.of(found).channels, *SHAPE), np.uint8)
    for block in list(Grid(SHAPE, size))[::order]:
        whole[:, *block.write.slices] = inference.answers(block.write)
    return whole


@pytest.mark.parametrize("flips", [False, True])
@pytest.mark.parametrize(("dimensions", "offsets"), [(2, []), (3, []), (3, [*NEAREST, [0, -5, 0]])])
def test_any_blocks_give_the_same_bytes(tmp_path: Path, dimensions: int, offsets: list[list[int]], flips: bool) -> None:
    found = unet(tmp_path, dimensions, offsets)
    patch, margin, overlap = (
        ((8, 32, 32), (1, 4, 4), (2, 6, 6)) if dimensions == 3 else ((1, 32, 32), (0, 4, 4), (0, 6, 6))
    )
    how = view(patch, margin, overlap, flips)
    whole = by_block(found, how, SHAPE)
    assert whole.std() > 1
    for size, order in (((4, 33, 17), 1), ((10, 16, 62), -1), ((3, 70, 20), 1)):
        assert np.array_equal(by_block(found, how, size, order), whole)


def test_flipped_views_are_those_of_the_flipped_volume(tmp_path: Path) -> None:
    """Averaged over all flips, the answer for the mirrored volume is the mirrored answer, channels moved along."""
    found = unet(tmp_path, 3, NEAREST)
    tiling = Tiling((8, 32, 32), (8, 32, 32))
    picture = image()[:8, :32, :32]
    levels = Grey.of(picture, 0, 8).levels("volume")
    plain = Inference(found, View(tiling, levels, True, "flat"), lambda box: picture[box.slices])
    turned = Inference(found, View(tiling, levels, True, "flat"), lambda box: picture[:, ::-1][box.slices])
    box = Box((0, 0, 0), (8, 32, 32))
    first, second = plain.answers(box).astype(int), turned.answers(box).astype(int)[:, :, ::-1]
    assert plain.forwards == 8
    inner = np.s_[:, 2:-2, 2:-2, 2:-2]
    assert np.abs(first[0] - second[0])[inner[1:]].max() <= 1, "along z nothing moves"
    # The affinity to the voxel above is, in the mirror, that of the voxel below to it.
    assert np.abs(first[1, :, 1:] - second[1, :, :-1])[2:-2, 2:-2, 2:-2].max() <= 1
    assert np.abs(first[1] - second[1])[2:-2, 2:-2, 2:-2].max() > 1


def test_a_patch_is_what_the_net_says_of_its_normalised_grey_levels(tmp_path: Path) -> None:
    found = unet(tmp_path, 2, [])
    how = view((1, 40, 40), (0, 4, 4), (0, 0, 0))
    box = Box(
        (2, 32, 32), (3, 38, 40)
    )  # in one patch alone: trusted parts begin at 0, 32, 38 along y and 0, 30 along x
    section = image()[2].astype(np.float32)
    normal = (section - section[section > 0].mean()) / section[section > 0].std()
    with torch.no_grad():
        seen = np.pad(normal, 4, mode="reflect")[32:72, 30:70]
        by_hand = found.build()(torch.from_numpy(seen[None, None]))[0, 0].sigmoid().numpy()
    ours = Inference(found, how, read).answers(box)[0, 0]
    assert [patch.read.begin for patch in how.tiling.patches(box)] == [(2, 28, 26)]
    assert np.abs(ours - by_hand[4:10, 6:14] * 255).max() <= 0.51


def test_a_net_without_padding_is_taken_with_a_margin(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "from torch import nn\n\ndef valid(): return nn.Sequential(nn.Conv2d(1, 3, 5), nn.ReLU(), nn.Conv2d(3, 1, 3))\n"
    )
    from vision import names

    names.trust(str(tmp_path))
    found = model(tmp_path / "model", "own:valid", {}, [], (1, 32, 32))
    with pytest.raises(ValueError, match=r"answers \(1, 1, 26, 26\) for a patch of \(1, 32, 32\); with a margin"):
        by_block(found, view((1, 32, 32), (0, 2, 2), (0, 4, 4)), SHAPE)
    one = by_block(found, view((1, 32, 32), (0, 3, 3), (0, 4, 4)), SHAPE)
    other = by_block(found, view((1, 24, 48), (0, 5, 3), (0, 1, 9)), (5, 20, 20))
    assert np.abs(one.astype(int) - other).max() <= 1, "what sees no border is the same for any patch"


def test_boundaries_of_affinities() -> None:
    answers = np.array([[[[250]]], [[[240]]], [[[200]]], [[[0]]]], np.uint8)
    meaning = Meaning("affinities", ((-1, 0, 0), (0, -1, 0), (0, 0, -1), (0, -9, 0)), "section", (1, 8, 8))
    assert int(as_boundary(answers, meaning)[0, 0, 0]) == 255 - 230
    assert int(as_boundary(answers[3:], replace(meaning, offsets=()))[0, 0, 0]) == 0
    with pytest.raises(ValueError, match="a boundary needs nearest neighbours"):
        as_boundary(answers[:1], replace(meaning, offsets=((-1, 0, 0),)))


def test_models_of_pictures_are_refused() -> None:
    with pytest.raises(ValueError, match="says nothing of volumes"):
        Meaning.of(models.load("nets.lenet:lenet5"))
