"""Findings as metrics and tables of a report.

A metric's name says which columns it is by where there are several combinations: `top1.difference.race.gender`.
Without them it is the largest found: the widest difference, the lowest ratio, the worst group of all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from jobs.auditing.findings import Found
from vision.accumulator import Cell, Estimate
from vision.fairness.disparity import Gap, Measured
from vision.fairness.published import Beside
from vision.fairness.rates import RATES
from vision.fairness.representation import Composition, Distance, distance_intervals, spelt
from vision.reliability import Reliability


def metrics(found: Found) -> dict[str, Estimate]:
    """Overall rates, evenness of the groups, and the gaps between them; what is not defined is left out."""
    named: dict[str, Estimate] = dict(found.overall)
    parts: dict[str, list[tuple[tuple[str, ...], Estimate]]] = {}
    for gap in found.gaps:
        for part in ("difference", "ratio", "worst"):
            parts.setdefault(f"{gap.rate}.{part}", []).append((gap.columns, getattr(gap, part)))
    for columns, odds in found.odds.items():
        parts.setdefault("equalized_odds.difference", []).append((columns, odds.difference))
    for composition in found.compositions:
        parts.setdefault("share.entropy", []).append((composition.columns, composition.entropy()))
        parts.setdefault("share.max_min", []).append((composition.columns, composition.imbalance()))
    for name, values in parts.items():
        known = [(columns, value) for columns, value in values if not math.isnan(value.value)]
        if not known:
            continue
        named[name] = _extreme(name)((value for _, value in known), key=lambda value: value.value)
        if len(values) > 1:
            named |= {".".join((name, *columns)): value for columns, value in known}
    return named


def _extreme(name: str) -> Callable[..., Estimate]:
    """Which end is the one to be warned of."""
    rate, _, part = name.partition(".")
    if part == "worst":
        return min if RATES[rate].higher_is_better else max
    return min if part in ("ratio", "entropy") else max


def tables(found: Found, distances: Mapping[tuple[str, ...], Distance]) -> dict[str, pa.Table]:
    """`disparities`, `groups_tested`, `representation`, and what else there is."""
    made = {
        "disparities": table([_gap(gap) for gap in found.gaps] + _odds(found)),
        "groups_tested": table([_tested(one) for one in found.groups]),
        "representation": table(_representation(found.compositions, distances)),
        "reference": table([_distance(columns, one) for columns, one in distances.items()]),
        "associations": table([{**asdict(a), "columns": " x ".join(a.columns)} for a in found.associations]),
    }
    return {name: table for name, table in made.items() if table is not None}


def far(distances: Mapping[tuple[str, ...], Distance], found: Found) -> dict[str, Estimate]:
    """Distances from a reference population; their intervals draw the rows again and take the reference as exact."""
    named = {}
    for one in found.compositions:
        if one.columns in distances:
            for name, value in distance_intervals(one, distances[one.columns]).items():
                named[".".join(("reference", name, *one.columns))] = value
    return named


def calibration(found: Sequence[tuple[Cell, Reliability]]) -> pa.Table | None:
    """Calibration error and mean score of every group."""
    rows = []
    for cell, state in found:
        n = sum(state.counts)
        mean = sum(state.scores) / 2**32 / n if n else math.nan
        error = state.compute().get("calibration_error")
        if error is not None:
            accuracy = sum(state.counts[1::2]) / n
            rows.append({"group": spelt(cell), **parts("calibration_error", error), "mean_score": mean,
                         "accuracy": accuracy, "n": n})  # fmt: skip
    return table(rows)


def published(rows: Sequence[Beside]) -> pa.Table | None:
    """Published shares beside those found."""
    return table(
        [
            {
                "figure": f"{one.figure.column}={one.figure.group}",
                "published": one.figure.share,
                "recomputable": "yes" if one.figure.recomputable else "no",
                "found_in": one.column or "",
                **parts("found", one.found or Estimate(math.nan, math.nan, math.nan, 0)),
                "note": one.figure.note,
            }
            for one in rows
        ]
    )


def _gap(gap: Gap) -> dict[str, Any]:
    return {
        "rate": gap.rate,
        "formula": RATES[gap.rate].formula,
        "by": " x ".join(gap.columns),
        **parts("difference", gap.difference),
        **parts("ratio", gap.ratio),
        **parts("worst", gap.worst),
        "worst_group": spelt(gap.worst_cell),
        "lowest": spelt(gap.lowest),
        "highest": spelt(gap.highest),
        "difference_by_chance": gap.by_chance,
        "p": gap.p,
        "reason": gap.reason,
    }


def _odds(found: Found) -> list[dict[str, Any]]:
    nothing = Gap("top1", ())
    rows = []
    for columns, odds in found.odds.items():
        row = {**_gap(nothing), "rate": "equalized_odds", "formula": "max(difference of tpr, difference of fpr)"}
        row |= {"by": " x ".join(columns), **parts("difference", odds.difference)}
        note = odds.reason or f"the gap of {odds.rate} is the wider"
        rows.append(row | {"lowest": spelt(odds.lowest), "highest": spelt(odds.highest), "reason": note})
    return rows


def _tested(one: Measured) -> dict[str, Any]:
    return {
        "rate": one.rate,
        "group": spelt(one.cell),
        "hits": one.hits,
        "n": one.value.n,
        **parts("value", one.value),
        **parts("to_rest", one.to_rest),
        **parts("to_overall", one.to_overall),
        "test": one.test,
        "p": one.p,
        "p_adjusted": one.adjusted,
        "p_holm": one.holm,
        "verdict": one.verdict,
        "reason": "" if one.value.n else f"0 of 0: no row to take {RATES[one.rate].formula} of",
    }


def _representation(
    compositions: Sequence[Composition], distances: Mapping[tuple[str, ...], Distance]
) -> list[dict[str, Any]]:
    rows = []
    for found in compositions:
        reference = distances.get(found.columns)
        for place, (cell, share) in enumerate(zip(found.cells, found.shares(), strict=True)):
            rows.append(
                {
                    "by": " x ".join(found.columns),
                    "group": spelt(cell),
                    "count": int(found.counts[place]),
                    **parts("share", share),
                    "reference_share": math.nan if reference is None else float(reference.reference[place]),
                    "log_ratio": math.nan if reference is None else float(reference.log_ratios[place]),
                }
            )
    return rows


def _distance(columns: tuple[str, ...], one: Distance) -> dict[str, Any]:
    return {
        "by": " x ".join(columns),
        "total_variation": one.total_variation,
        "kl": one.kl,
        "chi_square": one.chi_square,
        "freedom": one.freedom,
        "p": one.p,
        "cramers_v": one.cramers_v,
        "reason": "" if math.isfinite(one.kl) else "a group that the reference lacks has rows: kl is not defined",
    }


def parts(name: str, value: Estimate) -> dict[str, float]:
    """A value and its interval as three columns."""
    return {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}


def table(rows: Sequence[Mapping[str, Any]]) -> pa.Table | None:
    """Rows as a table, nan and infinity as null; None without rows."""
    if not rows:
        return None
    known = {name: [_known(row[name]) for row in rows] for name in rows[0]}
    kinds = {name: _kind([row[name] for row in rows]) for name in rows[0]}
    return pa.table({name: pa.array(values, kinds[name]) for name, values in known.items()})


def _known(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return None if value == "" else value


def _kind(values: Sequence[Any]) -> pa.DataType:
    if all(isinstance(value, bool) for value in values):
        return pa.bool_()
    if any(isinstance(value, str) for value in values):
        return pa.string()
    return pa.float64() if any(isinstance(value, float) for value in values) else pa.int64()
