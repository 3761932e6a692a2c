"""Fragments of blocks: what is kept, what never happens."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests import neurites
from tests.em import SIZES, edges_by_block, fragments_by_block, renamed
from vision.connectomics.agglomeration import by_threshold
from vision.connectomics.blocks import Box, Grid
from vision.connectomics.contingency import Contingency
from vision.connectomics.edges import Edges
from vision.connectomics.fragments import Fragmenter
from vision.connectomics.labelling import Backend, components
from vision.connectomics.scores import variation_of_information

WHOLE = Box((0, 0, 0), (80, 90, 100))
BACKENDS: tuple[Backend, ...] = ("skimage", "bioimage-cpp")


def with_window(**options: Any) -> Fragmenter:
    return Fragmenter(window=6, **options)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_fragments_edges_and_union_find_of_blocks_are_the_neurons(size: tuple[int, int, int], backend: Backend) -> None:
    """With a perfect boundary map every cut of the volume gives the components of the whole."""
    boundary = neurites.boundary(WHOLE, noise=60)
    grid = Grid(boundary.shape, size, (4, 8, 8))
    fragments = fragments_by_block(boundary, grid, with_window(fill=False, backend=backend))
    edges = Edges.added(edges_by_block(fragments, boundary, grid))
    ids = np.unique(fragments[fragments > 0])
    found = by_threshold(ids, edges, [0.5])[0].apply(fragments)
    whole = components(neurites.labels(WHOLE))
    assert len(ids) > 2 * whole.max()
    assert renamed(found, whole)


@pytest.mark.parametrize("options", [{}, {"per_section": True}, {"fill": False}, {"backend": "bioimage-cpp"}])
def test_fragments_are_connected_numbered_and_within_their_block(options: dict[str, Any]) -> None:
    boundary = neurites.boundary(Box((0, 0, 0), (24, 40, 44)), noise=100)
    grid = Grid(boundary.shape, (16, 24, 24), (8, 12, 12))
    for block in grid:
        local = with_window(**options).of_block(boundary[block.read.slices], block.core)
        assert local.shape == block.write.shape and local.dtype == np.uint32
        assert renamed(local, components(local))
        assert np.array_equal(np.unique(local[local > 0]), np.arange(1, local.max() + 1))
        if options.get("fill", True):
            assert (local > 0).all() or options.get("per_section")
        else:
            assert np.array_equal(local > 0, boundary[block.write.slices] < 127.5)


def test_a_fragment_cut_in_two_by_its_block_gets_two_names() -> None:
    """A U whose bottom lies outside the write box."""
    boundary = np.full((3, 12, 12), 255, np.uint8)
    boundary[:, 1:11, 2:4] = boundary[:, 1:11, 8:10] = boundary[:, 7:11, 2:10] = 0
    one = Fragmenter(window=40, fill=False).of_block(boundary)
    halves = Fragmenter(window=40, fill=False).of_block(boundary, np.s_[:, :6, :])
    assert one.max() == 1 and halves.max() == 2
    assert halves[1, 4, 2] == 1 and halves[1, 4, 8] == 2


@pytest.mark.parametrize("per_section", [False, True])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_thin_neurite_beside_a_thick_one_is_a_fragment(backend: Backend, per_section: bool) -> None:
    """Wherever its window looks, the thick one is farther from a boundary: the thin one has no peak of its own."""
    boundary = np.full((3, 20, 24), 255, np.uint8)
    boundary[:, 2:18, 2:16] = boundary[:, 2:18, 18:20] = 0
    found = Fragmenter(window=40, fill=False, per_section=per_section, backend=backend).of_block(boundary)
    assert np.array_equal(found > 0, boundary == 0)
    assert len(np.unique(found[1, 2:18, 18:20])) == 1 and found[1, 5, 18] != found[1, 5, 5]
    assert found.max() == (6 if per_section else 2)


@pytest.mark.parametrize("backend", BACKENDS)
def test_sections_are_flooded_one_by_one(backend: Backend) -> None:
    """The same image in all sections: fragments of a section are those of it alone, joined where they overlap."""
    boundary = np.repeat(neurites.boundary(Box((5, 0, 0), (6, 40, 44))), 3, axis=0)
    fragmenter = with_window(per_section=True, fill=False, backend=backend)
    alone, together = fragmenter.of_block(boundary[:1]), fragmenter.of_block(boundary)
    assert [len(np.unique(part)) for part in together] == [alone.max() + 1] * 3
    assert together.max() == 3 * alone.max()  # a section's fragments are its own


def test_masks_blanks_and_boundaries_leave_nothing() -> None:
    boundary = neurites.boundary(Box((0, 0, 0), (10, 40, 44)))
    mask = np.zeros(boundary.shape, bool)
    mask[:, :20] = True
    found = with_window().of_block(boundary, mask=mask)
    assert (found[:, 20:] == 0).all() and (found[:, :20] > 0).all()
    assert with_window().of_block(np.full((5, 6, 7), 255, np.uint8)).max() == 0
    assert with_window().of_block(np.zeros((5, 6, 7), np.uint8)).tolist() == np.ones((5, 6, 7)).tolist()


def test_fragments_that_are_mostly_boundary_are_left_out() -> None:
    boundary = np.full((4, 10, 21), 255, np.uint8)
    boundary[:, 1:9, 1:10], boundary[:, 1:9, 11:20] = 20, 120
    all_of_them = Fragmenter(window=8, fill=False).of_block(boundary)
    clear = Fragmenter(window=8, fill=False, most_boundary=0.3).of_block(boundary)
    assert all_of_them.max() == 2 and clear.max() == 1
    assert np.array_equal(clear > 0, boundary == 20)


def test_both_libraries_say_the_same_after_agglomeration() -> None:
    """Plateaus are shared out differently; whoever joins them up to the neuron sees no difference."""
    boundary, found = neurites.boundary(Box((0, 0, 0), (30, 50, 60)), noise=90), []
    for backend in BACKENDS:
        grid = Grid(boundary.shape, boundary.shape)
        fragments = fragments_by_block(boundary, grid, with_window(fill=False, backend=backend))
        edges = edges_by_block(fragments, boundary, grid)[0]
        found.append(by_threshold(np.unique(fragments[fragments > 0]), edges, [0.4])[0].apply(fragments))
    assert sum(variation_of_information(Contingency.of(*found))) == 0


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Fragmenter(threshold=0), "threshold must be above 0 and at most 1, got 0"),
        (lambda: Fragmenter(most_boundary=2), "most_boundary must be above 0"),
        (lambda: Fragmenter(window=0), "window must be at least 1 voxel, got 0"),
        (lambda: Fragmenter(backend="itk"), "backend must be skimage or bioimage-cpp, got 'itk'"),  # type: ignore[arg-type]
        (lambda: Fragmenter().of_block(np.zeros((3, 3, 3))), "must be uint8"),
    ],
)
def test_what_is_wrong_is_said(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


def test_a_missing_library_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "bioimage_cpp", None)
    with pytest.raises(
        ValueError, match=r"needs bioimage-cpp, which is not installed: pip install 'safelight\[volumes\]'"
    ):
        components(np.ones((2, 2, 2), np.uint8), "bioimage-cpp")
