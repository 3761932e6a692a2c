"""Stages of a volume as `segment` runs them, from and to stored volumes, against the best libraries' bare calls.

    python -m tests.benchmarks.stored_volumes [--shape 128,256,256] [--block 128] [--rounds 3] [--stages ...] [--json F]

Ours are the stages themselves: blocks read, worked on, written with digests, marks and files of rows. The libraries'
are the calls that do no more than that, block by block with the same halo, from and to the same arrays. Both read by
zarr-python and by tensorstore; ours always write by zarr-python, theirs by what they read with. Million voxels for each
CPU-second of all threads; contenders run in turn in each round, and ratios are between runs of one round.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import bioimage_cpp
import numpy as np
import zarr
from scipy import ndimage

from jobs.segment import Segment
from jobs.segmenting.inputs import Inputs
from jobs.segmenting.stages import Stages
from jobs.spec import Plain
from jobs.stages import course
from jobs.volumes import quick
from jobs.volumes.writing import Target
from tests import neurites
from tests.benchmarks.volumes import Contenders, commit, measured
from tests.neurites import Array
from vision.connectomics.blocks import Block, Box, Grid
from vision.connectomics.installed import library

WINDOW, HALO, THRESHOLD = 8, 16, 0.4
OUT = "out"

Blockwise = Callable[[Block, "Arrays"], None]


class Arrays:
    """Stored arrays as a library opens them: by zarr-python or by tensorstore."""

    def __init__(self, by: str) -> None:
        self._by, self._open = by, dict[str, Any]()

    def read(self, path: str, box: Box) -> Array:
        found = self._array(path)[box.slices]
        return np.asarray(found.read().result() if self._by == "tensorstore" else found)

    def write(self, path: str, box: Box, values: Array) -> None:
        array = self._array(path)
        if self._by == "tensorstore":
            array[box.slices].write(values).result()
        else:
            array[box.slices] = values

    def _array(self, path: str) -> Any:
        if path not in self._open:
            spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": f"{Path(path).absolute()}/"}}
            self._open[path] = (
                library("tensorstore").open(spec, context=quick.context()).result()
                if self._by == "tensorstore"
                else zarr.open_array(path, mode="r+")
            )
        return self._open[path]


class Stored:
    """A volume on disk, what a whole run of `segment` makes of it, and its stages by name."""

    def __init__(self, shape: tuple[int, int, int], block: int) -> None:
        box, self.grid = Box((0, 0, 0), shape), Grid(shape, (block,) * 3, (HALO,) * 3)
        store("boundary", neurites.boundary(box, noise=90), Grid(shape, (64, 64, 64)))
        store("truth", neurites.labels(box), self.grid)
        self.job = Segment(
            boundaries="boundary", truth="truth", output=OUT, block=(block,), halo=(HALO,), workers=0, window=WINDOW,
            thresholds=(THRESHOLD,), method="threshold",
        )  # fmt: skip
        self.job.run()
        self.empty = {path: Target(path, self.grid, "uint64") for path in ("made", "relabelled")}
        self.base = np.uint64(self.grid.voxels_per_block)

    def stage(self, name: str) -> Any:
        stages = Stages.of(self.job, str(Path(OUT).absolute()), Inputs.of(self.job))
        return stages.relabel(THRESHOLD) if name == "relabel" else getattr(stages, name)()

    def forget(self, name: str) -> None:
        """Remove what a stage left, so that it is done again."""
        stage = self.stage(name)
        for place in (stage.folder, stage.target.url if stage.target else None, f"{OUT}/state/{stage.name}"):
            if place is not None:
                shutil.rmtree(place, ignore_errors=True)
        for path in self.empty:
            shutil.rmtree(path, ignore_errors=True)
            self.empty[path].begin()

    def ours(self, name: str, by: str) -> Callable[[], Any]:
        how = contextlib.nullcontext() if by == "tensorstore" else mock.patch.object(quick, "opened", lambda *_: None)

        def run() -> None:
            with how:
                done = course.carry_out(str(Path(OUT).absolute()), self.stage(name), self.job, Plain())
            assert done.made == len(self.grid)

        return run

    def theirs(self, block_of: Blockwise, by: str) -> Callable[[], Any]:
        def run() -> None:
            arrays = Arrays(by)
            for block in self.grid:
                block_of(block, arrays)

        return run


def store(path: str, values: Array, grid: Grid) -> None:
    """An array in chunks of the grid, or shards of it with chunks of 64, as `segment` writes its own."""
    target = Target(path, grid, str(values.dtype))
    target.begin()
    writer = target.writer()
    for block in grid:
        writer.write(block, values[block.write.slices])


def fragments(stored: Stored) -> Blockwise:
    def one(block: Block, arrays: Arrays) -> None:
        boundary = arrays.read("boundary/0", block.read)
        distance = bioimage_cpp.distance.distance_transform(boundary < 128)
        seeds = ndimage.label((distance == ndimage.maximum_filter(distance, WINDOW)) & (distance > 0))[0]
        height = distance.max() - distance + boundary.astype(np.float32) / 255 * (distance == 0)
        flooded = bioimage_cpp.segmentation.watershed(height.astype(np.float32), seeds.astype(np.uint32))
        local = bioimage_cpp.segmentation.label(flooded[block.core], connectivity=1)
        arrays.write("made/0", block.write, local.astype(np.uint64) + np.uint64(block.number) * stored.base)

    return one


def edges(stored: Stored) -> Blockwise:
    features = bioimage_cpp.graph.features

    def one(block: Block, arrays: Arrays) -> None:
        box = Box(tuple(max(0, b - 1) for b in block.write.begin), block.write.end)  # type: ignore[arg-type]
        found, boundary = arrays.read(f"{OUT}/fragments/0", box), arrays.read("boundary/0", box)
        local, _, back = bioimage_cpp.segmentation.relabel_sequential(found)  # its graph wants small ids
        local = local.astype(np.uint32)
        graph = bioimage_cpp.graph.region_adjacency_graph(local, number_of_threads=1)
        table = features.edge_map_features(graph, local, boundary.astype(np.float32), number_of_threads=1)
        np.savez(f"graph-{block.number}.npz", ids=back, pairs=graph.uv_ids(), table=table)

    return one


def relabel(stored: Stored) -> Blockwise:
    # Small numbers, as segments have: packing them is most of the work.
    values = np.random.default_rng(0).integers(1, 500, stored.grid.voxels_per_block // 64).astype(np.uint64)
    values[0] = 0

    def one(block: Block, arrays: Arrays) -> None:
        found = arrays.read(f"{OUT}/fragments/0", block.write)
        dense = found - np.uint64(block.number) * stored.base  # no id is 0 here: numpy's table is the quickest
        arrays.write("relabelled/0", block.write, values[dense])

    return one


def overlaps(_stored: Stored) -> Blockwise:
    def one(block: Block, arrays: Arrays) -> None:
        found, truth = arrays.read(f"{OUT}/fragments/0", block.write), arrays.read("truth/0", block.write)
        bioimage_cpp.utils.segmentation_overlap(truth, found)

    return one


STAGES: dict[str, Callable[[Stored], Blockwise]] = {
    "fragments": fragments, "edges": edges, "relabel": relabel, "overlaps": overlaps,
}  # fmt: skip
READERS = ("zarr", "tensorstore")


def contenders(stored: Stored, name: str) -> Contenders:
    """Ours and the library's, by each way to read."""
    bare = STAGES[name](stored)
    found: Contenders = {f"ours, read by {by}": stored.ours(name, by) for by in reversed(READERS)}
    return {**found, **{f"library, by {by}": stored.theirs(bare, by) for by in READERS}}


