"""Agglomeration of stored graphs: tables from files that are read one after another, and what memory that takes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jobs.segmenting.agglomerate import DRIVER_BYTES, Agglomeration
from jobs.segmenting.graph import Graph
from jobs.stages.region import Region
from vision.connectomics.agglomeration import greedy
from vision.connectomics.blocks import Box, Grid
from vision.connectomics.edges import Edges
from vision.connectomics.unionfind import consecutive, joined

ROOT = Path(__file__).parents[3]
TIMES = 9
"""Edges for each fragment, as of a watershed."""

PROGRAM = """
import sys
from jobs.arrow import without_pandas
from tests.jobs.segmenting import test_agglomerate as test

without_pandas()  # as every job of the command line

def most():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) * 1024

work = test.agglomeration("{method}", {groups}, apart={apart})
list(work._files()), __import__("scipy.sparse.csgraph"), __import__("pyarrow.parquet")
before = most()
for table in work.tables([0.2, 0.3]):
    assert len(table) == {fragments}
print(before, most())
"""


def agglomeration(method: str, groups: int, min_size: int = 0, apart: bool = True) -> Agglomeration:
    region = Region(Grid((groups, 1, 1), (1, 1, 1)), Box((0, 0, 0), (groups, 1, 1)))
    return Agglomeration(".", region, "edges", method, None, min_size, apart=apart)


def write(fragments: int, groups: int, seed: int = 0) -> Graph:
    """The files of a random graph whose fragments touch those of near numbers; each pair in one file."""
    chance = np.random.default_rng(seed)
    first = np.repeat(np.arange(1, fragments + 1), TIMES)
    second = first + chance.integers(1, 60, len(first))
    pairs = np.unique(np.stack([first, second], axis=1)[second <= fragments], axis=0).astype(np.uint64) * np.uint64(977)
    count = chance.integers(1, 50, len(pairs))
    means = chance.integers(0, 511, len(pairs))
    none = np.empty((len(pairs), 0), np.int64)
    edges = Edges(pairs, count, count * means, count * means**2, means, means, none)
    ids = np.arange(1, fragments + 1, dtype=np.uint64) * np.uint64(977)
    sizes = chance.integers(1, 900, fragments)
    Path("edges").mkdir()
    owner, of_id = (ends * np.uint64(groups) // (ids[-1] + np.uint64(1)) for ends in (pairs[:, 1], ids))
    for group in range(groups):
        rows, mine = owner == group, of_id == group
        part = Edges(**{name: values[rows] for name, values in vars(edges).items()})
        Path(f"edges/part-{group:06d}.parquet").write_bytes(Graph(ids[mine], sizes[mine], part).to_parquet())
    return Graph(ids, sizes, edges)


@pytest.mark.parametrize("apart", [True, False])
def test_tables_by_threshold_are_those_of_the_whole_graph(apart: bool) -> None:
    graph = write(3000, 7)
    work = agglomeration("threshold", 7, apart=apart)
    for threshold, table in zip((0.3, 0.1), work.tables([0.3, 0.1]), strict=True):
        wanted = consecutive(joined(graph.ids, graph.edges.pairs[graph.edges.mean <= threshold]))
        np.testing.assert_array_equal(table.ids, wanted.ids)
        np.testing.assert_array_equal(table.values, wanted.values)
        assert 1 < len(np.unique(table.values)) < 3000


def test_greedy_tables_need_means_alone() -> None:
    graph = write(600, 3)
    (table,) = agglomeration("greedy", 3).tables([0.3])
    np.testing.assert_array_equal(table.values, consecutive(greedy(graph.ids, graph.edges).at(0.3)).values)
    (fewer,) = agglomeration("greedy", 3, min_size=2000).tables([0.3])
    assert len(np.unique(fewer.values)) < len(np.unique(table.values))


def grown(method: str, fragments: int, groups: int, apart: bool = True) -> tuple[int, int]:
    """Bytes that tables by two thresholds took besides what was there before; edges."""
    edges = len(write(fragments, groups).edges)
    program = PROGRAM.format(method=method, groups=groups, fragments=fragments, apart=apart)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    before, after = map(int, done.stdout.split())
    return after - before, edges


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "apart", "most"), [("threshold", True, 100), ("threshold", False, 200), ("greedy", True, 800)]
)
def test_what_an_edge_takes(method: str, apart: bool, most: int) -> None:
    """Of a million; and the dry run says no less, and not more than twice as much."""
    took, edges = grown(method, 111_112, 16, apart)
    said = agglomeration(method, 16, apart=apart).memory(edges) - DRIVER_BYTES
    print(f"{method}: {edges:,} edges, {took / edges:.0f} bytes each; said {said / edges:.0f}")
    assert edges > 900_000 and took / edges < most
    assert took <= said <= 2 * took
