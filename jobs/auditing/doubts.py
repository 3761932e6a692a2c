"""Labels that predictions doubt: confident learning (`vision.fairness.confident`) over stored answers, in two passes.

The first sums probabilities for the thresholds, the second counts the confident joint and keeps the most doubtful rows
of each class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc

from jobs.auditing import reporting
from jobs.auditing.checked import Checked
from jobs.auditing.passes import over
from jobs.auditing.probable import Asked, asked
from jobs.auditing.source import Columns, Source
from jobs.records import Spread
from jobs.spec import Context, SpecError
from vision.fairness.confident import Joint, Thresholds
from vision.fairness.sentences import shown
from vision.intervals import rate


@dataclass(frozen=True)
class Sums:
    """The first pass."""

    asked: Asked
    thresholds: Thresholds = field(default_factory=Thresholds)

    def take(self, split: str, table: pa.Table) -> Self:
        _, given, scores = self.asked.scored(table)
        return replace(self, thresholds=self.thresholds.update(given, scores))

    def merge(self, other: Self) -> Self:
        return replace(self, thresholds=self.thresholds.merge(other.thresholds))


@dataclass(frozen=True)
class Doubts:
    """The second pass."""

    asked: Asked
    joint: Joint

    def take(self, split: str, table: pa.Table) -> Self:
        return replace(self, joint=self.joint.update(*self.asked.scored(table)))

    def merge(self, other: Self) -> Self:
        return replace(self, joint=self.joint.merge(other.joint))


def find(source: Source, columns: Columns, most: int, classes: Sequence[str], how: Spread, context: Context) -> Checked:
    """What is doubted, as metrics, tables and sentences.

    Raises:
        SpecError: if there are no probabilities.
        JobFailed: if a shard is missing or damaged.
    """
    source, words = asked(source, columns, most)
    words.columns.check(source.names(), "the table")
    sources = [("", source)]
    spread = (how.workers, how.retry_s, context)
    thresholds = over(sources, words.columns, Sums(words), *spread).thresholds
    joint = over(sources, words.columns, Doubts(words, Joint(thresholds.values(), most)), *spread).joint
    if not joint.n:
        raise SpecError("checks: no row has a label and probabilities")
    suspects, noise = rate(joint.doubted, joint.n), joint.noise()
    names = [str(number) for number in range(len(joint.thresholds))]
    names[: len(classes)] = classes[: len(names)]
    said = [
        f"{joint.doubted:,} of {joint.n:,} labels are suspect (confident learning), a share of {shown(suspects)}; "
        f"an estimated share of {shown(noise)} is wrong, if the model has not learnt these labels: one that has "
        "repeats their errors"
    ]
    if joint.unknown:
        said.append(f"too few probabilities are known of {joint.unknown:,} rows; --keep-logits has them all")
    tables = {"label_suspects": _suspects(joint, names), "label_noise": reporting.table(_noise(joint, names))}
    return Checked({"labels.suspect": suspects, "labels.noise": noise}, tables, tuple(said))


def _suspects(joint: Joint, names: Sequence[str]) -> pa.Table | None:
    """The most doubtful rows of each label, the most doubtful first."""
    table = pa.table(
        {
            "id": pa.array(joint.ids, pa.string()),
            "given": pa.array([names[label] for label in joint.given.tolist()], pa.string()),
            "likely": pa.array([names[label] for label in joint.likely.tolist()], pa.string()),
            "probability_of_given": pa.array(joint.own),
            "probability_of_likely": pa.array(joint.other),
            "margin": pa.array(joint.other - joint.own),
        }
    )
    keys = [("margin", "descending"), ("id", "ascending")]
    return table.take(pc.sort_indices(table, sort_keys=keys)) if len(table) else None


def _noise(joint: Joint, names: Sequence[str]) -> list[dict[str, object]]:
    """Labels and what they are taken for, the most frequent first."""
    rows = joint.rows()
    return [
        {"given": names[label], "likely": names[likely], "rows": count,
         **reporting.parts("share_of_given", rate(count, rows[label]))}
        for label, likely, count in joint.pairs()
    ]  # fmt: skip
