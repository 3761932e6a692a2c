"""Ways to explain an answer, as values: what decides a map, and how it is made of a picture and of what a net says.

A method gives a row of numbers for each picture, row-major: the more, the more the picture's answer rests on that
place. The methods themselves are beside this file (`vision.occlusion`); rooms say what the scores of an answer are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import pyarrow as pa

from vision.accumulator import Array

Wanted = Literal["answer", "truth"]
"""Which class a map explains: the one that the net answers with, or the true one."""

Scores = Callable[[Array], Array]
"""(N, K) logits to (N, K) logarithms of the probabilities of all that can be answered."""

Truth = Callable[[pa.Table], Array]
"""Records to (N,) int64: which of those scores is that of the truth, -1 where it is not known or among none."""


class Method(Protocol):
    """A way to explain answers; equal values make equal maps."""

    @property
    def wanted(self) -> Wanted: ...

    def check(self, size: tuple[int, int]) -> None:
        """Refuse pictures of (height, width) pixels that the method cannot explain.

        Raises:
            ValueError: saying why.
        """
        ...

    def passes(self, size: tuple[int, int]) -> int:
        """How many pictures of a size the net sees for the map of one."""
        ...

    def facts(self, size: tuple[int, int]) -> dict[str, Any]:
        """All that decides the maps of pictures of a size, for their fingerprint."""
        ...

    def map(self, pixels: Array, score: float, scores: Callable[[Sequence[Array]], Array]) -> Array:
        """(P,) float32: the map of one picture.

        Args:
            pixels: (h, w, 3) uint8, what the net sees.
            score: of the class to be explained, for the picture as it is.
            scores: the same for any pictures of that size.
        """
        ...


@dataclass(frozen=True)
class Explaining:
    """A method with what a room knows of its net's outputs."""

    method: Method
    scores: Scores

    def columns(
        self, pixels: Sequence[Array], logits: Array, truth: Array, answer: Callable[[Sequence[Array]], Array]
    ) -> dict[str, pa.Array]:
        """`explained` int32, the class that a map explains, and `map`, list<float32>; null where the truth is unknown.

        Args:
            pixels: N pictures as the net sees them, each (h, w, 3) uint8.
            logits: (N, K) of these, and `truth` (N,) as `Truth` says.
            answer: pictures to logits.
        """
        scores = self.scores(logits) if len(logits) else np.empty((0, 1))
        classes = truth if self.method.wanted == "truth" else scores.argmax(axis=1)
        maps: list[Array | None] = []
        for row, of in enumerate(classes):
            known = of >= 0 and bool(np.isfinite(scores[row, of]))
            maps.append(self._map(pixels[row], float(scores[row, of]), int(of), answer) if known else None)
        told = np.array([one is not None for one in maps], bool)
        return {
            "explained": pa.array(classes.astype(np.int32), mask=~told),
            "map": pa.array([None if one is None else one.tolist() for one in maps], pa.list_(pa.float32())),
        }

    def _map(self, pixels: Array, score: float, of: int, answer: Callable[[Sequence[Array]], Array]) -> Array:
        return self.method.map(pixels, score, lambda changed: self.scores(answer(changed))[:, of])
