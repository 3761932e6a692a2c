"""What a net of a volume learns: boundaries or affinities of every voxel, each crop balanced.

A model carries what its outputs mean and what it expects, so that nobody has to guess a sign or an order: the kind,
the offsets (a channel each, voxels, z y x: the affinity of a voxel to the one at that offset), how grey levels are
normalised, and the crop that it was trained on.

References: Ronneberger, Fischer & Brox, "U-Net", MICCAI 2015 (weights of voxels); Lee et al., 2017 (balance by crop).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from vision.accumulator import Array
from vision.auxiliary import heads
from vision.connectomics import targets
from vision.connectomics.blocks import Zyx
from vision.connectomics.grey import TYPES, WAYS, Normalise
from vision.connectomics.targets import UNKNOWN, UNTAUGHT
from vision.corpora.volumes import Volume
from vision.model import Model

if TYPE_CHECKING:
    import torch

Kind = Literal["boundaries", "affinities"]
KINDS = get_args(Kind)
HEAVIEST = 10.0
"""The most that a voxel of the rarer answer counts for, against one where both are equally many."""


@dataclass(frozen=True)
class Objective:
    """Cross entropy of every voxel and channel, both answers of a crop counting alike.

    Attributes:
        kind: boundaries (one channel, 1 = boundary) or affinities (1 = one neuron).
        offsets: of the channels; none for boundaries.
        normalise: whose statistics make grey levels comparable.
        crop: (z, y, x) voxels that the net is trained on.
        ignore: the label that teaches nothing; None: all teach.
        erode: voxels by which labels are made thinner in the section first.
        balance: whether the two answers of a crop count alike, or each voxel.
    """

    kind: Kind
    offsets: tuple[Zyx, ...]
    crop: Zyx
    normalise: Normalise = "section"
    ignore: int | None = None
    erode: int = 0
    balance: bool = True

    measured = ("right_voxels",)
    """What `loss` counts beside the loss: the share of a crop's taught voxels whose answer is right."""

    names = None
    """The outputs have no names of classes: what they mean is in `decoding`."""

    @property
    def outputs(self) -> int:
        return len(self.offsets) or 1

    @property
    def reach(self) -> Zyx:
        """How far beyond a crop labels must be known, the same on both sides."""
        near = (int(self.crop[0] > 1), 1, 1)
        far = [max((abs(offset[axis]) for offset in self.offsets), default=near[axis]) for axis in range(3)]
        # Crops are transposed: y and x reach as far as the farther one.
        plane = max(far[1:]) + self.erode
        return far[0], plane, plane

    @cached_property
    def decoding(self) -> Mapping[str, Any]:
        """What a model must carry for its outputs to be read."""
        offsets = [list(offset) for offset in self.offsets]
        return {"targets": self.kind, "offsets": offsets, "normalise": self.normalise, "crop": list(self.crop)}

    def answers_as(self, model: Model) -> bool:
        """Whether a model's outputs mean this already."""
        return all(model.decoding.get(name) == self.decoding[name] for name in ("targets", "offsets"))

    def taught(self, labels: Array) -> Array:
        """(C, Z, Y, X) uint8 targets of a crop, from its labels (int64) and those `reach` beyond it on all sides."""
        labels = targets.eroded(labels, self.erode)
        if self.offsets:
            found = targets.affinities(labels, self.offsets)
        else:
            found = targets.boundaries(labels, (1, 2) if self.crop[0] == 1 else (0, 1, 2))[None]
        inner = tuple(slice(far, size - far) for far, size in zip(self.reach, labels.shape, strict=True))
        return np.ascontiguousarray(found[(slice(None), *inner)])

    def known(self, labels: Array) -> Array:
        """Labels of any type as int64, `UNKNOWN` where they are to be ignored."""
        found = labels.astype(np.int64)
        return found if self.ignore is None else np.where(labels == self.ignore, UNKNOWN, found)

    def check_outputs(self, outputs: Any) -> None:
        """Refuse a net that does not answer for voxels with as many channels.

        Raises:
            ValueError: if its outputs are not (B, C, Y, X) or (B, C, Z, Y, X).
        """
        _, logits = heads(outputs)[0]
        if getattr(logits, "ndim", 0) not in (4, 5) or logits.shape[1] != self.outputs:
            shape = tuple(getattr(logits, "shape", ()))
            raise ValueError(f"the net gives outputs of shape {shape} where there are {self.outputs} {self.kind}")

    def loss(self, outputs: Any, taught: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What a micro-batch costs.

        Args:
            outputs: (B, C, Y, X) or (B, C, Z, Y, X) logits, of the crop or of the part in its middle that a net
                without padding answers for; or a tuple of them.
            taught: (B, C, Z, Y, X) uint8 as `taught` gives them.

        Returns:
            The sum over crops of their mean cross entropy, in nats, and (1,) the sum of their shares of right voxels.
        """
        found = heads(outputs)
        costs = [weight * self._cost(logits.float(), taught).sum() for weight, logits in found]
        return sum(costs[1:], costs[0]), _right(found[0][1].detach(), taught).sum().view(1)

    def _cost(self, logits: torch.Tensor, taught: torch.Tensor) -> torch.Tensor:
        """(B,) weighted means over voxels; 0 where a crop teaches nothing."""
        from torch.nn import functional

        logits, wanted, counts = _flat(logits, taught)
        weights = counts
        if self.balance:
            # (B, C, 1): voxels with answer 1, and all.
            ones, all_ = (wanted * counts).sum(2, keepdim=True), counts.sum(2, keepdim=True)
            heavy = (all_ / (2 * ones).clamp(min=1)).clamp(max=HEAVIEST)
            light = (all_ / (2 * (all_ - ones)).clamp(min=1)).clamp(max=HEAVIEST)
            weights = counts * (wanted * heavy + (1 - wanted) * light)
        each = functional.binary_cross_entropy_with_logits(logits, wanted, weights, reduction="none")
        return each.sum((1, 2)) / weights.sum((1, 2)).clamp(min=1)


def _flat(logits: torch.Tensor, taught: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(B, C, N) logits, answers and whether they count, of the voxels that the net answers for."""
    shape = (*logits.shape[:2], *((1,) if logits.ndim == 4 else ()), *logits.shape[2:])
    lost = [(full - own) // 2 for full, own in zip(taught.shape[2:], shape[2:], strict=True)]
    cut = tuple(slice(less, less + own) for less, own in zip(lost, shape[2:], strict=True))
    kept = taught[(slice(None), slice(None), *cut)].flatten(2)
    return logits.reshape(shape).flatten(2), (kept == 1).float(), (kept != UNTAUGHT).float()


def _right(logits: torch.Tensor, taught: torch.Tensor) -> torch.Tensor:
    logits, wanted, counts = _flat(logits, taught)
    return (((logits > 0) == (wanted > 0)) * counts).sum((1, 2)) / counts.sum((1, 2)).clamp(min=1)


def objective(
    volume: Volume,
    *,
    crop: Zyx,
    kind: Kind = "boundaries",
    offsets: str | None = None,
    normalise: Normalise = "section",
    ignore: int | None = None,
    erode: int = 0,
    balance: bool = True,
) -> Objective:
    """What is learned from a volume.

    Args:
        volume: the image.
        offsets: of affinities, as `targets.parse_offsets` takes them; None: the three nearest neighbours.

    Raises:
        ValueError: if the volume is no image of grey levels, or a value makes no sense.
    """
    if volume.channels or volume.dtype not in TYPES:
        held = f"{volume.channels} channels of {volume.dtype}" if volume.channels else volume.dtype
        raise ValueError(f"a net of volumes learns from grey levels ({' or '.join(TYPES)}), and the volume has {held}")
    if kind not in KINDS or normalise not in WAYS or erode < 0:
        raise ValueError(
            f"targets are {' or '.join(KINDS)}, normalised by {' or '.join(WAYS)}; got {kind}, {normalise}"
        )
    if offsets is not None and kind == "boundaries":
        raise ValueError("offsets: boundaries have none; ask for --targets affinities")
    chosen = () if kind == "boundaries" else targets.parse_offsets(offsets) if offsets else targets.NEAREST
    return Objective(kind, chosen, crop, normalise, ignore, erode, balance)
