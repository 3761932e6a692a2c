"""A net that proofreads: taught on a volume with truth which borders between fragments are none.

Fragments are made from the boundary map in several ways, so that a small crop has many borders; each teaches whether
its two sides are one neuron. What comes out is a model folder that `segment --proofreader` ranks its list with. The
box is held in memory as a whole: some 60 bytes a voxel and 35 kB a border. A crop of half a million voxels takes a
minute of a core.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field

from jobs import storage
from jobs.segmenting.evidence import as_bytes, check
from jobs.spec import Context, Job, Plain, Report, SpecError
from jobs.volumes.opening import Opened, opened
from vision import intervals
from vision.accumulator import plotted
from vision.connectomics.blocks import Box
from vision.connectomics.fragments import Fragmenter
from vision.connectomics.patches import Look
from vision.connectomics.verdicts import Borders, borders, learn, together
from vision.corpora.volumes import check_same_place, parse_box


class Proofread(Job):
    """Teach a net which borders between fragments are wrong, from a volume with truth."""

    boundaries: str = Field(description="boundary probability, bytes or 0..1: FILE.npz#key, zarr, ...")
    truth: str = Field(description="true ids; 0 is not known")
    output: str = Field(description="model folder that comes out")
    volume: str | None = Field(None, description="grey levels (uint8), to be looked at too; segment then needs them")
    roi: str | None = Field(None, description="box to learn from, Z0:Z1,Y0:Y1,X0:X1 in voxels")
    windows: tuple[int, ...] = Field(
        (6, 10, 14), min_length=1, description="one over-segmentation each: voxels in which a seed is the farthest"
    )
    seed_below: tuple[float, ...] = Field(
        (0.3, 0.5), min_length=1, description="one more each: a voxel is inside a neuron where its boundary is below"
    )
    side: int = Field(21, ge=5, description="pixels of a picture of a border; odd")
    faces: int = Field(8, ge=1, description="places on a border that are looked at")
    epochs: int = Field(12, ge=1, description="times that each border is learned from")
    seed: int = Field(0, description="of weights and order")

    def run(self, context: Context | None = None) -> Report:
        """Learn.

        Raises:
            SpecError: if a field does not fit, or the volume teaches nothing.
        """
        from pathlib import Path

        from vision import model
        from vision.connectomics.border_net import NAME
        from vision.preprocessing import Preprocessing

        context, output = context or Plain(), storage.absolute(self.output)
        if storage.is_s3(output):
            raise SpecError("output: a model is taught on this machine; name a local folder and copy it to S3 then")
        look = self._look()
        found = self._borders(look)
        context.log(f"{found.borders:,} borders, {found.one.mean():.0%} of their places within one neuron")
        net, curve = self._taught(found, look, context)
        about = {"borders": {"side": look.side, "faces": look.faces, "image": look.image}}
        with storage.claim(output):
            arguments = {"channels": look.channels}
            empty = model.Model(NAME, Preprocessing(), "", arguments, task="connectomics", decoding=about)
            saved = model.save(empty, Path(output), net)
        metrics = {"right_places": intervals.rate(round(curve[-1]["right"] * found.borders), found.borders)}
        note = (
            "right_places counts the borders that it learns from, as it learns: segment's curve says what it is worth"
        )
        tables, tags = {"learning": _drawn(curve)}, {"model_digest": saved.digest}
        return Report(metrics, output=output, tables=tables, tags=tags, notes=(note,))

    def estimate(self, context: Context) -> Mapping[str, str]:
        """Voxels and passes; nothing is written."""
        _, box = self._opened()
        ways = len(self.windows) * len(self.seed_below)
        return {"voxels": f"{box.voxels:,}", "over-segmentations": str(ways), "epochs": str(self.epochs)}

    def _look(self) -> Look:
        try:
            return Look(self.side, self.faces, self.volume is not None)
        except ValueError as error:
            raise SpecError(f"side: {error}") from None

    def _opened(self) -> tuple[dict[str, Opened], Box]:
        """The volumes by field, and the box that is read.

        Raises:
            SpecError: if they do not fit each other.
        """
        named = {"boundaries": self.boundaries, "truth": self.truth, "volume": self.volume}
        found = {field: opened(text, field, labels=field == "truth") for field, text in named.items() if text}
        first = found["boundaries"]
        for field, one in found.items():
            if field != "truth":
                check(one, field)
            try:
                check_same_place(
                    first.volume, one.volume, (f"--boundaries {first.address}", f"--{field} {one.address}")
                )
            except ValueError as error:
                raise SpecError(f"{field}: {error}") from None
        try:
            begin, end = parse_box(self.roi or ":,:,:", first.volume.shape)
        except ValueError as error:
            raise SpecError(f"roi: {error}") from None
        return found, Box(begin, end)

    def _borders(self, look: Look) -> Borders:
        """What all over-segmentations together teach."""
        found, box = self._opened()
        boundary = as_bytes(found["boundaries"].read(box), found["boundaries"].address)
        image = as_bytes(found["volume"].read(box), found["volume"].address) if look.image else None
        truth = found["truth"].read(box)
        try:
            ways = [Fragmenter(below, window) for window in self.windows for below in self.seed_below]
        except ValueError as error:
            raise SpecError(f"windows, seed_below: {error}") from None
        parts = [borders(look, way.of_block(boundary).astype(np.uint64), truth, boundary, image) for way in ways]
        return together(parts)

    def _taught(self, found: Borders, look: Look, context: Context) -> tuple[Any, list[dict[str, float]]]:
        """A net, and what it was like after each epoch."""
        import torch

        from vision.connectomics.border_net import border_net

        torch.manual_seed(self.seed)
        net, curve = border_net(look.channels), []
        try:
            for epoch, (loss, right) in enumerate(learn(net, found, self.epochs, self.seed), 1):
                curve.append({"epoch": epoch, "loss": loss, "right": right})
                context.metric("loss", loss, epoch)
                context.log(f"epoch {epoch} of {self.epochs}: loss {loss:.3f}, {right:.1%} right")
        except ValueError as error:
            raise SpecError(f"truth: {error}") from None
        return net, curve


def _drawn(curve: list[dict[str, float]]) -> pa.Table:
    """Loss and share of right answers by epoch, as lines."""
    found = [
        {"epoch": row["epoch"], "what": name, "value": row[name], "low": None, "high": None}
        for name in ("loss", "right")
        for row in curve
    ]
    types = {"epoch": pa.int64(), "what": pa.string(), "value": pa.float64(), "low": pa.float64(), "high": pa.float64()}
    how = {"kind": "lines", "x": "epoch", "y": "value", "low": "low", "high": "high", "series": ["what"]}
    return plotted(pa.Table.from_pylist(found, pa.schema(types)), **how, logarithmic=False, stretched=False)
