"""PlaNet: where a photo was taken, as a choice among cells; what such a net learns from.

The cost of a photo is the cross entropy of its cell, summed over the partitions. A photo in no cell of a partition
(cells with few photos were dropped) teaches that partition nothing. Labels may be smoothed by distance: a cell 10 km
away from the truth is less wrong than one on another continent, so its share of the target is proportional to
exp(-d / tau), d from the photo to where the cell's photos are on average. tau = 75 km for street views and 65 km for
photos of all kinds, as PIGEON has it; since d of the true cell is a factor common to all, it cancels.

Departures from PlaNet: any body in place of Inception, several partitions, and the recipe of `train`.

References: Weyand, Kostrikov & Philbin, "PlaNet", ECCV 2016; Müller-Budack et al., ECCV 2018 (sum over partitions);
Haas et al., "PIGEON: Predicting Image Geolocations", CVPR 2024 (smoothing by haversine distance).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from vision.accumulator import Array
from vision.auxiliary import check_width, heads
from vision.corpus import Corpus
from vision.geolocation.album_model import reads
from vision.geolocation.ceiling import At
from vision.geolocation.drawn import probable
from vision.geolocation.globe import Globe
from vision.geolocation.posteriors import Posteriors
from vision.geolocation.stored import Cells
from vision.model import Model
from vision.predictor import Asked, Predictor
from vision.sphere import EARTH_KM, PLACE, places, unit_vectors

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, eq=False)
class Objective:
    """Cross entropy with one cell of each partition for each photo.

    Attributes:
        smoothing: share of the target that is spread over all cells alike.
        smoothing_km: tau; 0 smooths nothing by distance.

    Raises:
        ValueError: if labels are to be smoothed in both ways, or tau is no distance.
    """

    globe: Globe
    smoothing: float = 0.0
    smoothing_km: float = 0.0

    measured = ("right_cell",)
    """What `loss` counts beside the loss: photos whose finest cell has the greatest output among its partition's."""

    names = None
    """The outputs have no names of classes: the cells are in `decoding`."""

    def __post_init__(self) -> None:
        if self.smoothing_km < 0 or not np.isfinite(self.smoothing_km):
            raise ValueError(f"smoothing_km must be kilometres from 0 up, got {self.smoothing_km:g}")
        if self.smoothing and self.smoothing_km:
            raise ValueError("labels are smoothed over all cells (label_smoothing) or by distance (smoothing_km)")

    @property
    def outputs(self) -> int:
        return self.globe.outputs

    @cached_property
    def decoding(self) -> Mapping[str, Any]:
        """What a model must carry for its outputs to be read: its cells."""
        return self.globe.to_dict()

    def answers_as(self, model: Model) -> bool:
        """Whether a model's outputs are these cells already."""
        return bool(model.decoding) and model.decoding.get("partitions") == self.decoding["partitions"]

    def targets(self, rows: pa.Table) -> Array:
        """(N, P + 2) float64: the class of each partition, -1 for none, then latitude and longitude, degrees.

        Raises:
            ValueError: if a position is nowhere on Earth.
        """
        found = places(rows)
        return np.concatenate([self.globe.classes(*found.T), found], axis=1)

    def census(self, targets: Array) -> Array:
        """(P + 1,) int64: photos in a cell of each partition, and all. Adds up over parts of a corpus."""
        inside = (targets[:, :-2] >= 0).sum(axis=0)
        return np.concatenate([inside, [len(targets)]]).astype(np.int64)

    def check(self, census: Array) -> None:
        """Refuse to learn cells in which no photo lies.

        Raises:
            ValueError: naming the partition.
        """
        for (name, _), inside in zip(self.globe.partitions, census, strict=False):
            if not inside:
                raise ValueError(f"none of {int(census[-1]):,} photos lies in a cell of partition {name}")

    def check_outputs(self, outputs: Any) -> None:
        """Refuse a net that answers with another number of cells.

        Raises:
            ValueError: if its outputs for some pictures are not (B, K).
        """
        check_width(outputs, self.outputs, f"there are {self.outputs} cells")

    def loss(self, outputs: Any, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What a micro-batch costs.

        Args:
            outputs: (B, K) logits, coarsest partition first, or a tuple of them: then those of auxiliary heads.
            targets: (B, P + 2) as `targets` gives them.

        Returns:
            The sum over rows and partitions of the cross entropy, in nats, and (1,) how many fine cells are right.
        """
        found = heads(outputs)
        classes = targets[:, :-2].long()
        costs = [weight * self._cost(head.float(), classes, targets) for weight, head in found]
        fine = found[0][1].detach()[:, -self.globe.sizes[-1] :]
        right = (fine.argmax(dim=1) == classes[:, -1]).sum()
        return sum(costs[1:], costs[0]), right.float().view(1)

    def _cost(self, logits: torch.Tensor, classes: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        import torch
        from torch.nn import functional

        total = logits.sum() * 0.0
        for number, part in enumerate(torch.split(logits, list(self.globe.sizes), dim=1)):
            truth = classes[:, number]
            if self.smoothing_km:
                known = truth >= 0
                shares = self._shares(number, targets[known])
                total = total - (shares * functional.log_softmax(part[known], dim=1)).sum()
            else:
                total = total + functional.cross_entropy(
                    part, truth, ignore_index=-1, reduction="sum", label_smoothing=self.smoothing
                )
        return total

    def _shares(self, number: int, targets: torch.Tensor) -> torch.Tensor:
        """(B, M) float32: a photo's target, by the great circle from it to each cell."""
        import torch

        places = unit_vectors(*targets[:, -2:].cpu().numpy().T)
        cells = torch.from_numpy(self.globe.vectors[number])
        # Chords in float64: the cosine of a kilometre differs from 1 in the eighth digit.
        chords = torch.cdist(torch.from_numpy(places), cells, compute_mode="donot_use_mm_for_euclid_dist")
        km = 2 * EARTH_KM * torch.asin((chords / 2).clamp(max=1.0))
        return torch.softmax(-km / self.smoothing_km, dim=1).float().to(targets.device)

    def answers(self, outputs: Any, targets: Array) -> dict[str, pa.Array]:
        """The answer columns of a net in evaluation mode, as `predict` gives them."""
        return Posteriors(self.globe).decode(outputs.float().cpu().numpy(), targets)

    def truths(self, targets: Array) -> dict[str, pa.Array]:
        """The question's columns that the answers are scored against."""
        return {name: pa.array(targets[:, column]) for name, column in zip(PLACE, (-2, -1), strict=True)}


def objective(
    corpus: Corpus,
    smoothing: float = 0.0,
    *,
    cells: Sequence[tuple[str, Cells]] = (),
    smoothing_km: float = 0.0,
    position: At = "mean",
) -> Objective:
    """What is learned from a corpus of geotagged photos.

    Args:
        cells: name and cells of each partition, in any order.
        smoothing_km: tau of the smoothing by distance.
        position: where in a cell a photo is put.

    Raises:
        ValueError: if the corpus has no positions, or there are no cells.
    """
    missing = [name for name in PLACE if name not in corpus.columns]
    if missing:
        raise ValueError(f"{corpus.name} has no column {missing[0]} to learn from; ingest it as `geotagged`")
    if not cells:
        raise ValueError("cells: a net of places needs some: a file of `safelight run partition`, or several")
    return Objective(Globe.of(cells, position), smoothing, smoothing_km)


def predictor(model: Model, asked: Asked) -> Predictor:
    """What answers records with places.

    Raises:
        ValueError: if the model carries no cells, or reads embeddings of albums and no pictures.
    """
    if reads(model) is not None:
        raise ValueError(f"{model.net} reads embeddings of albums: ask it by `safelight run albums --by lstm --model`")
    found = posteriors(model)
    return Predictor(model, asked, found.decode, found.greatest, found.fine, found.truth)


def portrait(model: Model, row: Mapping[str, Any]) -> dict[str, pa.Table]:
    """What else there is to be seen of one answer: where the photo may have been taken (`map_probability`).

    Args:
        row: a record with its answer beside it and `predicted_logits`; nothing is shown where these are missing.
    """
    if row.get("predicted_logits") is None:
        return {}
    found = posteriors(model)
    marks = {
        name: (row[f"{prefix}latitude"], row[f"{prefix}longitude"])
        for name, prefix in (("taken here", ""), ("answered", "predicted_"))
        if row.get(f"{prefix}latitude") is not None and row.get(f"{prefix}longitude") is not None
    }
    (logs,) = found.fine(np.array([row["predicted_logits"]]))
    return {"map_probability": probable(found.globe, logs, marks, row["id"])}


def posteriors(model: Model) -> Posteriors:
    """How a model's outputs are read.

    Raises:
        ValueError: if it carries no cells, or they are damaged.
    """
    if not model.decoding:
        raise ValueError(f"{model.net} carries no cells: a model of places comes from `safelight run train` or `heads`")
    return Posteriors(Globe.from_dict(model.decoding))
