"""Two players on the same photos, a round for each photo: whoever is nearer wins it, as PlaNet played against people.

PlaNet won 28 of 50 rounds against ten well-travelled people, with a median of 1131.7 km to their 2320.75. Winning 28 of
50 or more, or as few, happens by chance in 48 of 100 such matches: the rounds decide nothing, and a duel says so.

Reference: Weyand, Kostrikov & Philbin, "PlaNet", ECCV 2016, section 4.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa

from vision.accumulator import Array, Batch, Estimate, weights
from vision.contribution import PerImage
from vision.geolocation.answers import NEEDS, errors_km
from vision.geolocation.distance import Distance
from vision.intervals import rate
from vision.quantiles import Sizes
from vision.tails import sign_p

Verdict = Literal["won", "lost", "undecided"]
LEVEL = 0.05


@dataclass(frozen=True)
class Duel:
    """Rounds won, lost and tied by the candidate, and the distances of both.

    Attributes:
        margin: a round is tied where the two are no more than so many kilometres apart in their errors. Two that were
            not placed are tied; one that was not placed loses.
    """

    margin: float = 0.0
    won: int = 0
    lost: int = 0
    tied: int = 0
    baseline: Sizes = field(default_factory=Sizes)
    candidate: Sizes = field(default_factory=Sizes)

    def update(self, batch: Batch) -> Self:
        """With `baseline` and `candidate` (N,) kilometres off, infinite where not placed, and `count`."""
        ours, theirs, counts = batch["baseline"], batch["candidate"], weights(batch)
        won, lost = theirs + self.margin < ours, ours + self.margin < theirs
        return replace(
            self,
            won=self.won + int(counts[won].sum()),
            lost=self.lost + int(counts[lost].sum()),
            tied=self.tied + int(counts[~won & ~lost].sum()),
            baseline=self.baseline.add(ours, counts),
            candidate=self.candidate.add(theirs, counts),
        )

    def merge(self, other: Self) -> Self:
        return replace(
            self,
            won=self.won + other.won,
            lost=self.lost + other.lost,
            tied=self.tied + other.tied,
            baseline=self.baseline.merge(other.baseline),
            candidate=self.candidate.merge(other.candidate),
        )

    @property
    def rounds(self) -> int:
        return self.won + self.lost + self.tied

    @property
    def p(self) -> float:
        """Of the sign test: the chance of a match this uneven between equals; ties are no evidence."""
        return sign_p(self.won, self.lost) if self.rounds else float("nan")

    @property
    def verdict(self) -> Verdict:
        """Who won the match, where chance alone would not do it once in twenty."""
        if not self.p <= LEVEL:
            return "undecided"
        return "won" if self.won > self.lost else "lost"

    def compute(self) -> dict[str, Estimate]:
        shares = {"rounds_won": self.won, "rounds_lost": self.lost, "rounds_tied": self.tied}
        return {
            **{name: rate(rounds, self.rounds) for name, rounds in shares.items()},
            "baseline_median_km": _median(self.baseline),
            "candidate_median_km": _median(self.candidate),
        }

    def tables(self) -> dict[str, pa.Table]:
        """`duel`: one row."""
        row: dict[str, Any] = {name: getattr(self, name) for name in ("rounds", "won", "lost", "tied", "p", "verdict")}
        medians = {f"{name}_km": getattr(self, name[:-7]).median() for name in ("baseline_median", "candidate_median")}
        return {"duel": pa.Table.from_pylist([{**row, **medians}])}

    def sentence(self) -> str:
        """The match in plain words."""
        medians = f"median errors {self.candidate.median():.1f} and {self.baseline.median():.1f} km"
        score = f"the candidate won {self.won:,} of {self.rounds:,} rounds, lost {self.lost:,}, tied {self.tied:,}"
        return f"{score} ({medians}); sign test p = {self.p:.4g}: {self.verdict}"


def _median(sizes: Sizes) -> Estimate:
    return Estimate(sizes.median(), *sizes.interval(Distance().longest_km), sizes.n)


def _km(batch: Batch) -> Array:
    return np.asarray(errors_km(batch, Distance()))


ROUND = PerImage(_km, (*NEEDS, "answered"), rate=False)
"""What a photo brings to a round: kilometres off, nan where nobody knows where it was taken."""
