"""Patches of a network on one global grid, blended so that a voxel's answer does not depend on its block.

A patch of `patch` voxels is trusted but for `margin` on each side; what is trusted overlaps its neighbours by
`overlap`. Origins are fixed by the volume alone, the last one moved back to end at the volume's end, and a block asks
for every patch that has a trusted voxel in it. Beyond its ends the volume is mirrored. A voxel is the weighted mean of
the patches that hold it: with weights and probabilities as whole numbers, so that neither the order of the patches nor
the block matters, to the last bit.

Weights fall off towards the rim, where a network sees least: `bump` exp(-sum((x(1-x))^-1.5)) with x in 0..1 across the
patch (Lee et al. 2017), `gaussian` with a standard deviation of 1/8 of the patch (as in MONAI), or `flat`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Literal, NamedTuple, get_args

import numpy as np

from vision.accumulator import Array
from vision.connectomics.blocks import AXES, Box, Zyx

Weighting = Literal["bump", "gaussian", "flat"]
VALUES = (1 << 16) - 1
"""Units of a probability, as `Blend` counts them."""
_WEIGHT = 1 << 16  # units of weights; with those of probabilities, 2**22 patches on a voxel fit


class Patch(NamedTuple):
    """What a network reads, which may reach beyond the volume, and what of its answer is kept."""

    read: Box
    write: Box


@dataclass(frozen=True)
class Tiling:
    """Where the patches of a volume lie.

    Args:
        shape: of the volume.
        patch: that the network takes.
        margin: on each side of its answer that is cut off.
        overlap: voxels that neighbouring trusted parts share at least.

    Raises:
        ValueError: if nothing of a patch would be trusted, or it would not move on.
    """

    shape: Zyx
    patch: Zyx
    margin: Zyx = (0, 0, 0)
    overlap: Zyx = (0, 0, 0)

    def __post_init__(self) -> None:
        for axis, (patch, margin, overlap) in enumerate(zip(self.patch, self.margin, self.overlap, strict=True)):
            if min(margin, overlap) < 0 or patch - 2 * margin - overlap < 1:
                raise ValueError(
                    f"along {AXES[axis]} a patch of {patch} leaves nothing new without margins of {margin} "
                    f"and an overlap of {overlap}"
                )

    @property
    def trusted(self) -> Zyx:
        """Voxels of a patch's answer that are kept."""
        z, y, x = (p - 2 * m for p, m in zip(self.patch, self.margin, strict=True))
        return z, y, x

    def begins(self, axis: int) -> list[int]:
        """Where trusted parts begin along an axis, rising; one that is wider than the volume begins at 0."""
        size, kept = self.shape[axis], self.trusted[axis]
        last = max(0, size - kept)
        return [*range(0, last, kept - self.overlap[axis]), last]

    def patches(self, box: Box) -> Iterator[Patch]:
        """All patches with a trusted voxel in a box, in the order of their place."""
        spans = []
        for axis in range(3):
            kept = self.trusted[axis]
            spans.append([b for b in self.begins(axis) if b < box.end[axis] and b + kept > box.begin[axis]])
        kept_z, kept_y, kept_x = self.trusted
        for z, y, x in product(*spans):
            trusted = Box((z, y, x), (z + kept_z, y + kept_y, x + kept_x))
            yield Patch(trusted.grown(self.margin), trusted.meet(Box((0, 0, 0), self.shape)))

    def reads(self, box: Box) -> Box:
        """The part of the volume that the patches of a box see."""
        found = [patch.read for patch in self.patches(box)]
        low = _zyx(min(read.begin[i] for read in found) for i in range(3))
        high = _zyx(max(read.end[i] for read in found) for i in range(3))
        return Box(low, high).meet(Box((0, 0, 0), self.shape))

    def cut(self, part: Array, origin: Zyx, patch: Patch) -> Array:
        """A patch's input (Z, Y, X), mirrored at the volume's ends.

        Args:
            part: of the volume, which holds `reads(box)`, with its first voxel at `origin`.
        """
        return np.asarray(part[np.ix_(*self.places(origin, patch))])

    def places(self, origin: Zyx, patch: Patch) -> list[Array]:
        """Where along z, y and x the voxels of a patch lie in a part of the volume whose first voxel is at `origin`."""
        return [
            _mirrored(np.arange(b, e), size) - o for b, e, size, o in zip(*patch.read, self.shape, origin, strict=True)
        ]

    def trusted_weights(self, weights: Array, patch: Patch, met: Box) -> Array:
        """Those of the voxels of a box that a patch is trusted in, out of `weights(kind)` (or a tensor of them)."""
        first = _zyx(begin + margin for begin, margin in zip(patch.read.begin, self.margin, strict=True))
        return weights[met.within(first)]

    def weights(self, kind: Weighting = "bump") -> Array:
        """Of the trusted part: (Z, Y, X) int64, 1 to 65,536.

        Raises:
            ValueError: if there is no such kind.
        """
        if kind not in get_args(Weighting):
            raise ValueError(f"weights are one of {', '.join(get_args(Weighting))}, got {kind!r}")
        across = [np.arange(1, n + 1) / (n + 1) for n in self.trusted]
        if kind == "flat":
            return np.full(self.trusted, _WEIGHT, np.int64)
        if kind == "gaussian":
            logs = [-0.5 * ((x - 0.5) * 8) ** 2 for x in across]
        else:
            logs = [-((x * (1 - x)) ** -1.5) for x in across]
        total = logs[0][:, None, None] + logs[1][:, None] + logs[2]
        return np.asarray(np.maximum(1, np.rint(np.exp(total - total.max()) * _WEIGHT)), np.int64)


