"""Pictures of sections: colours by id, and errors where they are."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from jobs.segmenting import pictures
from jobs.spec import Example
from jobs.volumes.opening import Opened, opened
from vision.accumulator import Array
from vision.connectomics.blocks import Box
from vision.connectomics.contingency import Contingency

BOX = Box((0, 0, 0), (4, 100, 120))
TRUTH = np.ones(BOX.shape, np.uint64)
TRUTH[:, 50:] = 2
TRUTH[:, :, 100:] = 3
FOUND = np.where(TRUTH == 3, 11, TRUTH + np.uint64(10))  # neuron 3 is swallowed by the segment of neuron 1
FOUND[:, :20, :20] = 99  # a piece of neuron 1 is split off


@pytest.fixture
def volumes() -> tuple[Opened, Opened]:
    np.savez("v.npz", truth=TRUTH, found=FOUND.astype(np.uint64))
    return opened("v.npz#found", "labels", labels=True), opened("v.npz#truth", "truth", labels=True)


def pixels(example: Example) -> Array:
    return np.array(Image.open(io.BytesIO(example.jpeg))).astype(int)


def test_segments_have_colours_of_their_own(volumes: tuple[Opened, Opened]) -> None:
    shown = pictures.sections(volumes[0], None, BOX)
    assert [example.id for example in shown] == ["section z 1", "section z 2", "section z 3"]
    first = pixels(shown[0])
    assert first.shape == (100, 120, 3)
    middles = [first[10, 10], first[30, 60], first[80, 60]]  # segments 99, 11, 12
    assert all(abs(a - b).sum() > 40 for n, a in enumerate(middles) for b in middles[:n])
    assert abs(first[30, 60] - first[80, 110]).sum() < 20, "one segment, one colour"
    assert shown[0].jpeg == pictures.sections(volumes[0], None, BOX)[0].jpeg


def test_errors_are_where_they_are(volumes: tuple[Opened, Opened]) -> None:
    table = Contingency.of(TRUTH, FOUND.astype(np.uint64))
    first = pixels(pictures.errors(*volumes, table, None, BOX)[0])
    red, green, blue = first[10, 10]
    assert blue > red + 60, "split off"
    red, green, blue = first[50, 110]
    assert red > blue + 60 and red > green + 60, "merged"
    assert np.ptp(first[30, 60]) < 20 and np.ptp(first[80, 60]) < 20, "right: grey"


def test_large_sections_are_shown_small() -> None:
    ids = np.zeros((2, 700, 900), np.uint8)
    ids[:, 300:, 300:] = 5
    np.save("large.npy", ids)
    shown = pictures.sections(opened("large.npy", "labels"), None, Box((0, 0, 0), ids.shape))
    assert max(pixels(shown[0]).shape) <= pictures.SIDE
