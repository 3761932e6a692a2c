"""The fields of every job that answers records with models, and how such a job falls into one run for each model."""

from __future__ import annotations

import re
from typing import Literal, Self

from pydantic import Field, field_validator

from jobs import storage
from jobs.records import Reads, Spread
from jobs.spec import SpecError
from vision.explaining import Method


class Predicting(Reads, Spread):
    """Fields of `predict`, which every job has that takes a model."""

    model: tuple[str, ...] = Field((), description="models:/NAME@ALIAS, a folder or nets.FILE:NAME; several: one pass")
    output: str | None = Field(None, description="folder or URL of the predictions; with several models, the parent")
    batch_size: int | None = Field(None, ge=1, description="pictures a batch; default 4 on a CPU, 256 on a GPU")
    gpus_per_worker: float = Field(0.0, ge=0, description="GPUs that each worker takes; 0: CPU")
    decode: Literal["auto", "cpu", "gpu"] = Field(
        "auto", description="who decodes JPEGs beside a GPU; auto: the GPU where two seconds of trying find it starved"
    )
    max_errors: float = Field(0.01, ge=0, le=1, description="share of broken images past which the job fails")
    kernel: Literal["auto", "openvino", "torch", "inductor", "onnxruntime"] = Field(
        "auto",
        description="what computes; auto: openvino on a CPU where it is installed, else torch or onnxruntime; "
        "inductor: torch.compile, for long work on a GPU",
    )
    precision: Literal["auto", "fp32", "bf16", "bf16-only"] = Field(
        "auto", description="auto: fp32; bf16: faster, close calls again in fp32; bf16-only: no second look"
    )
    keep_logits: bool = Field(False, description="keep every logit, as the column `logits`")
    embedding: str | None = Field(None, description="layer whose output is kept as the column `embedding`")
    crops: Literal["1", "5", "10", "25", "50"] | None = Field(
        None, description="windows of a picture averaged: 5 corners and centre, 25 a grid, 10 and 50 with mirror images"
    )
    scales: tuple[int, ...] = Field((), description="shorter sides to resize to, averaged, such as 256,384,512")
    dense: bool = Field(
        False, description="the net over the whole picture, its map of scores averaged; with --crops both"
    )
    flip: bool = Field(False, description="mirror images too, averaged")
    code: str | None = Field(None, description="folder of Python modules that names may point into")

    @field_validator("crops", mode="before")
    @classmethod
    def _as_word(cls, crops: object) -> object:
        return str(crops) if isinstance(crops, int) and not isinstance(crops, bool) else crops

    def explaining(self) -> Method | None:
        """How answers are explained, where the job is about that."""
        return None

    def parts(self) -> tuple[Self, ...]:
        """One job for each model, with an output of its own below the common one."""
        if len(self.model) < 2:
            return (self,)
        titles = [title(reference) for reference in self.model]
        if len(set(titles)) < len(titles):
            raise SpecError(f"model: two of {', '.join(self.model)} have one name; each needs its own")
        return tuple(
            self.model_copy(update={"model": (reference,), "output": self.output and storage.join(self.output, name)})
            for reference, name in zip(self.model, titles, strict=True)
        )


def title(reference: str) -> str:
    """A model's reference as a short file name: the last part of its path, or the whole of a dotted name."""
    return re.sub(r"[^\w.-]+", "-", reference.rstrip("/").rsplit("/", 1)[-1])
