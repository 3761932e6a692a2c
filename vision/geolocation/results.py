"""What papers report on placing photos, a number a row with its source, to lay beside runs of one's own.

Shares in percent, distances in kilometres. `basis` says how a number came here: `read` in the paper or its repository,
`recomputed` from what was published with it, or `remembered` and not looked up again.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class Reported:
    """One row of `published_results.csv`.

    Attributes:
        system: what placed the photos.
        test_set: which photos; `scene: city` are the photos of a kind.
        photos: how many of them; None if not told.
        metric: by its name here.
        value: percent of a share, else in the metric's unit.
        source: who says so.
        basis: `read`, `recomputed` or `remembered`.
    """

    system: str
    year: int
    test_set: str
    photos: int | None
    metric: str
    value: float
    source: str
    basis: str


@cache
def published_results() -> tuple[Reported, ...]:
    """All rows, in the order of the file."""
    text = files("vision.geolocation").joinpath("published_results.csv").read_text(encoding="utf-8")
    return tuple(_row(row) for row in csv.DictReader(text.splitlines()))


def _row(row: dict[str, str]) -> Reported:
    photos = int(row["photos"]) if row["photos"] else None
    numbers = {"year": int(row["year"]), "photos": photos, "value": float(row["value"])}
    return Reported(**{**row, **numbers})  # type: ignore[arg-type]
