"""Who is there: shares, evenness over declared groups, distance to a population, columns that hang together."""

from __future__ import annotations

import math

import numpy as np
import pyarrow.csv as pacsv
import pytest
from scipy.stats import chi2_contingency, chisquare, entropy

from tests.audited import cube, cube_of, lfw_lists, published
from vision.fairness.persons import conflicts, once
from vision.fairness.representation import Composition, association, composition, distance, distance_intervals
from vision.intervals import wilson


def test_fairface_is_even_by_race_and_not_by_race_and_gender() -> None:
    table = pacsv.read_csv(published("fairface/fairface_label_val.csv"))
    counts = cube_of(table.select(["race", "gender"]))
    race = composition(counts, ["race"])
    assert race.entropy().value == pytest.approx(0.993832, abs=1e-6)
    assert race.imbalance().value == pytest.approx(1.7246, abs=1e-4)
    both = association(counts, "race", "gender")
    assert (both.chi_square, both.freedom) == (pytest.approx(124.323, abs=1e-3), 6)
    cells = dict(
        zip(composition(counts, ["race", "gender"]).cells, composition(counts, ["race", "gender"]).counts, strict=True)
    )
    men, women = (int(cells[(("race", "Middle Eastern"), ("gender", g))]) for g in ("Male", "Female"))
    assert men / (men + women) == pytest.approx(0.6725, abs=1e-4)


def test_lfw_is_78_in_100_male_by_image_and_74_by_person_and_five_images_are_both() -> None:
    table = lfw_lists()
    counts = cube_of(table)
    images = composition(counts, ["gender"])
    assert dict(zip(images.cells, images.counts.tolist(), strict=True))[(("gender", "male"),)] == 10_268
    assert (images.n, round(100 * images.shares()[1].value, 3)) == (13_234, 77.588)
    people = composition(once(counts.over(["person", "gender"]), ["gender"]), ["gender"])
    assert (people.counts.tolist(), people.n) == ([1476, 4277], 5753)
    assert round(100 * people.shares()[1].value, 3) == 74.344
    both = conflicts(counts.over(["image", "gender"]), "gender")
    assert [name for name, _ in both] == [f"person_{n}_0001.jpg" for n in ("00846", "01322", "03054", "04653", "05506")]
    assert {groups for _, groups in both} == {("female", "male")}


def test_empty_declared_groups_count_and_unknown_rows_do_not() -> None:
    counts = cube({"tone": ["a"] * 6 + ["b"] * 2 + [None] * 2})
    seen, declared = composition(counts, ["tone"]), composition(counts, ["tone"], {"tone": ["a", "b", "c"]})
    assert (seen.n, seen.unknown) == (8, 2)
    assert seen.shares()[0][:3] == (0.75, *wilson(6, 8))
    assert seen.entropy().value == pytest.approx(entropy([6, 2]) / math.log(2))
    assert declared.cells[-1] == (("tone", "c"),)
    assert declared.entropy().value == pytest.approx(entropy([6, 2]) / math.log(3))
    assert seen.imbalance().value == 3
    assert math.isnan(declared.imbalance().value)
    for part in (seen.entropy(), declared.entropy(), seen.imbalance()):
        assert part.low <= part.value <= part.high
    assert math.isnan(composition(cube({"tone": ["a"]}), ["tone"]).entropy().value)


def test_combinations_of_declared_groups_that_nobody_is_in_are_groups() -> None:
    counts = cube({"tone": ["a", "a", "b"], "gender": ["f", "m", "f"]})
    declared = {"tone": ["a", "b"], "gender": ["f", "m"]}
    assert len(composition(counts, ["tone", "gender"]).cells) == 3
    assert composition(counts, ["tone", "gender"], declared).counts.tolist() == [1, 1, 1, 0]


def test_distance_from_a_population() -> None:
    found = composition(cube({"tone": ["a"] * 60 + ["b"] * 30 + ["c"] * 10}), ["tone"])
    reference = {(("tone", name),): weight for name, weight in (("a", 5.0), ("b", 3.0), ("c", 2.0))}
    far = distance(found, reference)
    p, q = np.array([0.6, 0.3, 0.1]), np.array([0.5, 0.3, 0.2])
    assert far.total_variation == pytest.approx(0.1)
    assert far.kl == pytest.approx(entropy(p, q))
    assert far.log_ratios == pytest.approx(np.log(p / q))
    assert (far.chi_square, far.p) == pytest.approx(tuple(chisquare([60, 30, 10], [50, 30, 20])))
    assert far.cramers_v == pytest.approx(math.sqrt(far.chi_square / 200))
    lacking = distance(found, {key: weight for key, weight in reference.items() if key != (("tone", "c"),)})
    assert math.isinf(lacking.kl)
    with pytest.raises(ValueError, match="reference: tone=d is no group that occurs or is declared"):
        distance(found, {**reference, (("tone", "d"),): 1.0})
    with pytest.raises(ValueError, match="must be 0 or more, and some of them above 0"):
        distance(found, dict.fromkeys(reference, 0.0))


def test_columns_that_hang_together() -> None:
    table = np.array([[30, 10, 5], [20, 25, 30]])
    rows = [(str(i), str(j)) for i in range(2) for j in range(3) for _ in range(table[i, j])]
    counts = cube({"x": [a for a, _ in rows] + [None], "y": [b for _, b in rows] + ["0"]})
    found = association(counts, "x", "y")
    chi, p, freedom, _ = chi2_contingency(table, correction=False)
    assert (found.chi_square, found.p, found.freedom, found.n) == (pytest.approx(chi), pytest.approx(p), freedom, 120)
    assert found.cramers_v == pytest.approx(math.sqrt(chi / 120))
    alone = association(cube({"x": ["a", "b"], "y": ["1", "1"]}), "x", "y")
    assert alone.freedom == 0 and math.isnan(alone.p)


def test_distances_have_intervals_that_hold_the_truth_and_shrink_with_rows() -> None:
    q = {(("g", "a"),): 0.5, (("g", "b"),): 0.3, (("g", "c"),): 0.2}
    rng = np.random.default_rng(8)
    held, wide = 0, {}
    for n in (500, 50_000):
        for _ in range(40):
            counts = rng.multinomial(n, [0.4, 0.3, 0.3])
            found = Composition(("g",), tuple(q), counts)
            far = distance_intervals(found, distance(found, q))
            assert far["total_variation"].low <= far["total_variation"].value <= far["total_variation"].high
            held += far["total_variation"].low <= 0.1 <= far["total_variation"].high
            wide[n] = far["cramers_v"].high - far["cramers_v"].low
    assert held >= 68
    assert wide[500] > 5 * wide[50_000]
