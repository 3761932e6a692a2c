"""What was found, in plain words: which groups, how much, how sure, and whose annotation says who is in them.

No sentence calls a model or a data set unbiased: that no difference was shown is said as that. None is about a person.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from vision.accumulator import Estimate
from vision.fairness.disparity import Gap, Measured, Rules
from vision.fairness.representation import spelt

PREDICTED = "predicted_"


def of_gap(gap: Gap) -> str:
    """The widest gap of one rate between the groups of some columns."""
    among = " by ".join(gap.columns)
    if math.isnan(gap.difference.value):
        return f"{gap.rate} by {among}: no gap can be told, {gap.reason}"
    ends = f"lowest for {spelt(gap.lowest)}, highest for {spelt(gap.highest)}"
    chance = f"groups that are all alike would show {_number(gap.by_chance)} (p {_p(gap.p)})"
    ratio = "" if math.isnan(gap.ratio.value) else f", ratio {_number(gap.ratio.value)}"
    return f"{gap.rate} by {among}: difference {shown(gap.difference)}{ratio}, {ends}; {chance}"


def of_family(found: Sequence[Measured], rules: Rules) -> list[str]:
    """How many groups differ from the rest, which does most, and how many are too small to say."""
    asked = [one for one in found if not math.isnan(one.p)]
    differing = sorted((one for one in asked if one.verdict == "differs"), key=lambda one: one.p)
    surely = sum(one.holm <= rules.level for one in asked)
    sentences = []
    if not differing:
        sentences.append(
            f"no group was shown to differ from the rest, of {len(asked)} that were asked about "
            f"(Benjamini-Hochberg at {rules.level:g}): that does not show that there is no difference"
        )
    else:
        sentences.append(
            f"{len(differing)} of {len(asked)} groups differ from the rest (Benjamini-Hochberg at {rules.level:g}), "
            f"{surely} of them by Holm's rule as well"
        )
        sentences += [of_group(one) for one in differing[:3]]
    few = [one for one in found if one.verdict == "insufficient data"]
    if few:
        small = sum(one.value.n < rules.min_group for one in few)
        sentences.append(
            f"insufficient data for {len(few)} of {len(found)} groups: {small} have fewer than {rules.min_group} rows, "
            f"in {len(few) - small} fewer than {rules.min_errors:g} rows of the rarer outcome are to be expected; "
            "they are listed, and are part of the groups that hold them"
        )
    return sentences


def of_group(one: Measured) -> str:
    """One group against the rest."""
    return (
        f"{one.rate} for {spelt(one.cell)} is {shown(one.value)} of {one.value.n:,}, "
        f"{_number(abs(one.to_rest.value))} {'below' if one.to_rest.value < 0 else 'above'} the rest "
        f"({one.test} p {_p(one.p)}, {_p(one.adjusted)} after adjustment)"
    )


def of_annotation(columns: Sequence[str], annotated_by: str | None) -> list[str]:
    """Whose word it is that a row belongs to a group."""
    made = [name for name in columns if name.startswith(PREDICTED)]
    said = [name for name in columns if name not in made]
    sentences = []
    if made:
        sentences.append(
            f"groups of {', '.join(made)} were predicted by a model: its errors are in every figure by them, "
            "and the true disparity may be larger or smaller"
        )
    if said:
        sentences.append(f"groups of {', '.join(said)} are {source_of(said[0], annotated_by)}")
    return sentences


def source_of(column: str, annotated_by: str | None) -> str:
    """Whose word the groups of one column are, in short."""
    if column.startswith(PREDICTED):
        return "predicted by a model"
    return f"annotated by {annotated_by}" if annotated_by else "as annotated in the source, by whom is not said"


def of_unknown(columns: Sequence[str], unknown: int, total: int) -> str:
    """Rows whose group nobody knows."""
    return f"{unknown:,} of {total:,} rows have no {' or no '.join(columns)}: they are in no group's figures"


def shown(value: Estimate) -> str:
    """A value and its interval."""
    return f"{_number(value.value)} ({_number(value.low)} to {_number(value.high)})"


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def _p(value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.2g}" if value > 0 else "below 1e-300"
