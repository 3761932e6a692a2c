"""A real crop with its boundary map, split in the middle: what is chosen on one half holds on the other."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from tests.em import edges_by_block, fragments_by_block, shared_em
from tests.neurites import Array
from vision.connectomics.agglomeration import Joins, greedy
from vision.connectomics.blocks import Grid
from vision.connectomics.contingency import Contingency
from vision.connectomics.edges import Edges
from vision.connectomics.fragments import Fragmenter
from vision.connectomics.labelling import Backend
from vision.connectomics.scores import adapted_rand_error, variation_of_information

THRESHOLDS = np.arange(0.3, 1.0, 0.025)
HALVES = {"train": np.s_[:, :, :100], "test": np.s_[:, :, 100:]}


def agglomerated(boundary: Array, backend: Backend) -> tuple[Array, Joins]:
    """Fragments of blocks of 50 x 64 x 64, and the history of their joins."""
    grid = Grid(boundary.shape, (50, 64, 64), (0, 24, 24))
    fragments = fragments_by_block(boundary, grid, Fragmenter(backend=backend))
    return fragments, greedy(np.unique(fragments), Edges.added(edges_by_block(fragments, boundary, grid)))


def sweep(truth: Array, fragments: Array, joins: Joins) -> list[float]:
    tables = (Contingency.of(truth, joins.at(threshold).apply(fragments)) for threshold in THRESHOLDS)
    return [sum(variation_of_information(table)) for table in tables]


@pytest.mark.parametrize("backend", get_args(Backend))
def test_gala_with_the_threshold_of_the_training_half(backend: Backend) -> None:
    """Others' over-segmentation has 1.20 + 0.13 bits and an error of 0.255 on the test half; ours 0.24, 0.02."""
    volume = shared_em("fib_gala_train")
    halves = {name: {key: np.ascontiguousarray(volume[key][box]) for key in volume} for name, box in HALVES.items()}
    made = {name: agglomerated(half["p1"], backend) for name, half in halves.items()}
    chosen = float(THRESHOLDS[np.argmin(sweep(halves["train"]["gt"], *made["train"]))])
    truth, (fragments, joins) = halves["test"]["gt"], made["test"]
    ours, theirs = (Contingency.of(truth, found) for found in (joins.at(chosen).apply(fragments), halves["test"]["ws"]))
    vi, floor = variation_of_information(ours), variation_of_information(theirs)
    error = adapted_rand_error(ours, "skimage")
    print(f"{backend}, threshold {chosen:.3f}: VI {vi[0]:.3f} + {vi[1]:.3f}, ARE {error:.3f}")
    print(f"over-segmentation: VI {floor[0]:.3f} + {floor[1]:.3f}")
    assert sum(floor) == pytest.approx(1.3269, abs=1e-4)
    assert sum(vi) <= 0.6 * sum(floor) and sum(vi) < 0.3
    assert error <= adapted_rand_error(theirs, "skimage") and error < 0.03
