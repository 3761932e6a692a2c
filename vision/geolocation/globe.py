"""What the outputs of a net stand for: the cells of one or several partitions, and where in them a photo is put.

The outputs of all partitions lie one behind the other, coarsest first: coarse, middle and fine heads on one body are
one last layer with as many outputs as there are cells. The model carries its cells with it, as part of its digest, so
that no file beside it can be lost, exchanged or damaged.

Reference: Weyand, Kostrikov & Philbin, "PlaNet - Photo Geolocation with Convolutional Neural Networks", ECCV 2016
(centre of the best cell); Müller-Budack, Pustu-Iren & Ewerth, "Geolocation Estimation of Photos using a Hierarchical
Model and Scene Classification", ECCV 2018 (mean of its photos, several partitions).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_args

import numpy as np

from vision import sphere
from vision.accumulator import Array
from vision.geolocation import s2
from vision.geolocation.ceiling import At
from vision.geolocation.cells import check_disjoint, locate
from vision.geolocation.s2_geometry import centre, centre_degrees
from vision.geolocation.stored import Cells


@dataclass(frozen=True, eq=False)
class Globe:
    """The partitions that a net tells apart, coarsest first.

    Attributes:
        partitions: name and cells of each, at least one.
        at: where in a cell a photo is put: the mean of the cell's photos, or the middle of the cell (PlaNet).

    Raises:
        ValueError: if there is no partition or none of its cells, classes are not 0 to M - 1, or cells of one
            partition are not inside those of the coarser ones.
    """

    partitions: tuple[tuple[str, Cells], ...]
    at: At = "mean"

    def __post_init__(self) -> None:
        if self.at not in get_args(At):
            raise ValueError(f"a photo is put at the {' or '.join(get_args(At))} of its cell, not at {self.at!r}")
        if not self.partitions:
            raise ValueError("there are no cells: make some with `safelight run partition`")
        for name, cells in self.partitions:
            if not len(cells):
                raise ValueError(f"partition {name} has no cells")
            if cells.labels is not None and not np.array_equal(np.sort(cells.labels), np.arange(len(cells))):
                raise ValueError(f"partition {name}: classes must be 0 to {len(cells) - 1}, each once")
        _ = self.ancestors

    @classmethod
    def of(cls, partitions: Sequence[tuple[str, Cells]], at: At = "mean") -> Globe:
        """Partitions given in any order: the one with the fewest cells is the coarsest."""
        return cls(tuple(sorted(partitions, key=lambda one: len(one[1]))), at)

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """The cells of each partition."""
        return tuple(len(cells) for _, cells in self.partitions)

    @property
    def outputs(self) -> int:
        """The numbers that a net gives for a photo."""
        return sum(self.sizes)

    @property
    def finest(self) -> Cells:
        return self.partitions[-1][1]

    @cached_property
    def rows(self) -> tuple[Array, ...]:
        """For each partition (M,) int64: the row of the cells' table that each class stands in."""
        found = []
        for _, cells in self.partitions:
            labels = np.arange(len(cells)) if cells.labels is None else cells.labels
            found.append(np.argsort(labels, kind="stable"))
        return tuple(found)

    @cached_property
    def ids(self) -> tuple[Array, ...]:
        """For each partition (M,) uint64: the cell of each class."""
        return tuple(cells.ids[rows] for (_, cells), rows in zip(self.partitions, self.rows, strict=True))

    @cached_property
    def vectors(self) -> tuple[Array, ...]:
        """For each partition (M, 3) unit vectors: where a photo of each class is put."""
        found = []
        for (_, cells), rows, ids in zip(self.partitions, self.rows, self.ids, strict=True):
            means = cells.means[rows] if self.at == "mean" else centre(ids)
            found.append(means / np.linalg.norm(means, axis=1, keepdims=True))
        return tuple(found)

    @cached_property
    def positions(self) -> Array:
        """(F, 2) latitude and longitude of the finest partition's classes, degrees."""
        ids, means = self.ids[-1], self.finest.means[self.rows[-1]]
        return np.stack(sphere.positions(means) if self.at == "mean" else centre_degrees(ids), axis=1)

    @cached_property
    def tokens(self) -> Array:
        """(F,) texts: the names of the finest partition's classes."""
        return s2.tokens(self.ids[-1])

    @cached_property
    def ancestors(self) -> Array:
        """(P - 1, F) int64: the class of each coarser partition that holds each fine cell; -1 where none does.

        Raises:
            ValueError: if a fine cell holds several coarser ones, or is larger than one.
        """
        fine, found = self.ids[-1], []
        for (name, cells), _ in zip(self.partitions[:-1], self.ids, strict=False):
            inside = locate(np.sort(fine), cells.ids)
            wrong = np.flatnonzero((inside >= 0) & ~np.isin(cells.ids, fine))
            if len(wrong):
                token = s2.tokens(cells.ids[wrong[:1]])[0]
                raise ValueError(f"partition {name}: its cell {token} lies inside one of the finest partition")
            found.append(cells.locate(fine))
        return np.stack(found) if found else np.empty((0, len(fine)), np.int64)

    def classes(self, latitude: Array, longitude: Array) -> Array:
        """(N, P) int64 classes of places in degrees, -1 in no cell or where there is no place."""
        found = np.full((len(latitude), len(self.partitions)), -1, np.int64)
        known = np.isfinite(latitude) & np.isfinite(longitude)
        leaves = s2.ids(latitude[known], longitude[known])
        for number, (_, cells) in enumerate(self.partitions):
            found[known, number] = cells.locate(leaves)
        return found

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for `model.json`: some 90 bytes a cell."""
        return {"at": self.at, "partitions": [_plain(name, cells) for name, cells in self.partitions]}

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Globe:
        """The way back.

        Raises:
            ValueError: if something is missing, or the cells are not those that were written.
        """
        try:
            return cls(tuple(_cells(one) for one in facts["partitions"]), facts["at"])
        except (KeyError, TypeError, IndexError) as error:
            raise ValueError(f"the model's cells are damaged: {type(error).__name__} {error}") from None


def _plain(name: str, cells: Cells) -> dict[str, Any]:
    labels = {} if cells.labels is None else {"labels": cells.labels.tolist()}
    return {
        "name": name, "sha256": cells.digest, "tokens": s2.tokens(cells.ids).tolist(), "counts": cells.counts.tolist(),
        "means": cells.means.tolist(), **labels, "about": dict(cells.about),
    }  # fmt: skip


def _cells(facts: Mapping[str, Any]) -> tuple[str, Cells]:
    labels = np.array(facts["labels"], np.int32) if "labels" in facts else None
    ids, counts = s2.from_tokens(facts["tokens"]), np.array(facts["counts"], np.int64)
    cells = Cells(ids, counts, np.array(facts["means"], np.float64), labels, facts["about"])
    check_disjoint(ids)
    if cells.digest != facts["sha256"]:
        raise ValueError(f"partition {facts['name']}: the cells are not those that were written: their sha256 differs")
    return facts["name"], cells
