"""The scores of the ISBI 2012 challenge: foreground-restricted Rand and information, section by section, thinned.

Only pixels inside cells count (truth above 0). Pixels that the segmentation calls membrane are segments of one pixel
each. Vrand = 2 S_ab / (S_a + S_b) over squared counts, Vinfo = 2 I / (H(truth) + H(segmentation)); 1 is perfect. Before
that the proposal is thinned: its cells grow by a watershed until lines of one pixel part them, because thick membranes
cost up to 0.15 and mean nothing. The challenge reports the mean over sections at the best of the thresholds 0..0.9.

The floor to beat is the smoothed grey level. On the last four of 20 training sections, at the best tenth of grey / 255,
Vrand and Vinfo are 0.748 and 0.862 after a Gaussian of 1 pixel, 0.779 and 0.886 of 1.5, 0.803 and 0.897 of 2, 0.795 and
0.895 of 3; stretched between the 1st and 99th percentile, which makes tenths finer, 0.833 and 0.916 of 2 (0.622 and
0.705 not thinned). Sections differ by more: the first four have 0.892 and 0.945.

Reference: Arganda-Carreras et al., "Crowdsourcing the creation of image segmentation algorithms for connectomics",
Frontiers in Neuroanatomy 2015, and its Fiji code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from vision.accumulator import Array, Estimate
from vision.connectomics.contingency import Contingency
from vision.connectomics.estimates import Scored
from vision.connectomics.installed import library

THRESHOLDS = tuple(step / 10 for step in range(10))


class Section(NamedTuple):
    """Scores of one section, 0..1."""

    vrand: float
    vinfo: float


class Isbi(NamedTuple):
    """Means over sections with 95 % limits, and the threshold at which Vrand is best."""

    vrand: Estimate
    vinfo: Estimate
    threshold: float


def cells(inside: Array) -> Array:
    """4-connected cells of one section's mask (Y, X), numbered from 1; 0 = membrane; int64."""
    return np.asarray(library("skimage.measure").label(inside.astype(bool), connectivity=1), np.int64)


def thinned(inside: Array) -> Array:
    """The cells of a mask (Y, X) grown over its membranes, down to lines of one pixel (0) between them."""
    seeds = cells(inside)
    if seeds.max(initial=0) == 0:
        return seeds
    grown = library("skimage.segmentation").watershed(~inside.astype(bool), seeds, watershed_line=True)
    return np.asarray(grown, np.int64)


def section(table: Contingency) -> Section:
    """The scores of one section from its table; nan where it has no truth."""
    known = table.truth != 0
    n, truth, segments = table.counts[known].astype(np.float64), table.truth[known], table.segments[known]
    total = float(n.sum())
    if not total:
        return Section(float("nan"), float("nan"))
    alone = segments == 0  # each of these pixels is a segment of its own
    a = np.bincount(np.unique(truth, return_inverse=True)[1], n)
    b = np.bincount(np.unique(segments[~alone], return_inverse=True)[1], n[~alone])
    single = float(n[alone].sum())
    both, squares = float((n[~alone] ** 2).sum()) + single, float((b**2).sum()) + single
    h_truth, h_segments = _entropy(a, 0, total), _entropy(b, single, total)
    information = h_truth + h_segments - _entropy(n[~alone], single, total)
    entropies = h_truth + h_segments
    return Section(2 * both / (float((a**2).sum()) + squares), 2 * information / entropies if entropies else 1.0)


def sections(inside: Array, truth: Array, threshold: float = 0.5, thin: bool = True) -> list[Section]:
    """Each section of a probability map scored at a threshold.

    Args:
        inside: (Z, Y, X) probability of being inside a cell, 0..1.
        truth: (Z, Y, X) ids of cells within each section, 0 = membrane.
        thin: down to lines of one pixel, as the challenge does.

    Raises:
        ValueError: if the shapes differ.
    """
    if inside.shape != truth.shape or inside.ndim != 3:
        raise ValueError(f"a map and its truth must be one (z, y, x) shape, got {inside.shape} and {truth.shape}")
    shape = thinned if thin else cells
    return [section(Contingency.of(t, shape(m > threshold))) for m, t in zip(inside, truth, strict=True)]


def isbi(inside: Array, truth: Array, thresholds: Sequence[float] = THRESHOLDS, thin: bool = True) -> Isbi:
    """The challenge's scores at the best threshold; choose it on other sections for a fair number."""
    return best({threshold: sections(inside, truth, threshold, thin) for threshold in thresholds})


def best(tried: Mapping[float, Sequence[Section]]) -> Isbi:
    """The scores at the threshold where Vrand is best, from those of all sections at each."""
    chosen = max(tried, key=lambda t: (np.mean([found.vrand for found in tried[t]]), -t))
    vrand, vinfo = (mean(np.array(column)) for column in zip(*tried[chosen], strict=True))
    return Isbi(vrand, vinfo, chosen)


def mean(values: Array) -> Estimate:
    """The mean of sections' scores (Z,), with 95 % limits over sections."""
    return Scored.ratio(values, np.ones(len(values))).estimate(1.0)


def _entropy(counts: Array, single: float, total: float) -> float:
    """Bits of a partition with parts `counts` and `single` parts of one pixel."""
    share = counts / total
    return float(-(share * np.log2(share)).sum() + single / total * np.log2(total))
