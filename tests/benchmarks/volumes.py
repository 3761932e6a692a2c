"""The stages of a volume against the best libraries for each, in memory, in voxels for each CPU-second of one thread.

    python -m tests.benchmarks.volumes [--shape 64,256,256] [--rounds 5] [--stages fragments,edges,...] [--json FILE]

The volume is made of synthetic neurites with a noisy boundary map; fragments are those of bioimage-cpp's watershed.
Contenders of a stage run in turn in each round, and ratios are between runs of one round. Stages:
  labelling      6-connected components of a mask
  fragments      distances, seeds, watershed, numbered fragments, by bioimage-cpp and by scikit-image
  edges          pairs that touch with count, sum, squares, least, most; bioimage-cpp's tables of the same
  agglomeration  fragments, edges given or not, to segments at one threshold; waterz given the fragments
  relabel        64-bit ids through a table
  scores         VI and adapted Rand error of two label volumes
`cc3d`, `fastremap` (LGPL) take part where they are installed.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bioimage_cpp
import numpy as np
from scipy import ndimage
from skimage.measure import label as skimage_label
from skimage.metrics import adapted_rand_error, variation_of_information
from skimage.segmentation import watershed as skimage_watershed

from tests import neurites
from tests.neurites import Array
from vision.connectomics.agglomeration import greedy
from vision.connectomics.blocks import Box, Grid
from vision.connectomics.contingency import Contingency
from vision.connectomics.edges import edges_of
from vision.connectomics.fragments import Fragmenter
from vision.connectomics.labelling import components
from vision.connectomics.relabel import Lookup
from vision.connectomics.scores import scores

ROOT = Path(__file__).parents[2]
THRESHOLD, WINDOW = 0.4, 8

Contenders = dict[str, Callable[[], Any]]
"""By name; `ours` first, or several that begin so."""


class Volume:
    """What the stages work on."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        box = Box((0, 0, 0), shape)
        self.boundary = neurites.boundary(box, noise=90)
        self.truth = neurites.labels(box)
        self.local = Fragmenter(window=WINDOW, backend="bioimage-cpp").of_block(self.boundary)
        self.fragments = Grid(shape, shape).ids(0, self.local)
        self.float = self.boundary.astype(np.float32)
        joins = greedy(np.unique(self.fragments), edges_of(self.fragments, self.boundary), THRESHOLD)
        self.segments = joins.at(THRESHOLD).apply(self.fragments)
        self.dense_truth = np.unique(self.truth, return_inverse=True)[1].reshape(shape)


