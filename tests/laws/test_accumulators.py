"""What every metric obeys: any split of the batches, merged in any order, is the whole, to the last bit.

The rooms of `vision` are found, not listed. A new room is held to this as soon as it has a `suite`: it needs one
function here that makes its batches.
"""

from __future__ import annotations

import importlib
import pickle
import pkgutil
from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vision
from vision.accumulator import Accumulator, Array, Batch, ByGroup, Suite, Tabled
from vision.comparison import Paired, PairedMean
from vision.corpus import Corpus
from vision.geolocation import s2

CLASSES = tuple(f"class {index}" for index in range(7))


def objects(values: list[Any]) -> Array:
    return np.array([*values, None], object)[:-1]


def classification(generator: np.random.Generator, n: int) -> Batch:
    """Answers with everything that can be wrong: no truth, no answer, no scores, weights, missing groups."""
    k = len(CLASSES)
    logits = generator.normal(0, 2, (n, k))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    order = np.argsort(-probabilities, axis=1)
    label = np.where(generator.random(n) < 0.5, order[:, 0], generator.integers(0, k, n))
    answered = generator.random(n) < 0.9
    scored = answered & (generator.random(n) < 0.9)
    of_truth = np.take_along_axis(probabilities, label[:, None], axis=1)[:, 0]
    return {
        "id": objects([f"{number}.jpg" for number in generator.permutation(n)]),
        "label": np.where(generator.random(n) < 0.9, label, -1),
        "answered": answered,
        "count": generator.integers(1, 4, n),
        "predicted_label": np.where(answered, order[:, 0], -1),
        "predicted_score": np.where(scored, probabilities.max(axis=1), np.nan),
        "predicted_top_labels": np.where(scored[:, None], order[:, :5], -1),
        "predicted_truth_log_score": np.where(scored, np.log(of_truth), np.nan),
        "predicted_score_squares": np.where(scored, (probabilities**2).sum(axis=1), np.nan),
        "group": objects([[None, "a", "b", 3][i] for i in generator.integers(0, 4, n)]),
        "flag": generator.random(n) < 0.5,
    }


def geolocation(generator: np.random.Generator, n: int) -> Batch:
    """Placed photos: some exactly, some near, some far, some not at all, and some of which nobody knows where."""
    latitude, longitude = np.degrees(np.arcsin(generator.uniform(-1, 1, n))), generator.uniform(-180, 180, n)
    off = 10.0 ** generator.uniform(-4, 2, (n, 2)) * (generator.random((n, 1)) < 0.9)
    said_latitude = np.clip(latitude + off[:, 0], -90, 90)
    said_longitude = (longitude + off[:, 1] + 180) % 360 - 180
    answered = generator.random(n) < 0.9
    level, named = generator.integers(1, 20, n), generator.random(n) < 0.9
    cells = [s2.tokens(s2.ids(np.array([a]), np.array([o]), int(k)))[0] for a, o, k in zip(
        said_latitude, said_longitude, level, strict=True
    )]  # fmt: skip
    return {
        "id": objects([f"{number}.jpg" for number in generator.permutation(n)]),
        "latitude": np.where(generator.random(n) < 0.9, latitude, np.nan),
        "longitude": longitude,
        "predicted_latitude": np.where(generator.random(n) < 0.95, said_latitude, np.nan),
        "predicted_longitude": said_longitude,
        "answered": answered,
        "count": generator.integers(1, 4, n),
        "predicted_score": np.where(generator.random(n) < 0.9, generator.random(n), np.nan),
        "predicted_cell": objects([str(cell) if known else None for cell, known in zip(cells, named, strict=True)]),
        "group": objects([[None, "a", "b", 3][i] for i in generator.integers(0, 4, n)]),
        "flag": generator.random(n) < 0.5,
    }


def pairs(generator: np.random.Generator, n: int) -> Batch:
    """Two models' answers to the same images."""
    return {
        "baseline_right": generator.random(n) < 0.7,
        "candidate_right": generator.random(n) < 0.8,
        "baseline_value": generator.gamma(2.0, size=n),
        "candidate_value": generator.gamma(2.0, size=n),
        "count": generator.integers(1, 4, n),
        "group": objects(["a", None] * n)[:n],
    }


BATCHES: dict[str, Callable[[np.random.Generator, int], Batch]] = {
    "classification": classification,
    "geolocation": geolocation,
    "comparison": pairs,
}


def rooms() -> list[str]:
    packages = [module.name for module in pkgutil.iter_modules(vision.__path__) if module.ispkg]
    return [name for name in packages if hasattr(importlib.import_module(f"vision.{name}"), "suite")]


