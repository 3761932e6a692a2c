"""The fields of a job that learns from crops of a volume: which voxels, what they teach, how large a crop is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from jobs.lesson import Learning


class FromVolume(Learning):
    """What is learned of a volume."""

    room_takes: ClassVar[Mapping[str, str]] = {
        **Learning.room_takes,
        "targets": "kind", "offsets": "offsets", "normalise": "normalise", "ignore": "ignore", "erode": "erode",
        "balance": "balance",
    }  # fmt: skip

    volume: str | None = Field(
        None, description="in place of --corpus: image to crop from, FILE.npz#key, zarr, N5, HDF5, TIFF, sections"
    )
    truth: str | None = Field(None, description="volume: labels of the same voxels; 0 = boundary, or no neuron")
    roi: str | None = Field(None, description="volume: box to learn from, Z0:Z1,Y0:Y1,X0:X1; default: all")
    val_roi: str | None = Field(
        None, description="volume: box kept from training, to validate on, to choose the best weights and to report"
    )
    scale: int = Field(0, ge=0, description="volume: which array of a pyramid; 0: full resolution")
    crop: tuple[int, ...] = Field(
        (1, 160, 160), min_length=1, description="volume: voxels of a crop, Z,Y,X; nets of pictures: Z=1"
    )
    crops: int = Field(512, ge=1, description="volume: crops of an epoch, drawn by (seed, epoch, number)")
    targets: Literal["boundaries", "affinities"] = Field("boundaries", description="volume: what labels teach")
    offsets: str | None = Field(
        None, description="affinities: Z,Y,X of each channel, separated by ';'; default -1,0,0;0,-1,0;0,0,-1"
    )
    normalise: Literal["section", "volume"] = Field("section", description="volume: whose mean and deviation of grey")
    ignore: int | None = Field(None, description="volume: label that teaches nothing, such as 0 where it means unknown")
    erode: int = Field(0, ge=0, description="volume: voxels by which labels are made thinner first, in the section")
    balance: bool = Field(True, description="volume: both answers of a crop count alike (10 times at most)")

    def deciding(self) -> dict[str, Any]:
        if self.volume is None:
            return super().deciding()
        names = ("roi", "scale", "crop", "crops", "ignore", "erode", "balance")
        own = {name: getattr(self, name) for name in (*names, *(["val_roi"] if self.val_roi else []))}
        return {**super().deciding(), **own, "crop": list(self.crop)}