def optional(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def labelling(volume: Volume) -> Contenders:
    mask = volume.boundary < 128
    found: Contenders = {
        "ours": lambda: components(mask),
        "scipy": lambda: ndimage.label(mask),
        "skimage": lambda: skimage_label(mask, connectivity=1),
        "bioimage-cpp": lambda: bioimage_cpp.segmentation.label(mask, connectivity=1),
    }
    if cc3d := optional("cc3d"):
        found["cc3d"] = lambda: cc3d.connected_components(mask, connectivity=6)
    return found


def fragments(volume: Volume) -> Contenders:
    def bare(distances: Callable[[Array], Array], flood: Callable[[Array, Array], Array]) -> Array:
        """The library's own calls one after the other, no more."""
        distance = distances(volume.boundary < 128).astype(np.float32)
        seeds = ndimage.label((distance == ndimage.maximum_filter(distance, WINDOW)) & (distance > 0))[0]
        return flood(distance.max() - distance + volume.float / 255 * (distance == 0), seeds)

    return {
        "ours (bioimage-cpp)": lambda: Fragmenter(window=WINDOW, backend="bioimage-cpp").of_block(volume.boundary),
        "ours (skimage)": lambda: Fragmenter(window=WINDOW).of_block(volume.boundary),
        "bioimage-cpp": lambda: bare(
            bioimage_cpp.distance.distance_transform,
            lambda height, seeds: bioimage_cpp.segmentation.watershed(height, seeds.astype(np.uint32)),
        ),
        "skimage": lambda: bare(ndimage.distance_transform_edt, skimage_watershed),
    }


def edges(volume: Volume) -> Contenders:
    features = bioimage_cpp.graph.features

    def graph() -> Any:
        return bioimage_cpp.graph.region_adjacency_graph(volume.local, number_of_threads=1)

    def table(of: Callable[..., Array]) -> Callable[[], Array]:
        return lambda: of(graph(), volume.local, volume.float, number_of_threads=1)

    found: Contenders = {
        "ours": lambda: edges_of(volume.fragments, volume.boundary),
        "ours (256 bins)": lambda: edges_of(volume.fragments, volume.boundary, 256),
        "bioimage-cpp (pairs only)": graph,
        "bioimage-cpp (count, mean)": table(features.edge_map_features),
        "bioimage-cpp (and deviation, least, most, quantiles)": table(features.edge_map_features_complex),
    }
    if cc3d := optional("cc3d"):
        found["cc3d (count)"] = lambda: cc3d.contacts(volume.local, connectivity=6)
    return found


def agglomeration(volume: Volume) -> Contenders:
    ids = np.unique(volume.fragments)
    given = edges_of(volume.fragments, volume.boundary)
    found: Contenders = {
        "ours": lambda: greedy(ids, edges_of(volume.fragments, volume.boundary), THRESHOLD).at(THRESHOLD),
        "ours (edges given)": lambda: greedy(ids, given, THRESHOLD).at(THRESHOLD),
    }
    if waterz := optional("waterz"):
        affinities = np.repeat((1 - volume.float / 255)[None], 3, axis=0)

        def joined() -> Array:
            with no_output():
                return np.asarray(next(waterz.agglomerate(affinities, [THRESHOLD], fragments=volume.fragments.copy())))

        found["waterz"] = joined
    return found


def relabel(volume: Volume) -> Contenders:
    ids = np.unique(volume.fragments)
    values = np.random.default_rng(0).integers(1, 2**60, len(ids)).astype(np.uint64)
    table, dense = Lookup.of(ids, values), np.append(np.uint64(0), values)
    spread = volume.fragments + np.uint64(5 << 40)  # ids of a block far from the first
    far, by_dict = Lookup.of(ids + np.uint64(5 << 40), values), dict(zip(ids.tolist(), values.tolist(), strict=True))
    found: Contenders = {
        "ours": lambda: far.apply(spread),
        "numpy (dense ids)": lambda: dense[volume.local],
        "bioimage-cpp": lambda: bioimage_cpp.utils.take_dict(by_dict, volume.fragments),
    }
    assert np.array_equal(far.apply(spread), table.apply(volume.fragments))
    if fastremap := optional("fastremap"):
        found["fastremap"] = lambda: fastremap.remap(volume.fragments, by_dict)
    return found


def scored(volume: Volume) -> Contenders:
    sparse, dense = volume.segments + np.uint64(5 << 40), volume.segments.astype(np.int64)

    def skimage() -> None:
        variation_of_information(volume.dense_truth, dense, ignore_labels=(0,))
        adapted_rand_error(volume.dense_truth, dense, ignore_labels=(0,))

    return {
        "ours (sparse 64-bit ids)": lambda: scores(Contingency.of(volume.truth, sparse)),
        "ours (dense ids)": lambda: scores(Contingency.of(volume.dense_truth, dense)),
        "skimage (dense ids)": skimage,
        "bioimage-cpp (table only)": lambda: bioimage_cpp.utils.segmentation_overlap(volume.truth, sparse),
    }


STAGES: dict[str, Callable[[Volume], Contenders]] = {
    "labelling": labelling, "fragments": fragments, "edges": edges, "agglomeration": agglomeration,
    "relabel": relabel, "scores": scored,
}  # fmt: skip


@contextlib.contextmanager
def no_output() -> Iterator[None]:
    """C++ that prints is not heard."""
    kept, null = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(null)


def measured(
    contenders: Contenders, voxels: int, rounds: int, before: Callable[[], Any] = lambda: None
) -> dict[str, Any]:
    """Million voxels for each CPU-second; every contender in turn in each round, after one to warm up.

    Args:
        before: done before each run, and not counted.
    """
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, run in contenders.items():
            before()
            started = time.process_time()
            run()
            if number:
                taken[name].append(time.process_time() - started)
    first = next(iter(contenders))
    return {
        name: {
            "mvox_per_cpu_s": spread(voxels / 1e6 / np.array(seconds)),
            "times": spread(np.array(seconds) / np.array(taken[first])),
        }
        for name, seconds in taken.items()
    }


def spread(values: Array) -> dict[str, float]:
    low, middle, high = (round(float(v), 3) for v in np.quantile(values, [0, 0.5, 1]))
    return {"median": middle, "least": low, "most": high}


def commit() -> str:
    said = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return said.stdout.strip() or "unknown"


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--shape", default="64,256,256", help="of the volume, z,y,x")
    words.add_argument("--rounds", type=int, default=5)
    words.add_argument("--stages", default=",".join(STAGES))
    words.add_argument("--json", type=Path, help="where to write the figures")
    given = words.parse_args()
    z, y, x = (int(part) for part in given.shape.split(","))
    volume = Volume((z, y, x))
    found = {"fragments": int(volume.local.max()), "edges": len(edges_of(volume.local, volume.boundary))}
    record: dict[str, Any] = {
        "commit": commit(), "python": platform.python_version(), "load": os.getloadavg(), "shape": [z, y, x], **found,
    }  # fmt: skip
    print(f"{z} x {y} x {x}, {found['fragments']} fragments, {found['edges']} edges, load {os.getloadavg()[0]:.1f}")
    for stage in given.stages.split(","):
        record[stage] = measured(STAGES[stage](volume), volume.local.size, given.rounds)
        print(f"{stage}: million voxels for each CPU-second, CPU time against the first")
        for name, figures in record[stage].items():
            rate, times = figures["mvox_per_cpu_s"], figures["times"]
            print(f"  {name:54}{rate['median']:8.2f} ({rate['least']:.2f}..{rate['most']:.2f})  {times['median']:6.2f}")
        sys.stdout.flush()
    if given.json:
        given.json.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
