"""Borders judged by a net: learned from a volume with truth, and put to use as edges whose means are what it says.

A judged edge has the faces of the edge, and for their boundary 1 minus the chance that its two fragments are one. It
adds up over joins like any other, so lists of likely splits and mergers are ranked by it without another word.

Fragments teach the neuron that most of their voxels have, borders whether those are one; fragments with less than
`PURE` of their voxels in one neuron teach nothing. Several over-segmentations of one crop give several times the
borders. Taught on half of the gala crop, it tells the other half's borders apart with an AUC of 0.991 and 0.104 nats
(the mean boundary: 0.980, and 0.163 once it is calibrated), and a user needs half as many questions for the same bits.

Reference: Haehn et al., CVPR 2018 (a net trained on errors of an automatic segmentation against a truth).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from vision import draws
from vision.accumulator import Array
from vision.connectomics.border_net import Costs
from vision.connectomics.contingency import Contingency
from vision.connectomics.edges import Edges, edges_of
from vision.connectomics.faces import UNIT
from vision.connectomics.grouped import by_pair
from vision.connectomics.patches import Faces, Look, Pictures, faces_of

if TYPE_CHECKING:
    import torch

PURE = 0.75
BATCH = 64
FIXED = 1000
"""Logits are kept as whole thousandths: sums of them do not depend on blocks."""


@dataclass(frozen=True, eq=False)
class Borders:
    """Pictures of places, and whether each lies between two fragments of one neuron.

    Args:
        pictures: of F places.
        one: (F,) float32, 0 or 1.
        border: (F,) int64: places of one border have one number.
    """

    pictures: Pictures
    one: Array
    border: Array

    def __len__(self) -> int:
        return len(self.one)

    @property
    def borders(self) -> int:
        """How many borders there are."""
        return int(self.border.max(initial=-1)) + 1


def borders(look: Look, labels: Array, truth: Array, boundary: Array, image: Array | None = None) -> Borders:
    """What a volume teaches.

    Args:
        labels, truth: (Z, Y, X) uint64 fragments and true ids, 0 = none.
        boundary, image: (Z, Y, X) uint8.
    """
    whole = (slice(0, labels.shape[0]), slice(0, labels.shape[1]), slice(0, labels.shape[2]))
    faces, edges = faces_of(labels, whole, (0, 0, 0), look.faces), edges_of(labels, boundary)
    owner = _owners(Contingency.of(truth, labels))
    of = np.array([[owner.get(a, 0), owner.get(b, 0)] for a, b in faces.pairs.tolist()], np.uint64).reshape(-1, 2)
    known = (of != 0).all(axis=1)
    kept = Faces(faces.pairs[known], faces.voxel[known])
    border = by_pair(kept.pairs[:, 0], kept.pairs[:, 1]).of_rows()
    pictures = look.pictures(kept, labels, boundary, image, edges)
    return Borders(pictures, (of[known, 0] == of[known, 1]).astype(np.float32), border)


def together(parts: list[Borders]) -> Borders:
    """What several volumes teach."""
    starts = np.cumsum([0, *(part.borders for part in parts)])
    border = np.concatenate([part.border + start for part, start in zip(parts, starts, strict=False)])
    return Borders(Pictures.together([p.pictures for p in parts]), np.concatenate([p.one for p in parts]), border)


def learn(
    net: torch.nn.Module, found: Borders, epochs: int, seed: int, rate: float = 3e-3
) -> Iterator[tuple[float, float]]:
    """Train a net, and yield the loss and the share of right answers of each epoch.

    In an epoch each border is seen at one place, turned and mirrored by chance.

    Raises:
        ValueError: if all borders have one answer.
    """
    import torch

    from vision.schedules import Schedule
    from vision.training import Batch, Micro, Recipe, Step

    if not len(found) or not 0 < found.one.mean() < 1:
        raise ValueError(f"{len(found):,} places on borders all have one answer: there is nothing to learn from")
    steps = -(-found.borders // BATCH)
    step = Step(net, Costs(), Recipe(Schedule("cosine", rate, steps * epochs, steps // 2), "adamw", 1e-3, seed=seed))
    for epoch in range(epochs):
        sums, chosen = np.zeros(2), _chosen(found.border, seed, epoch)
        for number in range(steps):
            rows = chosen[number * BATCH : (number + 1) * BATCH]
            turned = _turned(found.pictures.some(rows).inputs(), draws.key(seed, epoch, number))
            micro = Micro(0, torch.from_numpy(turned), torch.from_numpy(found.one[rows]))
            told = step(Batch(epoch * steps + number, len(rows), 1), [micro]).tolist()
            sums += np.array(told[:2]) * len(rows)
        yield float(sums[0] / len(chosen)), float(sums[1] / len(chosen))
    net.eval()


def judged(net: torch.nn.Module, pictures: Pictures) -> Array:
    """(F,) int64 logits of places, in thousandths."""
    import torch

    found = np.empty(len(pictures), np.int64)
    with torch.inference_mode():
        for start in range(0, len(pictures), BATCH):
            part = pictures.some(slice(start, start + BATCH)).inputs()
            # One shape for all: how many neighbours a place has must not show.
            full = np.zeros((BATCH, *part.shape[1:]), np.float32)
            full[: len(part)] = part
            found[start : start + BATCH] = np.rint(net(torch.from_numpy(full))[: len(part)].numpy() * FIXED)
    return found


def with_chance(edges: Edges, pairs: Array, places: Array, logits: Array) -> Edges:
    """Edges whose mean boundary is what a net says.

    Args:
        edges: to be judged.
        pairs: (K, 2) uint64, each edge once or in several rows.
        places, logits: (K,) int64 places that were looked at, and the sum of their logits in thousandths.

    Raises:
        ValueError: if an edge was not looked at.
    """
    groups = by_pair(pairs[:, 0], pairs[:, 1])
    if not np.array_equal(np.stack([groups.first, groups.second], axis=1), edges.pairs):
        raise ValueError(f"{len(groups):,} borders were judged, and there are {len(edges):,} others")
    mean = groups.sums(logits) / (groups.sums(places) * FIXED)
    apart = 1 / (1 + np.exp(mean))
    return replace(edges, total=np.rint(apart * UNIT * edges.count).astype(np.int64))


def _owners(table: Contingency) -> dict[int, int]:
    """The neuron of each fragment that is pure, among the voxels whose neuron is known."""
    known = (table.truth != 0) & (table.segments != 0)
    ids, counts = table.segments[known], table.counts[known]
    groups = by_pair(ids, ids)
    pure = counts >= PURE * groups.sums(counts)[groups.of_rows()]
    return dict(zip(ids[pure].tolist(), table.truth[known][pure].tolist(), strict=True))


def _chosen(border: Array, seed: int, epoch: int) -> Array:
    """A place of each border, in an order of this epoch."""
    hashed = draws.mix(draws.key(seed, epoch), np.arange(len(border)))
    order = np.lexsort((hashed, border))
    chosen = order[np.unique(border[order], return_index=True)[1]]
    return np.asarray(chosen[np.argsort(hashed[chosen])])


def _turned(pictures: Array, key: int) -> Array:
    """Pictures (B, 3, C, S, S), each turned one of eight ways."""
    ways = draws.mix(key, np.arange(len(pictures))) % np.uint64(8)
    found = np.empty_like(pictures)
    for way in range(8):
        rows = ways == way
        part = pictures[rows]
        part = part.swapaxes(-1, -2) if way & 1 else part
        part = part[..., ::-1, :] if way & 2 else part
        found[rows] = part[..., ::-1] if way & 4 else part
    return found
