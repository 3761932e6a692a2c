"""The fields of every job that trains: how a net learns, whatever net it is and whoever trains it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from jobs.lesson import Learning
from jobs.records import Waits


class Teaching(Learning, Waits):
    """Fields of `train`, which every job has that trains nets."""

    arguments: str = Field("{}", description="JSON of the arguments that the net is built with")
    preprocess: str | None = Field(None, description="preprocessing by name (cifar10, imagenet) or a JSON file")
    val_split: str | None = Field(None, description="split to validate on, to choose the best weights and to report")
    best_by: str | None = Field(None, description="metric that chooses the best weights; default: the room's first")
    validate_every: int = Field(1, ge=1, description="epochs from one validation to the next")
    epochs: int = Field(10, ge=1, description="times that every record is seen")
    batch_size: int = Field(128, ge=1, description="records of a global batch, over all workers")
    micro_batch: int = Field(64, ge=1, description="records normalised together; never depends on the workers")
    optimizer: Literal["sgd", "nesterov", "adam", "adamw"] = Field("nesterov", description="how weights are changed")
    learning_rate: float = Field(0.1, ge=0, description="at its highest")
    schedule: Literal["cosine", "step", "constant"] = Field("cosine", description="how the learning rate falls")
    drops: tuple[str, ...] = Field(
        (), description="step: shares of the training after which the rate is tenthed; 0.5,0.75"
    )
    warmup: float = Field(0.0, ge=0, description="epochs in which the learning rate rises")
    augment: tuple[str, ...] = Field(
        (),
        description="scale:256-512 (shorter side), resized-crop:0.08, crop:4, flip, colour:0.4, in this order;"
        " of a volume: flip, transpose, elastic:0.2, contrast:0.3, blur:0.1, missing:0.05, shift:0.05",
    )
    weight_decay: float = Field(5e-4, ge=0, description="of weights; norms and biases have none")
    clip: float = Field(0.0, ge=0, description="greatest norm of the gradient; 0: any")
    ema: float = Field(0.0, ge=0, le=1, description="decay of an average of the weights, which is then kept; 0: none")
    precision: Literal["auto", "fp32", "bf16"] = Field("auto", description="auto: bf16 on a GPU, fp32 on a CPU")
    gpus_per_worker: float = Field(0.0, ge=0, description="GPUs that each worker takes; 0: CPU")
    max_failures: int = Field(3, ge=0, description="times that workers may die before the job fails, to go on later")
    checkpoint_every: int = Field(1000, ge=1, description="steps between checkpoints, besides each epoch's end")
    keep: int = Field(2, ge=1, description="newest checkpoints to keep")
    buffer_rows: int = Field(16384, ge=1, description="records shuffled together; all of a smaller corpus")
    cache_mb: int = Field(1024, ge=0, description="MiB of decoded pictures that each worker keeps")
    max_errors: float = Field(0.01, ge=0, le=1, description="share of broken images past which the job fails")
    code: str | None = Field(None, description="folder of Python modules that names may point into")
