"""The learning rate as a function of the step: constant, by drops, or along a cosine, each after a linear warm-up.

References: He et al., "Deep residual learning", CVPR 2016 (drops at 1/2 and 3/4 of the way, by ten); Loshchilov &
Hutter, "SGDR", ICLR 2017 (cosine); Goyal et al., "Accurate, large minibatch SGD", 2017 (warm-up).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

KINDS = ("cosine", "step", "constant")


@dataclass(frozen=True)
class Schedule:
    """What the learning rate is at each step.

    Attributes:
        kind: a name of `KINDS`.
        peak: the rate after the warm-up.
        steps: of the whole training.
        warmup: steps over which it rises linearly to `peak`; the first step has peak / warmup.
        drops: with "step", the shares of all steps after which the rate is divided by ten.

    Raises:
        ValueError: if a value makes no sense.
    """

    kind: str
    peak: float
    steps: int
    warmup: int = 0
    drops: tuple[float, ...] = (0.5, 0.75)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"schedule {self.kind!r} is not one of {', '.join(KINDS)}")
        if not 0 <= self.warmup <= self.steps:
            raise ValueError(f"warmup must be at most the {self.steps} steps of the training, got {self.warmup}")
        if not all(0 < drop < 1 for drop in self.drops):
            raise ValueError(f"drops must be shares between 0 and 1, got {list(self.drops)}")

    def rate(self, step: int) -> float:
        """The learning rate of step 0 <= step < steps."""
        if step < self.warmup:
            return self.peak * (step + 1) / self.warmup
        if self.kind == "cosine":
            done = (step - self.warmup) / max(self.steps - self.warmup, 1)
            return self.peak * 0.5 * (1 + math.cos(math.pi * done))
        passed = sum(step >= drop * self.steps for drop in self.drops) if self.kind == "step" else 0
        return float(self.peak * 10.0**-passed)

    def drops_at(self) -> list[int]:
        """The steps at which the rate falls at once."""
        return [math.ceil(drop * self.steps) for drop in self.drops] if self.kind == "step" else []
