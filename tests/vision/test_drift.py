"""Change of mix and change within groups: by hand, against oaxaca's identity, and in repeated samples."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pytest

from vision.accumulator import Array
from vision.drift import Change, Grouped, decompose, whole_change
from vision.intervals import newcombe

GROUPS = np.array(["day", "dusk", "night"], object)


def grouped(groups: Array, values: Array, rate: bool = True) -> Grouped:
    batch = {"light": groups, "value": values.astype(np.float64), "count": np.ones(len(groups), np.int64)}
    return Grouped(("light",), rate).update(batch)


def exact(table: dict[str, tuple[int, int]]) -> Grouped:
    """From right answers and images of each group."""
    groups = np.concatenate([np.full(n, name, object) for name, (_, n) in table.items()])
    values = np.concatenate([np.arange(n) < right for right, n in table.values()])
    return grouped(groups, values)


def test_a_change_of_mix_alone() -> None:
    before, after = exact({"day": (90, 100), "night": (50, 100)}), exact({"day": (45, 50), "night": (75, 150)})
    parts = decompose(before, after)
    assert parts["within"].value == pytest.approx(0)
    assert parts["mix"].value == pytest.approx(0.6 - 0.7)


def test_a_change_within_groups_alone() -> None:
    before, after = exact({"day": (90, 100), "night": (50, 100)}), exact({"day": (160, 200), "night": (80, 200)})
    parts = decompose(before, after)
    assert parts["mix"].value == pytest.approx(0)
    assert parts["within"].value == pytest.approx(-0.1)


def test_both_by_kitagawas_formula() -> None:
    before, after = exact({"day": (90, 100), "night": (30, 60)}), exact({"day": (40, 50), "night": (90, 150)})
    w0, w1, r0, r1 = np.array([100, 60]) / 160, np.array([50, 150]) / 200, np.array([0.9, 0.5]), np.array([0.8, 0.6])
    parts = decompose(before, after)
    assert parts["mix"].value == pytest.approx(((w1 - w0) * (r0 + r1) / 2).sum())
    assert parts["within"].value == pytest.approx(((r1 - r0) * (w0 + w1) / 2).sum())
    assert parts["mix"].value + parts["within"].value == pytest.approx(130 / 200 - 120 / 160)


def test_turned_round_every_part_changes_its_sign() -> None:
    before, after = exact({"day": (90, 100), "night": (30, 60)}), exact({"day": (40, 50), "night": (90, 150)})
    there, back = decompose(before, after), decompose(after, before)
    for part in there:
        assert there[part].value == pytest.approx(-back[part].value)
        assert there[part].error == pytest.approx(back[part].error)


def test_a_group_that_is_new_is_mix() -> None:
    parts = decompose(exact({"day": (90, 100)}), exact({"day": (90, 100), "snow": (20, 100)}))
    assert parts["within"].value == pytest.approx(0)
    assert parts["mix"].value == pytest.approx(0.55 - 0.9)


def drawn(generator: np.random.Generator, n: int, shares: list[float], rates: list[float], rate: bool) -> Grouped:
    codes = generator.choice(3, n, p=shares)
    centre = np.array(rates)[codes]
    return grouped(GROUPS[codes], generator.random(n) < centre if rate else generator.normal(centre, 0.3), rate)


@pytest.mark.parametrize("rate", [True, False])
def test_intervals_hold_the_truth(rate: bool) -> None:
    generator, held = np.random.default_rng(0), np.zeros(3)
    w0, w1, r0, r1 = [0.6, 0.3, 0.1], [0.4, 0.3, 0.3], [0.9, 0.7, 0.5], [0.88, 0.7, 0.4]
    a, b, c, d = map(np.array, (w0, w1, r0, r1))
    truth = [((b - a) * (c + d) / 2).sum(), ((d - c) * (a + b) / 2).sum(), (b * d).sum() - (a * c).sum()]
    for _ in range(300):
        before, after = drawn(generator, 800, w0, r0, rate), drawn(generator, 600, w1, r1, rate)
        parts = decompose(before, after)
        all_ = whole_change(before.whole(), after.whole(), rate)
        for index, change in enumerate((parts["mix"], parts["within"], all_)):
            _, low, high, _ = change.difference()
            held[index] += low <= truth[index] <= high
    assert (held / 300 > 0.92).all()
    assert (held / 300 < 0.985).all()


def test_of_one_group_the_whole_is_close_to_newcombe() -> None:
    change: Change = whole_change(exact({"day": (450, 500)}).whole(), exact({"day": (330, 400)}).whole(), True)
    assert change.difference()[1:3] == pytest.approx(newcombe(330, 400, 450, 500), abs=0.003)
    assert change.compute()["baseline"].value == pytest.approx(0.9)
    assert change.tail(0.0, below=True) < 0.002
    assert change.tail(0.0, below=True) + change.tail(0.0, below=False) == pytest.approx(1)


def test_any_split_is_the_same_to_the_last_bit() -> None:
    generator = np.random.default_rng(1)
    codes, values = generator.integers(0, 3, 400), generator.normal(0, 1, 400)
    parts = [grouped(GROUPS[codes[rows]], values[rows], False) for rows in np.array_split(np.arange(400), 7)]
    merged, whole = reduce(Grouped.merge, parts[::-1]), grouped(GROUPS[codes], values, False)
    other = drawn(generator, 300, [0.2, 0.3, 0.5], [0.1, 0.2, 0.3], False)
    assert merged.whole() == whole.whole()
    assert decompose(merged, other) == decompose(whole, other)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="must hold images"):
        decompose(exact({"day": (9, 10)}), Grouped(("light",), True))
    with pytest.raises(ValueError, match="grouped alike"):
        decompose(exact({"day": (9, 10)}), Grouped(("weather",), True))