class Blend:
    """The weighted mean of patches over one box. 16 bytes a voxel and channel."""

    def __init__(self, tiling: Tiling, box: Box, channels: int, weighting: Weighting = "bump") -> None:
        self._box, self._weights, self._tiling = box, tiling.weights(weighting), tiling
        self._sums, self._seen = (np.zeros((channels, *box.shape), np.int64) for _ in range(2))

    def add(self, patch: Patch, answer: Array, known: Array | None = None) -> None:
        """Add a network's answer.

        Args:
            answer: (C, Z, Y, X) probabilities 0..1 of the whole patch, margins included.
            known: booleans of that shape, False where it says nothing (flipped affinities at the rim).

        Raises:
            ValueError: if the shape is not the patch's or a value is no probability.
        """
        expected = (len(self._sums), *patch.read.shape)
        if answer.shape != expected:
            raise ValueError(f"a patch's answer must be {expected}, got {answer.shape}")
        met = patch.write.meet(self._box)
        inside, here = met.within(patch.read.begin), met.within(self._box.begin)
        values = np.rint(answer[:, *inside].astype(np.float64) * VALUES)
        if not ((values >= 0) & (values <= VALUES)).all():
            raise ValueError("a patch's answer must be probabilities in 0..1")
        weights = np.broadcast_to(self._tiling.trusted_weights(self._weights, patch, met), values.shape)
        if known is not None:
            weights = weights * known[:, *inside]
        self._sums[:, *here] += weights * values.astype(np.int64)
        self._seen[:, *here] += weights

    def result(self) -> Array:
        """(C, Z, Y, X) uint8, 255 = 1.

        Raises:
            ValueError: if a voxel was seen by no patch.
        """
        if not self._seen.all():
            raise ValueError(f"{int((self._seen == 0).sum())} voxels of {self._box} were seen by no patch")
        whole = self._seen * VALUES
        return np.asarray((self._sums * 255 + whole // 2) // whole, np.uint8)


def usual(patch: Zyx, margin: Zyx | None = None) -> tuple[Zyx, Zyx]:
    """Margin and overlap of a patch where nothing else is asked for: an eighth of it, and a quarter of what is left."""
    margin = margin or _zyx(size // 8 for size in patch)
    return margin, _zyx((size - 2 * lost) // 4 for size, lost in zip(patch, margin, strict=True))


def _mirrored(places: Array, size: int) -> Array:
    """Places outside 0..size - 1 reflected at the ends, which are not repeated."""
    if size == 1:
        return np.zeros_like(places)
    folded = places % (2 * size - 2)
    return np.asarray(np.minimum(folded, 2 * size - 2 - folded))


def _zyx(values: Iterator[int]) -> Zyx:
    z, y, x = values
    return z, y, x
