"""A proofreader who knows the truth: how fast do corrections pay, asked in the order of the ranking.

He is asked about the best candidate that he has not seen, says yes where the truth of the two sides agrees (for a join)
or differs (for a cut), and what he accepts is applied at once, so that the next candidates know of it. The truth of a
set of fragments is the neuron that most of its voxels have. The curve is VI after each accepted correction.

Every step looks at all edges again: for crops of millions of voxels, and thousands of corrections, not for petabytes.

Reference: Haehn et al., CVPR 2018 (the simulated user, and VI over corrections).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vision.accumulator import Array
from vision.connectomics.agglomeration import Joins
from vision.connectomics.contingency import Contingency
from vision.connectomics.dendrogram import Dendrogram
from vision.connectomics.edges import Edges
from vision.connectomics.proofreading import Candidates, Correction, corrected, mergers, splits
from vision.connectomics.relabel import Lookup
from vision.connectomics.scores import variation_of_information
from vision.connectomics.unionfind import places


@dataclass(frozen=True, eq=False)
class Curve:
    """What proofreading brought.

    Args:
        accepted: the corrections, in order.
        asked: (K + 1,) int64 questions until each of them; 0 at first.
        split, merge: (K + 1,) bits of VI before any, and after each.
    """

    accepted: list[Correction]
    asked: Array
    split: Array
    merge: Array

    @property
    def mean_vi(self) -> float:
        """The area under the curve by correction, per correction, bits."""
        return float((self.split + self.merge).mean())


class User:
    """Answers from the overlap of fragments with the truth.

    Args:
        table: truth and fragments of the volume.
        joins, threshold: of the segmentation that is proofread.
    """

    def __init__(self, table: Contingency, joins: Joins, threshold: float) -> None:
        known = (table.truth != 0) & (table.segments != 0)
        self._table, self._joins, self._tree = table, joins, Dendrogram.of(joins, threshold)
        self._row = places(joins.ids, table.segments[known])
        self._truth, self._count = table.truth[known], table.counts[known]
        self._join = {pair: row for row, pair in enumerate(map(tuple, np.sort(self._tree.pairs, axis=1).tolist()))}

    def agrees(self, correction: Correction, lookup: Lookup) -> bool:
        """Whether the correction is right, given the present segments."""
        first, second = (int(place) for place in places(lookup.ids, np.array(correction[1:], np.uint64)))
        if correction.kind == "cut":
            sides = [np.isin(self._row, side) for side in self._tree.sides(self._join[first, second])]
        else:
            of_row = lookup.values[self._row]
            sides = [of_row == lookup.values[place] for place in (first, second)]
        one, other = (self._most(side) for side in sides)
        return one != 0 != other and (one == other) == (correction.kind == "join")

    def vi(self, lookup: Lookup) -> tuple[float, float]:
        """Split and merge of a table of fragments."""
        table = self._table
        return variation_of_information(Contingency.rows(table.truth, lookup.apply(table.segments), table.counts))

    def _most(self, rows: Array) -> int:
        """The neuron with most voxels in some rows; 0 for none, ties to the smaller id."""
        names, place = np.unique(self._truth[rows], return_inverse=True)
        return int(names[np.argmax(np.bincount(place, self._count[rows]))]) if len(names) else 0


def proofread(
    table: Contingency,
    joins: Joins,
    threshold: float,
    edges: Edges,
    voxels: Array,
    questions: int = 1000,
    judged: bool = False,
) -> Curve:
    """Ask a user who knows the truth, best candidate first.

    Args:
        table: truth and fragments of the volume.
        edges: by whose boundary candidates are ranked.
        voxels: (N,) int64 of each fragment of `joins.ids`.
        questions: after so many it ends; or before, when nothing is left to ask.
        judged: whether cuts too are ranked by `edges`, and not by the boundary at which their join was made.
    """
    user, accepted, seen = User(table, joins, threshold), list[Correction](), set[Correction]()
    cuts, lookup, asked = mergers(joins, threshold, voxels, edges if judged else None), joins.at(threshold), 0
    points = [(0, *user.vi(lookup))]
    while asked < questions:
        found = _accept(splits(lookup, edges, voxels).and_(cuts).best(), seen, user, lookup, questions - asked)
        asked, correction = asked + found[0], found[1]
        if correction is None:
            break
        accepted.append(correction)
        lookup = corrected(joins, threshold, accepted)
        points.append((asked, *user.vi(lookup)))
    counts, split, merge = zip(*points, strict=True)
    return Curve(accepted, np.array(counts), np.array(split), np.array(merge))


def _accept(
    candidates: Candidates, seen: set[Correction], user: User, lookup: Lookup, most: int
) -> tuple[int, Correction | None]:
    """Questions asked until a candidate is accepted, and it; None if none is."""
    asked = 0
    for row in range(len(candidates)):
        correction = candidates.correction(row)
        if asked == most:
            break
        if correction in seen or correction._replace(kind="join") in seen or correction._replace(kind="cut") in seen:
            continue
        seen.add(correction)
        asked += 1
        if user.agrees(correction, lookup):
            return asked, correction
    return asked, None
