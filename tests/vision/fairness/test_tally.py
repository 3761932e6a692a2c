"""What an audit keeps: outcomes, scores by bin, persons; calibration and answers by person follow from it."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pyarrow as pa
import pytest

from tests.audited import rows
from vision.accumulator import Array
from vision.fairness import calibration, persons
from vision.fairness.coding import coded
from vision.fairness.rates import RATES
from vision.fairness.tally import Tally
from vision.reliability import Reliability

ZERO = Tally(("tone", "gender"), ("truth", "prediction"), person="person")


def added(tally: Tally, table: pa.Table, weights: Array | None = None) -> Tally:
    names = {"tone": "tone", "gender": "gender", "truth": "truth_", "prediction": "said"}
    columns = {name: coded(table[column]) for name, column in names.items()}
    return tally.update(columns, weights, table["score"].to_numpy(), coded(table["person"]))


def test_any_sharding_gives_the_same_tally() -> None:
    table = rows(900, seed=2)
    whole = added(ZERO, table)
    order = np.random.default_rng(0).permutation(900)
    parts = [added(ZERO, table.take(pa.array(part))) for part in np.array_split(order, 7)]
    for merged in (reduce(Tally.merge, parts, ZERO), reduce(lambda a, b: b.merge(a), parts)):
        assert merged == whole
    streamed = reduce(lambda tally, part: added(tally, table.take(pa.array(part))), np.array_split(order, 3), ZERO)
    assert streamed == whole


def test_a_row_that_stands_for_three_is_three_rows() -> None:
    table = rows(200, seed=5)
    weights = np.random.default_rng(1).integers(0, 4, 200)
    assert added(ZERO, table, weights) == added(ZERO, table.take(pa.array(np.repeat(np.arange(200), weights))))


def test_calibration_by_group_is_that_of_the_groups_rows() -> None:
    table = rows(2000, seed=6)
    tally = added(ZERO, table)
    assert tally.scores is not None and tally.sums is not None
    found = dict(calibration.by_group(tally.scores, tally.sums, ["gender"]))
    assert sorted(found) == [(("gender", "female"),), (("gender", "male"),)]
    for ((_, gender),) in found:
        mine = table.filter(pa.array([g == gender and said is not None for g, said in zip(
            table["gender"].to_pylist(), table["said"].to_pylist(), strict=True)]))  # fmt: skip
        right = np.array(mine["truth_"].to_pylist()) == np.array(mine["said"].to_pylist())
        alone = Reliability().add(mine["score"].to_numpy(), right, np.ones(len(mine), np.int64))
        ours = found[(("gender", gender),)]
        assert ours.counts == alone.counts
        value, wanted = ours.compute()["calibration_error"], alone.compute()["calibration_error"]
        assert value.value == pytest.approx(wanted.value, abs=1e-6)
        assert value.n == len(mine)


def test_rows_of_one_person_widen_the_interval_and_persons_count_alike() -> None:
    one_each = pa.table({"person": [f"p{n}" for n in range(400)], "right": [n % 4 != 0 for n in range(400)]})
    many = pa.table({"person": [f"p{n // 20}" for n in range(400)], "right": [n // 20 % 4 != 0 for n in range(400)]})
    widths = []
    for table in (one_each, many):
        columns = {
            "tone": coded(pa.array(["a"] * 400)),
            "truth": coded(pa.array(["1"] * 400)),
            "prediction": coded(pa.array(np.where(table["right"].to_numpy(), "1", "0"))),
        }
        tally = Tally(("tone",), ("truth", "prediction"), person="person").update(
            columns, persons=coded(table["person"])
        )
        assert tally.persons is not None
        (found,) = persons.rates(tally.persons, RATES["top1"], ["tone"])
        assert found.by_row.value == found.by_person.value == 0.75
        widths.append(found.by_row.high - found.by_row.low)
    assert widths[0] == pytest.approx(2 * 1.96 * np.sqrt(0.75 * 0.25 / 400), rel=0.15)
    assert 3 < widths[1] / widths[0] < 6  # twenty rows of a person say as much as one: sqrt(20) = 4.5


def test_a_person_with_a_hundred_rows_counts_once_by_person() -> None:
    who = ["busy"] * 100 + [f"p{n}" for n in range(50)]
    said = ["0"] * 100 + ["1"] * 50
    columns = {
        "tone": coded(pa.array(["a"] * 150)),
        "truth": coded(pa.array(["1"] * 150)),
        "prediction": coded(pa.array(said)),
    }
    tally = Tally(("tone",), ("truth", "prediction"), person="who").update(columns, persons=coded(pa.array(who)))
    assert tally.persons is not None
    (found,) = persons.rates(tally.persons, RATES["top1"], ["tone"])
    assert found.by_row.value == pytest.approx(50 / 150)
    assert found.by_person.value == pytest.approx(50 / 51)
    assert found.persons == 51


def test_a_group_of_too_many_values_is_refused() -> None:
    columns = {"tone": coded(pa.array([str(n) for n in range(30)]))}
    with pytest.raises(ValueError, match="column tone has 30 values so far"):
        Tally(("tone",), most=20).update(columns)
    with pytest.raises(ValueError, match=r"scores must be in 0\.\.1, got 1\.5"):
        Tally(("tone",), ("truth", "prediction")).update(
            {name: coded(pa.array(["a"])) for name in ("tone", "truth", "prediction")}, scores=np.array([1.5])
        )


def test_a_person_in_both_groups_is_drawn_for_both_alike() -> None:
    """Answers that go with the person alone: where everybody is in both groups, there is no gap in any draw."""
    who = [f"p{n}" for n in range(60)] * 2
    right = [str(n % 3 // 2) for n in range(60)] * 2
    columns = {"tone": ["a"] * 60 + ["b"] * 60, "truth": ["1"] * 120, "prediction": right}
    for names, width in ((who, 0.0), ([f"{n} {name}" for n, name in enumerate(who)], 0.3)):
        coded_columns = {name: coded(pa.array(values)) for name, values in columns.items()}
        tally = Tally(("tone",), ("truth", "prediction"), person="who").update(
            coded_columns, persons=coded(pa.array(names))
        )
        assert tally.persons is not None
        (found,) = persons.redrawn(tally.persons, [(RATES["top1"], ("tone",))])
        by_row, by_person = found.difference((("tone", "a"),), (("tone", "b"),))
        assert by_row.value == by_person == 0
        assert by_row.high - by_row.low == pytest.approx(width, abs=0.1)