@contextlib.contextmanager
def elsewhere() -> Iterator[None]:
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        yield


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--shape", default="128,256,256", help="of the volume, z,y,x")
    words.add_argument("--block", type=int, default=128)
    words.add_argument("--rounds", type=int, default=3)
    words.add_argument("--stages", default=",".join(STAGES))
    words.add_argument("--json", type=lambda text: Path(text).absolute(), help="where to write the figures")
    given = words.parse_args()
    z, y, x = (int(part) for part in given.shape.split(","))
    record: dict[str, Any] = {"commit": commit(), "load": os.getloadavg(), "shape": [z, y, x], "block": given.block}
    with elsewhere():
        stored = Stored((z, y, x), given.block)
        for name in given.stages.split(","):
            runs = contenders(stored, name)
            record[name] = measured(runs, z * y * x, given.rounds, before=lambda name=name: stored.forget(name))
            print(f"{name}: million voxels for each CPU-second, CPU time against the first", flush=True)
            for which, figures in record[name].items():
                rate, times = figures["mvox_per_cpu_s"], figures["times"]
                told = f"{rate['median']:8.2f} ({rate['least']:.2f}..{rate['most']:.2f})  {times['median']:6.2f}"
                print(f"  {which:30}{told}")
            stored.forget(name)
            stored.ours(name, "zarr")()  # what the next stage reads
    if given.json:
        given.json.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