def states() -> list[Any]:
    """(room, state) for every state of every room, the whole suites, and breakdowns of them."""
    found: list[tuple[str, Accumulator]] = [("comparison", Paired()), ("comparison", PairedMean())]
    for room in rooms():
        for classes in (None, CLASSES):
            corpus = Corpus(name="law", classes=classes)
            suite = importlib.import_module(f"vision.{room}").suite(corpus)
            found += [(room, state) for state in (*suite.states, suite, ByGroup(suite, ("group", "flag"), order=2))]
    return [pytest.param(room, state, id=f"{room}-{type(state).__name__}-{i}") for i, (room, state) in enumerate(found)]


def others() -> list[Any]:
    """(room, state) for what a room keeps beside its metrics: the answers worth looking at."""
    modules = [(room, importlib.import_module(f"vision.{room}")) for room in rooms()]
    corpus = Corpus(name="law", classes=CLASSES)
    return [pytest.param(room, m.worst(corpus), id=f"{room}-worst") for room, m in modules if hasattr(m, "worst")]


def fingerprint(state: Accumulator) -> str:
    """All that a state says, with every bit of its numbers (a float's repr is exact)."""
    tables = state.tables() if isinstance(state, Tabled) else {}
    shown = {name: (table.schema.metadata, table.schema.names, table.to_pydict()) for name, table in tables.items()}
    return repr((state.compute(), shown))


def take(batch: Batch, rows: Array) -> Batch:
    return {name: values[rows] for name, values in batch.items()}


def test_the_rooms_are_found_and_each_has_batches_here() -> None:
    assert "classification" in rooms()
    assert set(rooms()) <= set(BATCHES), "a room with a suite needs a function in BATCHES that makes its batches"


@pytest.mark.parametrize(("room", "zero"), [*states(), *others()])
@settings(max_examples=10, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_split_in_any_order_is_the_whole(room: str, zero: Accumulator, data: st.DataObject) -> None:
    n = data.draw(st.integers(0, 80))
    generator = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    batch = BATCHES[room](generator, n)
    whole = zero.update(batch)

    cuts = sorted(data.draw(st.lists(st.integers(0, n), max_size=5)))
    shards = np.split(generator.permutation(n), cuts)  # empty shards among them
    parts = [zero.update(take(batch, rows)) for rows in shards]
    in_order = reduce(lambda a, b: a.merge(b), parts)
    backwards = reduce(lambda a, b: b.merge(a), reversed(parts[1:] + parts[:1]))
    streamed = reduce(lambda state, rows: state.update(take(batch, rows)), shards, zero)
    as_tree = parts[0].merge(reduce(lambda a, b: b.merge(a), parts[1:], zero))

    for state in (in_order, backwards, streamed, as_tree):
        assert state == whole
        assert fingerprint(state) == fingerprint(whole)


@pytest.mark.parametrize(("room", "zero"), states())
def test_zero_is_neutral_and_states_are_values(room: str, zero: Accumulator) -> None:
    batch = BATCHES[room](np.random.default_rng(5), 60)
    before, state = fingerprint(zero), zero.update(batch)
    copy = pickle.loads(pickle.dumps(state))
    assert zero.merge(state) == state.merge(zero) == state == copy
    assert fingerprint(copy) == fingerprint(state) != before
    state.merge(state)
    state.update(batch)
    assert fingerprint(zero) == before == fingerprint(zero.merge(zero))
    assert state == copy


@pytest.mark.parametrize(("room", "zero"), states())
def test_a_row_that_stands_for_three_is_three_rows(room: str, zero: Accumulator) -> None:
    batch = BATCHES[room](np.random.default_rng(6), 60)
    rows = np.repeat(np.arange(60), batch["count"])
    unfolded = {**take(batch, rows), "count": np.ones(len(rows), np.int64)}
    assert zero.update(unfolded) == zero.update(batch)


@pytest.mark.parametrize(("room", "zero"), states())
def test_every_estimate_lies_in_its_interval(room: str, zero: Accumulator) -> None:
    computed = zero.update(BATCHES[room](np.random.default_rng(7), 400)).compute()
    assert computed
    for name, estimate in computed.items():
        assert estimate.low <= estimate.value <= estimate.high, name
        assert estimate.low < estimate.high, name
        assert estimate.n > 0


@pytest.mark.parametrize(("room", "zero"), states())
def test_nothing_seen_is_nan(room: str, zero: Accumulator) -> None:
    empty = take(BATCHES[room](np.random.default_rng(0), 3), np.empty(0, np.int64))
    for state in (zero, zero.update(empty)):
        for estimate in state.compute().values():
            assert all(np.isnan(number) for number in estimate[:3])
            assert estimate.n == 0


@pytest.mark.parametrize("room", rooms())
def test_groups_add_up_to_the_whole(room: str) -> None:
    suite = importlib.import_module(f"vision.{room}").suite(Corpus(name="law", classes=CLASSES))
    batch = BATCHES[room](np.random.default_rng(8), 200)
    groups = ByGroup(suite, ("group",)).update(batch).groups()
    assert reduce(lambda a, b: a.merge(b), (state for _, state in groups)) == suite.update(batch)
    assert isinstance(groups[0][1], Suite)
