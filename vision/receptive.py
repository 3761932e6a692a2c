"""Which pixels of the input a position of a layer sees, and how far apart neighbours look: receptive field and jump.

Position i sees the pixels from low + i * jump to high + i * jump; what lies outside the picture is padding. A
window of k positions, taken every s-th, widens the field by (k - 1) jumps and multiplies the jump by s: two 3x3
layers see 5x5, three see 7x7.

Reference: Araujo, Norris & Sim, "Computing receptive fields of convolutional neural networks", Distill 2019.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self


def output_side(side: int, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    """Positions of a window along one axis.

    >>> [output_side(7, 3), output_side(7, 3, stride=2), output_side(7, 3, padding=1)]
    [5, 3, 7]

    Raises:
        ValueError: if the window does not fit once.
    """
    room = side + 2 * padding - dilation * (kernel - 1) - 1
    if room < 0:
        raise ValueError(f"a window of {kernel} (dilation {dilation}) does not fit in {side} + 2 x {padding} positions")
    return room // stride + 1


@dataclass(frozen=True)
class Span:
    """What the positions along one axis see, in pixels of the input; `jump` is 0 where there is one position only.

    The default is a pixel of the input itself.
    """

    low: float = 0.0
    high: float = 0.0
    jump: float = 1.0

    @property
    def size(self) -> float:
        """Pixels seen, padding included."""
        return self.high - self.low + 1

    @property
    def start(self) -> float:
        """Centre of what the first position sees."""
        return (self.low + self.high) / 2

    def window(self, kernel: int, stride: float = 1, padding: float = 0, dilation: int = 1) -> Self:
        """Behind a convolution or pooling."""
        before, after = -padding, (kernel - 1) * dilation - padding
        return type(self)(self.low + before * self.jump, self.high + after * self.jump, self.jump * stride)

    def transposed(self, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> Self:
        """Behind a transposed convolution: the widest of its positions, which see ceil(k / stride) inputs."""
        reach = (kernel - 1) * dilation
        first = math.ceil((padding - reach) / stride)
        seen = math.ceil((reach + 1) / stride)
        return type(self)(self.low + first * self.jump, self.high + (first + seen - 1) * self.jump, self.jump / stride)

    def scaled(self, before: int, after: int) -> Self:
        """Behind resizing from `before` to `after` positions."""
        return type(self)(self.low, self.high, self.jump * before / after)

    def adaptive(self, before: int, after: int) -> Self:
        """Behind adaptive pooling: the widest of its windows."""
        ends = [(i * before // after, -(-(i + 1) * before // after)) for i in range(after)]
        widest = max(end - start for start, end in ends)
        return self.collapsed(before) if after == 1 else self.window(widest, before / after)

    def collapsed(self, positions: int) -> Self:
        """All positions in one, as a full layer sees them."""
        return type(self)(self.low, self.high + (positions - 1) * self.jump, 0.0)

    def merged(self, other: Self) -> Self:
        """What a sum or concatenation of two branches sees; with equal jumps exactly, else as the wider branch."""
        if self.jump == other.jump:
            return type(self)(min(self.low, other.low), max(self.high, other.high), self.jump)
        wider = self if self.size >= other.size else other
        return type(self)(wider.low, wider.high, max(self.jump, other.jump))
