"""The fields that say how the net of a volume computes: on which device, in which numbers, on how many patches."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from jobs.spec import Job
from vision.connectomics.batches import Device
from vision.connectomics.blocks import Zyx


class Computing(Job):
    """Where a net computes."""

    model: str | None = Field(None, description="model folder or models:/NAME@ALIAS, trained on volumes")
    gpus_per_worker: float = Field(0.0, ge=0, description="model: GPUs that each worker of the net takes; 0: CPU")
    batch_size: int | None = Field(
        None,
        ge=1,
        description="model: patches that the net sees at once; default: 1 on a CPU, on a GPU those of 4M voxels",
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="model: auto: bf16 on a GPU, fp32 on a CPU; bf16 has other last digits"
    )

    @model_validator(mode="after")
    def _of_a_net(self) -> Self:
        if self.model is None:
            for field in ("gpus_per_worker", "batch_size", "precision"):
                if getattr(self, field) != type(self).model_fields[field].default:
                    raise ValueError(f"{field}: it says how a net computes, and there is no --model")
        return self

    def device(self, patch: Zyx) -> Device:
        """Where and how patches of a size are answered."""
        name = "cuda" if self.gpus_per_worker else "cpu"
        return Device.of(name, patch, None if self.precision == "auto" else self.precision, self.batch_size)
