"""What a boundary map is worth, told quickly: how the weights of a net are compared while it learns.

Sections of a net of pictures get the scores of ISBI 2012. In three dimensions the components of what is no boundary
grow over the rest by a watershed, and are scored as ids are: without agglomeration, so a map is told from a better one,
and a segmentation would be better than both. Either is at the best of a few thresholds, chosen on the same voxels: a
little better than at a threshold that was chosen elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from vision.accumulator import Array, Estimate
from vision.connectomics.contingency import Contingency
from vision.connectomics.installed import library
from vision.connectomics.isbi import Section, best, sections
from vision.connectomics.labelling import components
from vision.connectomics.scores import scores

THRESHOLDS = (0.3, 0.5, 0.7)
"""Of the probability of being inside of a neuron."""

PLANAR, SOLID = ("vrand", "vinfo"), ("vi", "vi_split", "vi_merge", "adapted_rand_skimage")
"""The scores of sections, and of volumes; the first ones choose the best weights."""

Tried = Mapping[float, Sequence[Section]]


def higher_is_better(metric: str) -> bool:
    """Whether more of a score, or of what `learning` counts, is better."""
    return metric in (*PLANAR, "right_voxels")


def tried(boundary: Array, truth: Array, thresholds: Sequence[float] = THRESHOLDS) -> Tried:
    """Every section at every threshold.

    Args:
        boundary: (Z, Y, X) uint8, 255 = a certain boundary.
        truth: (Z, Y, X) ids, 0 = boundary or unknown; within a section, cells that do not touch are several.
    """
    if not len(boundary):
        return {threshold: [] for threshold in thresholds}
    cells = np.stack([components(section[None])[0] for section in truth.astype(np.uint64)])
    return {threshold: sections(_inside(boundary), cells, threshold) for threshold in thresholds}


def of_sections(found: Sequence[Tried]) -> dict[str, Estimate]:
    """The means over all sections of several parts that have a truth, with limits over sections."""
    joined = {t: [one for part in found for one in part[t] if not math.isnan(one.vrand)] for t in found[0]}
    chosen = best(joined)
    return {"vrand": chosen.vrand, "vinfo": chosen.vinfo}


def of_volume(boundary: Array, truth: Array, thresholds: Sequence[float] = THRESHOLDS) -> dict[str, Estimate]:
    """Scores of a volume, with limits over neurons; see `tried` for the arguments."""
    inside, truth = _inside(boundary), truth.astype(np.uint64)
    found = [scores(Contingency.of(truth, grown(boundary, inside > threshold))) for threshold in thresholds]
    lowest = min(found, key=lambda one: one["vi"].value)
    return {name: lowest[name] for name in SOLID}


def grown(boundary: Array, inside: Array) -> Array:
    """Components (Z, Y, X) of a mask, flooded over the boundaries between them; uint32, all 0 where there are none."""
    seeds = components(inside)
    if not seeds.any():
        return seeds
    return np.asarray(library("skimage.segmentation").watershed(boundary, seeds.astype(np.int32)), np.uint32)


def _inside(boundary: Array) -> Array:
    return np.asarray(1 - boundary / 255)
