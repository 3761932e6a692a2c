"""Skeletons: SWC files, expected run length and mergers on trees small enough to count by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.em import shared_em
from vision.connectomics.blocks import Grid
from vision.connectomics.relabel import Lookup
from vision.connectomics.skeletons import Skeletons, run_lengths

STRAIGHT = "# a line of five nodes, 10 nm apart\n" + "\n".join(
    f"{i} 2 {10 * (i - 1)} 0 0 1 {i - 1 if i > 1 else -1}" for i in range(1, 6)
)
FORK = "1 2 0 100 5 1 -1\n2 2 0 130 5 1 1\n3 2 0 100 45 1 1  # two branches of 30 and 40\n"


def both() -> Skeletons:
    return Skeletons.of_swc({"straight": STRAIGHT, "fork": FORK})


def test_swc_files_become_trees_in_zyx() -> None:
    found = both()
    assert found.names == ("fork", "straight") and found.skeleton.tolist() == [0] * 3 + [1] * 5
    assert found.position_nm[1].tolist() == [5, 130, 0] and found.position_nm[-1].tolist() == [0, 0, 40]
    assert found.parent.tolist() == [-1, 0, 0, -1, 3, 4, 5, 6]
    assert found.edges()[1].tolist() == [30, 40, 10, 10, 10, 10]
    assert Skeletons.of_swc({"fork": FORK}, unit_nm=1000).position_nm[1].tolist() == [5000, 130_000, 0]
    assert Skeletons.of_swc({"late": "7 0 0 0 0 1 9\n9 0 1 1 1 1 -1"}).parent.tolist() == [1, -1]


def test_runs_by_hand() -> None:
    """All right: (70^2 + 40^2) / 110. Cut after two edges of the line: runs of 70, 20, 10 and a missed edge."""
    perfect = run_lengths(both(), np.array([1] * 3 + [2] * 5))
    assert perfect.erl_nm.value == perfect.best_nm == pytest.approx(6500 / 110) and perfect.share == 1
    assert (perfect.length_nm, perfect.split_edges, perfect.missed_nodes, perfect.mergers) == (110, 0, 0, 0)
    cut = run_lengths(both(), np.array([1] * 3 + [2] * 3 + [3] * 2))
    assert cut.erl_nm.value == pytest.approx((4900 + 400 + 100) / 110) and cut.split_edges == 1
    holed = run_lengths(both(), np.array([1] * 3 + [2, 2, 0, 2, 2]))
    assert holed.erl_nm.value == pytest.approx((4900 + 400) / 110)
    assert (holed.split_edges, holed.missed_nodes) == (0, 1)
    assert holed.erl_nm.n == 2 and holed.erl_nm.low <= holed.erl_nm.value <= holed.erl_nm.high


def test_a_merger_costs_both_neurons() -> None:
    merged = run_lengths(both(), np.array([1] * 3 + [1] * 2 + [2] * 3))
    assert merged.erl_nm.value == pytest.approx(20**2 / 110) and (merged.mergers, merged.merged) == (1, 1)
    spared = run_lengths(both(), np.array([1, 1, 1, 1, 2, 2, 2, 2]), least_nodes=2)
    assert spared.mergers == 0 and spared.erl_nm.value == pytest.approx((4900 + 900) / 110)


def test_runs_against_a_walk_over_each_edge() -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        segments, skeletons = generator.integers(0, 6, 8), both()
        owners: dict[int, set[int]] = {}
        for segment, owner in zip(segments.tolist(), skeletons.skeleton.tolist(), strict=True):
            owners.setdefault(segment, set()).add(owner)
        runs: dict[tuple[int, int], float] = {}
        for (child, parent), length in zip(*skeletons.edges(), strict=True):
            segment = int(segments[child])
            if segment and segment == segments[parent] and len(owners[segment]) == 1:
                key = (segment, int(skeletons.skeleton[child]))
                runs[key] = runs.get(key, 0.0) + float(length)
        found = run_lengths(skeletons, segments.astype(np.uint64) << np.uint64(58))
        assert found.erl_nm.value == pytest.approx(sum(r * r for r in runs.values()) / 110)
        assert found.mergers == sum(len(o) > 1 for s, o in owners.items() if s)


def test_nodes_are_sampled_block_by_block_and_mapped_by_tables() -> None:
    labels = np.arange(1, 2 * 14 * 7 + 1, dtype=np.uint64).reshape(2, 14, 7)
    found, voxel_nm, grid = np.zeros(8, np.uint64), (40.0, 10.0, 8.0), Grid(labels.shape, (1, 5, 3))
    for block in grid:
        rows, voxels = both().within(block.write, voxel_nm)
        assert not found[rows].any()  # no node lies in two blocks
        found[rows] = labels[block.write.slices][tuple(voxels.T)]
    position = np.floor(both().position_nm / np.array(voxel_nm)).astype(int)
    assert found.tolist() == labels[tuple(position.T)].tolist()
    lookup = Lookup.of(np.unique(found), np.ones(len(np.unique(found)), np.uint64))
    assert run_lengths(both(), lookup.apply(found)).mergers == 1
    assert len(both().within(grid.block(0).write, voxel_nm, (0, 1000, 0))[0]) == 0


def test_a_truth_volume_follows_its_own_skeletons() -> None:
    """Lines through the middles of real neurons: the truth itself never errs, the over-segmentation often."""
    volume = shared_em("fib25_medulla_train")
    truth = volume["gt"]
    texts = {}
    for name in np.unique(truth)[1:60]:
        places = [np.argwhere(section == name) for section in truth[::10]]
        nodes = [(10 * z, *part[len(part) // 2]) for z, part in enumerate(places) if len(part)]
        if len(nodes) > 3:
            texts[f"{name}"] = "\n".join(f"{i + 1} 2 {x} {y} {z} 1 {i or -1}" for i, (z, y, x) in enumerate(nodes))
    skeletons = Skeletons.of_swc(texts, unit_nm=10)
    at = tuple(np.round(skeletons.position_nm / 10).astype(int).T)
    perfect, cut = run_lengths(skeletons, truth[at]), run_lengths(skeletons, volume["ws"][at])
    assert perfect.share == pytest.approx(1) and perfect.mergers == 0
    assert cut.share < 0.2 and cut.split_edges > 40


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1 2 0 0 0 1", r"bad, line 1: a node of an SWC file has 7 numbers, got '1 2 0 0 0 1'"),
        ("1 2 0 0 zero 1 -1", "line 1"),
        ("1 2 0 0 0 1 -1\n1 2 0 0 0 1 -1", "line 2: node 1 comes twice"),
        ("1 2 0 0 0 1 5", "line 1: there is no node 5 to be its parent"),
    ],
)
def test_what_is_wrong_is_said(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Skeletons.of_swc({"bad": text})
    with pytest.raises(ValueError, match=r"one a node, \(8,\), got \(3,\)"):
        run_lengths(both(), np.ones(3, np.uint64))
    assert math.isnan(run_lengths(Skeletons.of_swc({}), np.empty(0, np.uint64)).share)
