"""The fields of an audit's parts: what is asked about places, about labels, and whether the data can be trusted.

They stand apart from what answers them, so that help and schedules, which need no more, load no mathematics.
"""

from __future__ import annotations

from pydantic import Field

from jobs.records import Reads, Spread
from jobs.spec import SpecError

CHECKS = ("duplicates", "leakage", "labels", "correlations", "properties")


class Trusts(Reads, Spread):
    """The fields of the checks whether the data can be trusted."""

    checks: tuple[str, ...] = Field((), description=f"whether the data can be trusted: {', '.join(CHECKS)}")
    against: tuple[str, ...] = Field(
        (), description="splits in which copies and relatives are looked for; default: all others; the own: none"
    )
    same: tuple[str, ...] = Field(
        (), description="with leakage: columns of which a value should be in one split only, such as person,album"
    )
    split_by: str | None = Field(
        None, description="with leakage: column that says which split or fold a row is of, in place of the corpus' own"
    )
    same_km: float | None = Field(
        None, ge=0, description="with leakage: photos taken so near to each other should be in one split only"
    )
    same_hours: float | None = Field(
        None, ge=0, description="with leakage: also, rows of equal --same and taken so soon after each other"
    )
    time: str = Field("time", description="with same-hours: column of the times, ISO texts or seconds")
    correlate: tuple[str, ...] = Field(
        (), description="with correlations: columns that should not go with labels or groups, such as camera,source"
    )
    suspects: int = Field(20, ge=1, description="with labels: the most doubtful rows that are listed of each class")


class Labelled(Reads, Spread):
    """The fields of what is said about labels."""

    taxonomy: str | None = Field(None, description="WordNet: a directory, data.noun, pairs (.txt) or a table")
    flag: str | None = Field(None, description="flagged synsets: ids, one a line or in a column; images affected")
    synsets: str | None = Field(None, description="column of synset ids; default: the classes of the corpus")

    @property
    def label_column(self) -> str | None:
        """The column that says which synset a row is of, None where nobody asks."""
        if self.taxonomy is None and self.flag is None:
            if self.synsets is not None:
                raise SpecError("synsets: say what to hold them against: --taxonomy or --flag")
            return None
        if self.synsets is None and getattr(self, "table", None) is not None:
            raise SpecError("synsets: with --table, name the column of synset ids")
        return self.synsets or "label"


class Placing(Reads, Spread):
    """The fields of what is said about places."""

    places: str | None = Field(None, description="table of latitude, longitude and columns of --by, such as country")
    near_km: float = Field(100.0, gt=0, description="how far from the nearest of --places a photo may be")
    populations: str | None = Field(None, description="table of columns of --by with population: images per million")
