"""A trained net applied to a volume of any size: boundaries or affinities as bytes, the same for any blocks.

What comes out is what `segment` takes as `--boundaries` or `--affinities`; with `--model` it does both at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from jobs import storage
from jobs.segmenting import reporting
from jobs.segmenting.applying import Applying
from jobs.spec import Context, Plain, Report


class Infer(Applying):
    """Apply a net to every voxel of a volume."""

    volume: str = Field(description="grey levels: FILE.npz#key, zarr, N5, HDF5, TIFF or a folder of sections")
    output: str = Field(description="folder or URL; boundaries/ or affinities/ in it is the zarr volume")
    keep: Literal["boundaries", "affinities"] = Field("boundaries", description="one byte a voxel, or all channels")

    def run(self, context: Context | None = None) -> Report:
        """Apply.

        Raises:
            SpecError: if a field does not fit, or the output holds other work.
            JobFailed: if a block cannot be done.
        """
        from jobs.segmenting.inferring import Inferring

        context, output = context or Plain(), storage.absolute(self.output)
        inferring = Inferring.of(self, self.volume, output, context, self.keep)
        with storage.claim(output):
            done = inferring.carry_out(context)
        table = reporting.counts([(name, one.counts, one.blocks, one.made) for name, one in done])
        tags = {"model_digest": inferring.model.digest, "fingerprint": done[-1][1].fingerprint}
        return Report(output=inferring.place, tables={"stages": table}, tags=tags)

    def estimate(self, context: Context) -> Mapping[str, str]:
        from jobs.segmenting.inferring import Inferring

        output = storage.absolute(self.output)
        return {"output": output, **Inferring.of(self, self.volume, output, context, self.keep).cost()}
