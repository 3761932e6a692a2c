"""Runs of one's own among the published results."""

from __future__ import annotations

import math
from typing import Any

import pytest

from vision.accumulator import Estimate
from vision.classification.references import OWN, among_ilsvrc, references
from vision.corpora.imagenet import imagenet_classes, imagenet_wnids
from vision.nets.ilsvrc import ilsvrc_results

MINE = {"top1": Estimate(0.89, 0.85, 0.92, 300), "top5": Estimate(0.93, 0.896, 0.954, 300)}


def test_a_run_stands_where_its_top_5_error_puts_it() -> None:
    rows = among_ilsvrc({"mine": MINE}).to_pylist()
    (place,) = [index for index, row in enumerate(rows) if row["source"].startswith(OWN)]
    assert rows[place]["entry"] == "mine"
    assert (rows[place]["top1_val"], rows[place]["top5_val"]) == pytest.approx((11.0, 7.0))
    assert rows[place]["top5_range"] == "4.60 .. 10.40"
    assert rows[place]["source"] == "own run, 300 images" and rows[place]["place"] == place + 1
    # Between GoogLeNet's 6.7 and VGG's 7.3 of the winners by year.
    names = [(row["entry"], row["top5_test"]) for row in rows]
    assert names.index(("GoogLeNet", 6.7)) < place < names.index(("VGG", 7.3))
    assert rows[0]["entry"] == "ResNet" and rows[0]["top5_test"] == 3.57


def error_at(rows: list[dict[str, Any]], place: int) -> float:
    """The top-5 error of the row at a place."""
    row = rows[place - 1]
    return float(row["top5_test"] or row["top5_val"])


def test_every_published_row_is_there_with_its_source() -> None:
    rows = among_ilsvrc({}).to_pylist()
    assert sorted(row["source"] for row in rows) == sorted(row.source for row in ilsvrc_results())
    errors = [row["top5_test"] or row["top5_val"] for row in rows if row["top5_test"] or row["top5_val"]]
    assert errors == sorted(errors) and len(errors) >= 30
    people = next(row for row in rows if row["entry"] == "people")
    assert (people["top5_test"], people["top5_range"]) == (None, "5 .. 10")
    assert error_at(rows, people["place"] - 1) <= 7.5 <= error_at(rows, people["place"] + 1)
    jittered = next(row for row in rows if row["entry"] == "VGG E" and row["top5_val"] == 7.5)
    assert jittered["sides"] == "train 256-512; test 256, 384, 512"
    assert [row["entry"] for row in rows if row["place"] is None] == ["ResNet-34", "ResNet-18", "plain-18", "plain-34"]


def test_a_run_without_top_5_is_told_and_not_placed() -> None:
    rows = among_ilsvrc({"a": {"top1": MINE["top1"]}, "b": {"top5": Estimate(math.nan, math.nan, math.nan, 0)}})
    own = {row["entry"]: row for row in rows.to_pylist() if row["source"].startswith(OWN)}
    assert own["a"]["place"] is None and own["a"]["top1_val"] == pytest.approx(11.0)
    assert own["b"]["place"] is None and own["b"]["source"] == "own run, 0 images"


def test_the_table_comes_with_its_classes_or_when_asked_for() -> None:
    assert set(references(imagenet_classes(), None, {"mine": MINE})) == {"reference_ilsvrc"}
    assert set(references(imagenet_wnids(), None, {"mine": MINE})) == {"reference_ilsvrc"}
    assert references(("cat", "dog"), None, {"mine": MINE}) == references(None, None, {"mine": MINE}) == {}
    assert set(references(("cat", "dog"), "ilsvrc", {"mine": MINE})) == {"reference_ilsvrc"}
    with pytest.raises(ValueError, match=r"reference: there is no table 'ilsvc'; did you mean ilsvrc\?"):
        references(None, "ilsvc", {})
