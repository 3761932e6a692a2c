"""Sections to look at: segments in colours over the image, and where a truth says they are wrong.

Colours are a hash of the id: the same in every section and run. In a map of errors blue is what lies outside of the
segment that holds most of its neuron, and red what lies in a segment that is mostly another neuron.
"""

from __future__ import annotations

import io

import numpy as np

from jobs.spec import Example
from jobs.volumes.opening import Opened
from vision.accumulator import Array
from vision.connectomics.blocks import Box
from vision.connectomics.contingency import Contingency
from vision.connectomics.grouped import by_pair

SIDE = 160
"""Pixels of a picture's longer side."""

WIDEST = 640
"""Voxels along a picture's longer side, at most; every few of them are shown."""

SECTIONS = (0.25, 0.5, 0.75)
SPLIT, MERGED = np.array((40, 90, 220)), np.array((220, 50, 40))


def sections(labels: Opened, image: Opened | None, box: Box) -> list[Example]:
    """Segments in colours, in three sections of a box."""
    found = []
    for name, at in _places(box):
        ids = _read(labels, at)
        found.append(_example(f"section {name}", "segments", _over(_colours(ids), ids > 0, _grey(image, at))))
    return found


def errors(labels: Opened, truth: Opened, table: Contingency, image: Opened | None, box: Box) -> list[Example]:
    """Where segments are not the best match of their neuron, in three sections of a box.

    Args:
        table: overlaps of the whole volume.
    """
    best_segment, best_neuron = _best(table.truth, table.segments, table), _best(table.segments, table.truth, table)
    found = []
    for name, at in _places(box):
        ids, neurons = _read(labels, at), _read(truth, at)
        split = (neurons > 0) & (_looked_up(best_segment, neurons) != ids)
        merged = (neurons > 0) & (ids > 0) & (_looked_up(best_neuron, ids) != neurons)
        colours = np.where(merged[..., None], MERGED, SPLIT)
        shown = _over(colours, split | merged, _grey(image, at))
        found.append(_example(f"errors {name}", "blue: split off, red: merged", shown))
    return found


def _places(box: Box) -> list[tuple[str, Box]]:
    """Windows in the middle of sections, with their numbers."""
    (z0, y0, x0), (z1, y1, x1) = box
    high, wide = min(y1 - y0, WIDEST), min(x1 - x0, WIDEST)
    y, x = (y0 + y1 - high) // 2, (x0 + x1 - wide) // 2
    numbers = dict.fromkeys(z0 + int(share * (z1 - z0)) for share in SECTIONS)
    return [(f"z {z}", Box((z, y, x), (z + 1, y + high, x + wide))) for z in numbers]


def _read(volume: Opened, box: Box) -> Array:
    found = volume.read(box)[0]
    step = -(-max(found.shape) // SIDE)
    return np.asarray(found[::step, ::step])


def _grey(image: Opened | None, box: Box) -> Array:
    """(Y, X) 0..255, middle grey where there is no image."""
    if image is None or image.volume.channels:
        return np.full(_shape(box), 128, np.uint8)
    values = _read(image, box).astype(np.float64)
    low, high = np.percentile(values, (1, 99))
    return np.asarray(np.clip((values - low) / max(high - low, 1e-9) * 255, 0, 255), np.uint8)


def _shape(box: Box) -> tuple[int, int]:
    _, high, wide = box.shape
    step = -(-max(high, wide) // SIDE)
    return -(-high // step), -(-wide // step)


def _colours(ids: Array) -> Array:
    """(Y, X, 3) full colours, by a hash of the id; none is grey, which the image is."""
    with np.errstate(over="ignore"):  # wraps on purpose
        mixed = ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    hue = (mixed >> np.uint64(40)).astype(np.float64) / 2**24 * 6
    dull, light = ((mixed >> np.uint64(bits) & np.uint64(255)).astype(np.float64) / 255 for bits in (8, 16))
    # A ramp up, a plateau and a ramp down for each of red, green and blue: hue, saturation 0.6 to 1, value 0.7 to 1.
    share = [np.clip(np.abs((hue + turn) % 6 - 3) - 1, 0, 1) for turn in (0, 4, 2)]
    return np.stack([255 * (0.7 + 0.3 * light) * (1 - (1 - 0.4 * dull) * (1 - s)) for s in share], axis=-1)


def _over(colours: Array, where: Array, grey: Array) -> Array:
    """Half colour, half image, where there is one."""
    base = np.repeat(grey[..., None], 3, axis=-1).astype(np.float64)
    return np.where(where[..., None], (base + colours) / 2, base).astype(np.uint8)


def _example(name: str, caption: str, pixels: Array) -> Example:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=90)
    return Example(name, caption, stream.getvalue())


def _best(of: Array, among: Array, table: Contingency) -> tuple[Array, Array]:
    """Ids, rising, and the one of the others that each has most voxels with."""
    known = (table.truth != 0) & (table.segments != 0)
    groups = by_pair(of[known], among[known])
    counts = groups.sums(table.counts[known])
    order = np.lexsort((groups.second, -counts, groups.first))
    ids, first = np.unique(groups.first[order], return_index=True)
    return ids, groups.second[order][first]


def _looked_up(best: tuple[Array, Array], ids: Array) -> Array:
    """The best match of each id; 0 where there is none."""
    known, match = best
    if not len(known):
        return np.zeros(ids.shape, np.uint64)
    rows = np.minimum(np.searchsorted(known, ids.astype(np.uint64)), len(known) - 1)
    return np.where(known[rows] == ids, match[rows], np.uint64(0))
