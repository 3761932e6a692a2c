"""How good is a segmentation: variation of information, adapted Rand error by name, CREMI's score, counted errors.

All are functions of a contingency table n_ij (truth i, segment j), a_i and b_j its margins over truth other than 0, N
their total: voxels whose truth is 0 are never counted. A crop is scored alone: nothing outside it is known.

- VI split is H(segmentation | truth), VI merge is H(truth | segmentation), in bits.
- The adapted Rand error is 1 - 2 S_ab / (S_a + S_b) with sums of squares of n_ij, a_i, b_j. Three programs differ:
  `funlib` squares n; `skimage` counts pairs, n^2 - n; `cremi` (also gala, SNEMI3D) leaves segment 0 out of S_b and
  S_ab, though not of S_a. They agree where no voxel is left unassigned, and by far not otherwise: 0.113 and 0.067 for
  one and the same result with 10 % of its voxels at 0.
- CREMI's score is the root of (VI split + VI merge) times the adapted Rand error, after `borders.without_borders`.

Reference: Meila, "Comparing clusterings", 2007; Arganda-Carreras et al., Frontiers in Neuroanatomy 2015; the programs
named, whose values these equal to 1e-12.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from vision.accumulator import Array, Estimate
from vision.connectomics.contingency import Contingency
from vision.connectomics.estimates import Scored

Convention = Literal["skimage", "funlib", "cremi"]
CONVENTIONS: tuple[Convention, ...] = get_args(Convention)


@dataclass(frozen=True, eq=False)
class _Margins:
    """The rows with truth, as dense neurons 0..K - 1, and the margins of each row."""

    neuron: Array  # (R,)
    counts: Array  # (R,) float64, exact below 2**53
    of_truth: Array  # (R,) a_i
    of_segment: Array  # (R,) b_j
    assigned: Array  # (R,) segment is not 0
    voxels: Array  # (K,) a_i
    seen: int  # voxels of the table, truth 0 among them

    @classmethod
    def of(cls, table: Contingency) -> _Margins:
        known = table.truth != 0
        counts = table.counts[known].astype(np.float64)
        _, neuron = np.unique(table.truth[known], return_inverse=True)
        segments, segment = np.unique(table.segments[known], return_inverse=True)
        a, b = _added(neuron, counts), _added(segment, counts)
        assigned = segments[segment] != 0
        return cls(neuron, counts, a[neuron], b[segment], assigned, a, table.voxels)

    def by_neuron(self, values: Array) -> Array:
        """Sums (K,) of values (R,) over the rows of each neuron."""
        return np.bincount(self.neuron, values, minlength=len(self.voxels))


def scores(table: Contingency, least: int = 1) -> dict[str, Estimate]:
    """All scores of a table, with 95 % limits over neurons.

    Args:
        least: voxels from which an overlap counts as one, for the counted errors.

    Returns:
        vi, vi_split, vi_merge in bits; adapted_rand_skimage, _funlib, _cremi and the cremi score of the last;
        split_errors, merge_errors as counts without limits. n is the number of neurons.
    """
    margins = _Margins.of(table)
    split, merge = _information(margins)
    rand = {name: _adapted_rand(margins, name) for name in CONVENTIONS}
    found = {
        "vi": split.plus(merge).estimate(),
        "vi_split": split.estimate(),
        "vi_merge": merge.estimate(),
        **{f"adapted_rand_{name}": error.estimate(1.0) for name, error in rand.items()},
        "cremi": split.plus(merge).root_of_product(rand["cremi"]).estimate(),
    }
    counted = errors(table, least)
    for name, value in (("split_errors", counted.splits), ("merge_errors", counted.merges)):
        found[name] = Estimate(value, np.nan, np.nan, len(margins.voxels))
    return found


def variation_of_information(table: Contingency) -> tuple[float, float]:
    """VI split and VI merge in bits, the order of scikit-image for (truth, segmentation)."""
    split, merge = _information(_Margins.of(table))
    return split.value, merge.value


def adapted_rand_error(table: Contingency, convention: Convention) -> float:
    """In 0..1, by the named program's definition.

    Raises:
        ValueError: if the convention is none of the three.
    """
    return _adapted_rand(_Margins.of(table), convention).value


def cremi_score(table: Contingency) -> float:
    """The geometric mean of VI (split + merge) and CREMI's adapted Rand error."""
    margins = _Margins.of(table)
    split, merge = _information(margins)
    return split.plus(merge).root_of_product(_adapted_rand(margins, "cremi")).value


@dataclass(frozen=True)
class Errors:
    """How many cuts and joins a perfect proofreader would make.

    `splits`: overlaps of neurons with segments beyond the first of each neuron. `merges`: beyond the first of each
    segment. `missed`: neurons with no segment at all.
    """

    splits: int
    merges: int
    missed: int


def errors(table: Contingency, least: int = 1) -> Errors:
    """Counted from the overlaps of at least `least` voxels; segment 0 is no segment.

    Raises:
        ValueError: if `least` is below 1.
    """
    if least < 1:
        raise ValueError(f"an overlap needs at least 1 voxel, got {least}")
    rows = (table.truth != 0) & (table.segments != 0) & (table.counts >= least)
    met, neurons, segments = int(rows.sum()), np.unique(table.truth[rows]), np.unique(table.segments[rows])
    whole = np.unique(table.truth[table.truth != 0])
    return Errors(met - len(neurons), met - len(segments), len(whole) - len(neurons))


def _information(margins: _Margins) -> tuple[Scored, Scored]:
    """Conditional entropies: of the segmentation given the truth (split), and the other way round (merge)."""
    split = margins.counts * np.log2(margins.of_truth / margins.counts)
    merge = margins.counts * np.log2(margins.of_segment / margins.counts)
    voxels = margins.voxels
    return Scored.ratio(margins.by_neuron(split), voxels), Scored.ratio(margins.by_neuron(merge), voxels)


def _adapted_rand(margins: _Margins, convention: Convention) -> Scored:
    n, a, b = margins.counts, margins.voxels, margins.of_segment
    if convention == "skimage":
        both, truth, found = n * (n - 1), a * (a - 1), n * (b - 1)
    elif convention == "funlib":
        both, truth, found = n * n, a * a, n * b
    elif convention == "cremi":
        alone = n / max(margins.seen, 1)  # what the program adds for each voxel in segment 0
        both, found = (np.where(margins.assigned, x, alone) for x in (n * n, n * b))
        truth = a * a
    else:
        raise ValueError(
            f"a convention of the adapted Rand error is one of {', '.join(CONVENTIONS)}, got {convention!r}"
        )
    fscore = Scored.ratio(2 * margins.by_neuron(both), truth + margins.by_neuron(found))
    return fscore.complement()


def _added(codes: Array, counts: Array) -> Array:
    """Sums (K,) by dense code; of counts as floats, exact below 2**53 voxels."""
    return np.bincount(codes, counts)
