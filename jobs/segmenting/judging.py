"""The stage of borders: a net that was taught by `proofread` looks at each border once; its answers add up.

OUT/borders-MODEL: Parquet, a row for each pair of fragments that touch: places looked at, and the sum of the net's
logits there in thousandths.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from jobs.segmenting import rows
from jobs.segmenting.edges import Touching, labels_of
from jobs.segmenting.evidence import as_bytes
from jobs.spec import Context, JobFailed, SpecError
from jobs.stages.stage import Made
from jobs.volumes.opening import at
from vision.accumulator import Array
from vision.connectomics.blocks import Block, Box
from vision.connectomics.border_net import NAME
from vision.connectomics.edges import Edges
from vision.connectomics.patches import Look, faces_of
from vision.connectomics.verdicts import judged, with_chance
from vision.corpora.volumes import Address
from vision.model import Model

BYTES_A_VOXEL = 400
"""Memory for each voxel of a block: faces with their hashes, and pictures of borders where fragments are small."""

NET_BYTES = 400 * 2**20
"""torch, and the maps of one batch."""

_PICTURES = 512  # cut at once


def look_of(model: Model) -> Look:
    """How a model looks at borders.

    Raises:
        SpecError: if it is no model of borders.
    """
    if model.net != NAME or "borders" not in model.decoding:
        raise SpecError(
            f"proofreader: {model.folder or model.net} is no model of borders: make one with `run proofread`"
        )
    return Look(**model.decoding["borders"])


def opened(reference: str, context: Context) -> Model:
    """The model that a reference names.

    Raises:
        SpecError: if there is none, or it is no model of borders.
    """
    try:
        model = context.model(reference)
    except ValueError as error:
        raise SpecError(f"proofreader: {error}") from None
    look_of(model)
    return model


@dataclass(frozen=True)
class Judging:
    """What is looked at; picklable.

    Attributes:
        touching: how edges are found, and what says where boundaries are.
        image: grey levels, for a model that sees them.
        model: of borders.
    """

    touching: Touching
    image: Address | None
    model: Model

    def make(self) -> Judge:
        """What works, where it lives."""
        return Judge(self)


class Judge:
    """Looks at the borders of blocks."""

    def __init__(self, how: Judging) -> None:
        self._how, self._look = how, look_of(how.model)
        self._edges, self._reader = how.touching.make(), how.touching.evidence.open()
        self._fragments = at(how.touching.fragments, "fragments", labels=True)
        self._image = at(how.image, "volume") if how.image else None
        self._net = how.model.build()

    def block(self, block: Block) -> Made:
        edges = self._edges.block(block).part.edges
        if not len(edges):
            return Made(part=_packed(edges.pairs, edges.count, edges.count))
        grid, far = self._how.touching.grid, self._look.reach + 1
        around = block.write.grown((far, far, far)).meet(Box((0, 0, 0), grid.shape))
        labels = labels_of(self._fragments, self._reader, around)
        faces = faces_of(labels, block.write.within(around.begin), around.begin, self._look.faces)
        boundary = self._reader.boundary(around)
        image = as_bytes(self._image.read(around), self._image.address) if self._image else None
        logits = np.empty(len(faces.voxel), np.int64)
        for start in range(0, len(logits), _PICTURES):
            part = slice(start, start + _PICTURES)
            some = replace(faces, pairs=faces.pairs[part], voxel=faces.voxel[part])
            logits[part] = judged(self._net, self._look.pictures(some, labels, boundary, image, edges))
        return Made(part=_packed(faces.pairs, np.ones(len(logits), np.int64), logits), counts={"places": len(logits)})

    def seal(self, parts: Sequence[dict[str, Array]]) -> bytes:
        return rows.packed({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def _packed(pairs: Array, places: Array, logits: Array) -> dict[str, Array]:
    """A row for each pair of fragments."""
    from vision.connectomics.grouped import by_pair

    groups = by_pair(pairs[:, 0], pairs[:, 1])
    names = {"u": groups.first.astype(np.uint64), "v": groups.second.astype(np.uint64)}
    return {**names, "places": groups.sums(places), "logits": groups.sums(logits)}


def judged_edges(edges: Edges, urls: Iterable[str]) -> Edges:
    """Edges with what the net says of them, from the files of all groups.

    Raises:
        JobFailed: if the files are of other edges.
    """
    tables: list[Any] = [rows.read(url) for url in urls]
    columns = {
        name: np.concatenate([table[name].to_numpy() for table in tables]) for name in ("u", "v", "places", "logits")
    }
    try:
        return with_chance(edges, np.stack([columns["u"], columns["v"]], axis=1), columns["places"], columns["logits"])
    except ValueError as error:
        raise JobFailed(f"borders: {error}") from None
