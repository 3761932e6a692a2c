"""Columns that go with labels and groups: what was planted is named, and nothing where there is nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest

from jobs.audit import Audit
from jobs.auditing import correlations
from jobs.spec import Report, SpecError


def table(tie: float, n: int = 2000) -> pa.Table:
    """Wolves and dogs; a share `tie` of the wolves stands in snow."""
    rng = np.random.default_rng(0)
    wolf, snow, camera = rng.random(n) < 0.3, rng.random(n) < 0.2, rng.integers(0, 4, n)
    snow |= wolf & (rng.random(n) < tie)
    return pa.table(
        {
            "animal": np.where(wolf, "wolf", "dog"),
            "said": np.where(rng.random(n) < 0.9, np.where(wolf, "wolf", "dog"), "dog"),
            "scene": np.where(snow, "snow", "grass"),
            "camera": [f"c{number}" for number in camera],
        }
    )


def audit(tie: float = 0.0, **fields: Any) -> Report:
    pacsv.write_csv(table(tie), "rows.csv")
    asked = {"table": "rows.csv", "columns": ("truth=animal", "prediction=said"), "checks": ("correlations",)}
    return Audit(**{**asked, "workers": 0, **fields}).run()


def test_what_was_planted_is_named_with_its_label() -> None:
    report = audit(0.5, correlate=("scene", "camera"))
    rows = report.tables["correlations"].to_pylist()
    assert {rows[0]["first"], rows[0]["second"]} <= {"scene=snow", "scene=grass", "animal=wolf", "animal=dog"}
    snow = next(row for row in rows if (row["first"], row["second"]) == ("scene=snow", "animal=wolf"))
    assert snow["verdict"] == "together" and snow["npmi_low"] < snow["npmi"] < snow["npmi_high"]
    assert next(r for r in rows if (r["first"], r["second"]) == ("scene=grass", "animal=wolf"))["verdict"] == "apart"
    assert all(row["verdict"] == "not shown" for row in rows if "camera" in row["first"] + row["second"])
    strongest = report.metrics["correlations.scene.animal"]
    assert strongest.value >= abs(snow["npmi"]) and strongest.n == 2000
    assert 0 < strongest.low < strongest.value < strongest.high <= 1
    said = "\n".join(report.notes)
    assert "4 of 20 pairs of values go together, or keep apart, more than by chance" in said
    assert "scene=snow and animal=wolf go together" in said
    assert "top1" in report.metrics


def test_nothing_is_found_where_there_is_nothing_and_that_is_no_proof() -> None:
    report = audit(0.0, correlate=("scene", "camera"))
    assert {row["verdict"] for row in report.tables["correlations"].to_pylist()} == {"not shown"}
    assert "0 of 20 pairs of values go together" in "\n".join(report.notes)
    assert "that does not show that none do" in "\n".join(report.notes)


def test_groups_are_correlated_with_labels_too() -> None:
    report = audit(0.5, by=("scene",), order=1)
    assert "correlations.scene.animal" in report.metrics
    assert {dict(cell)["scene"] for cell, _ in report.groups} == {"snow", "grass"}


def test_long_tables_keep_the_strongest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(correlations, "MOST", 5)
    report = audit(0.5, correlate=("scene", "camera"))
    assert len(report.tables["correlations"]) == 5
    assert "the table lists the 5 strongest of 20 pairs of values" in report.notes


def test_wrong_words_are_one_line() -> None:
    with pytest.raises(SpecError, match="correlate: correlations need two columns"):
        audit()
    with pytest.raises(SpecError, match="correlate: columns are correlated by --checks correlations"):
        audit(correlate=("scene",), checks=(), by=("camera",))
    with pytest.raises(SpecError, match="no column 'scenes'; did you mean scene"):
        audit(correlate=("scenes",))
