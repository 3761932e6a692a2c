"""Figures of one audit judged against those of another: gaps, groups, shares, leaks; without MLflow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest

from cluster.document import document
from jobs.audit import Audit
from jobs.auditing.gating import Figures, judge_all, refuse_same
from jobs.gates import Gate, Judgement
from jobs.spec import SpecError
from tests.audited import rows
from vision.fairness.direction import higher_is_better

ASKED: dict[str, Any] = {"columns": ("truth=truth_", "prediction=said"), "by": ("tone", "gender"), "order": 2}


def figures(table: pa.Table, **fields: Any) -> Figures:
    pacsv.write_csv(table, "rows.csv")
    report = Audit(**{"table": "rows.csv", "workers": 0, **ASKED, **fields}).run()
    return Figures.of(document("audit", None, report, {}), report.tags)


def judged(before: Figures, after: Figures, **gate: Any) -> Judgement:
    return judge_all([Gate(**gate)], before, {"audit": after})["audit"]


def test_leaks_between_folds_are_a_figure_that_gates_take() -> None:
    asked: dict[str, Any] = {"checks": ("leakage",), "same": ("person",), "split_by": "fold", "by": (), "columns": ()}
    table, rng = rows(2000), np.random.default_rng(3)
    persons = np.array(table["person"].to_pylist(), object)
    clean = np.array([hash_ % 2 for hash_ in map(len, persons)]) + np.array([int(p.split()[1]) % 2 for p in persons])
    sides = {"clean": clean % 2, "leaking": np.where(rng.random(2000) < 0.3, 1 - clean % 2, clean % 2)}
    found = {name: figures(table.append_column("fold", pa.array(side)), **asked) for name, side in sides.items()}
    (metric,) = (name for name in found["clean"].metrics if name.startswith("leakage."))
    assert found["clean"].metrics[metric].value == 0.0
    assert judged(found["clean"], found["leaking"], metric=metric, margin=0.05).verdict == "fail"
    assert judged(found["leaking"], found["clean"], metric=metric, margin=0.05).verdict == "pass"


def test_gaps_by_columns_are_one_question_each() -> None:
    before, after = figures(rows(4000, 1)), figures(rows(4000, 2, gap=0.3))
    found = judged(before, after, metric="top1.difference", margin=0.05, by=("tone", "gender"), order=2).findings
    assert {one.group["between"] for one in found} == {"tone", "gender", "tone x gender"}
    (whole,) = judged(before, after, metric="top1.difference", margin=0.05).findings
    assert (whole.group, whole.verdict, whole.cause) == ({}, "fail", "data")
    alone = figures(rows(4000, 2, gap=0.3), by=("tone",), order=1)
    (one,) = judged(alone, after, metric="top1.worst", margin=0.5, by=("tone",)).findings
    assert one.difference.value == 0.0


def test_two_audits_of_alike_rows_pass_no_more_alarms_than_said() -> None:
    alarms = 0
    for seed in range(20):
        before, after = figures(rows(1500, 2 * seed)), figures(rows(1500, 2 * seed + 1))
        gate: dict[str, Any] = {"metric": "top1", "margin": 0.0, "by": ("tone", "gender"), "order": 2}
        alarms += judged(before, after, **gate).verdict == "fail"
    assert alarms <= 2


def test_the_same_rows_are_nothing_to_compare() -> None:
    one = figures(rows(500))
    with pytest.raises(SpecError, match="baseline and candidate are the same rows: there is nothing to compare"):
        refuse_same(one, figures(rows(500)))
    refuse_same(one, figures(rows(500, 1)))


@pytest.mark.parametrize(
    ("metric", "upwards"),
    [
        ("top1", True), ("top1.worst.tone", True), ("fpr", False), ("fpr.worst", False), ("top1.ratio", True),
        ("tpr.difference.a.b", False), ("equalized_odds.difference", False), ("share.entropy.tone", True),
        ("share.max_min", False), ("reference.kl.tone", False), ("kappa.tone", True), ("leakage.person", False),
        ("duplicates.across", False), ("flagged.images", False), ("per_capita.total_variation.country", False),
    ],
)  # fmt: skip
def test_every_figure_knows_its_better_end(metric: str, upwards: bool) -> None:
    assert higher_is_better(metric) is upwards


@pytest.mark.parametrize(
    "metric", ["selected", "share", "base_rate.worst", "top1.diffrence", "properties.width.median"]
)
def test_what_has_no_better_end_is_refused(metric: str) -> None:
    with pytest.raises(ValueError, match="has no better end that is known"):
        higher_is_better(metric)
