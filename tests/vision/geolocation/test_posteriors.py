"""Outputs read as places: the product over partitions against the definition, and what a batch must not change."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from tests.placed import cells_of, places_of
from vision.accumulator import Array
from vision.geolocation.globe import Globe
from vision.geolocation.posteriors import Posteriors
from vision.geolocation.stored import Cells

PLACES = places_of(600)
COARSE, MIDDLE, FINE = (cells_of(PLACES, t_max) for t_max in (200, 80, 30))
GLOBE = Globe.of([("a", COARSE), ("b", MIDDLE), ("c", FINE)])
READ = Posteriors(GLOBE)


def logits_of(count: int, seed: int = 0) -> Array:
    drawn = np.random.default_rng(seed).normal(0, 3, (count, GLOBE.outputs))
    return drawn.astype(np.float32)


def test_the_product_is_that_of_probabilities() -> None:
    logits = logits_of(20)
    a, b, c = np.split(logits.astype(np.float64), np.cumsum(GLOBE.sizes)[:-1], axis=1)
    product = softmax(c, axis=1) * softmax(b, axis=1)[:, GLOBE.ancestors[1]] * softmax(a, axis=1)[:, GLOBE.ancestors[0]]
    assert np.allclose(np.exp(READ.fine(logits)), product / product.sum(axis=1, keepdims=True), rtol=1e-12)


def test_one_partition_is_its_softmax() -> None:
    logits = logits_of(5)[:, -len(FINE) :]
    assert np.allclose(Posteriors(Globe.of([("c", FINE)])).fine(logits), log_softmax(logits.astype(np.float64), axis=1))


def test_a_cell_that_a_partition_does_not_know_gets_an_average_share() -> None:
    lost = Cells(COARSE.ids[1:], COARSE.counts[1:], COARSE.means[1:])
    globe = Globe.of([("a", lost), ("c", FINE)])
    found = Posteriors(globe).fine(np.zeros((1, globe.outputs)))
    assert np.allclose(found, -np.log(len(FINE)))  # nobody said anything, and no cell is preferred


def test_huge_logits_stay_finite() -> None:
    found = READ.fine(logits_of(3) * 1e6)
    assert np.isfinite(found).all() and np.allclose(np.exp(found).sum(axis=1), 1)


def test_the_answer_columns() -> None:
    logits = logits_of(30)
    columns, logs = READ.decode(logits, np.full(30, -1)), READ.fine(logits)
    best = logs.argmax(axis=1)
    assert columns["cell"].to_pylist() == GLOBE.tokens[best].tolist()
    places = np.stack([columns["latitude"].to_numpy(), columns["longitude"].to_numpy()], axis=1)
    assert np.array_equal(places, GLOBE.positions[best])
    assert np.allclose(columns["score"].to_numpy(), np.exp(logs.max(axis=1)), rtol=1e-6)
    assert [len(row) for row in columns["top_cells"].to_pylist()] == [5] * 30
    assert [row[0] for row in columns["top_cells"].to_pylist()] == columns["cell"].to_pylist()
    assert all(row == sorted(row, reverse=True) for row in columns["top_scores"].to_pylist())


def test_an_answer_does_not_depend_on_its_neighbours() -> None:
    logits = logits_of(9)
    together = READ.decode(logits, np.full(9, -1))
    for row in range(9):
        alone = READ.decode(logits[row : row + 1], np.full(1, -1))
        assert all(alone[name][0].as_py() == together[name][row].as_py() for name in together)


def test_no_rows_have_the_same_types() -> None:
    some, none = READ.decode(logits_of(1), np.zeros(1)), READ.decode(np.empty((0, 1), np.float32), np.zeros(0))
    assert {name: column.type for name, column in none.items()} == {name: column.type for name, column in some.items()}


def test_of_several_looks_the_greatest_counts() -> None:
    views = [logits_of(4, seed) for seed in range(3)]
    merged = READ.greatest(views)
    for parts in zip(READ.by_partition(merged), *(READ.by_partition(view) for view in views), strict=True):
        most = np.maximum.reduce([np.exp(part) for part in parts[1:]])
        assert np.allclose(np.exp(parts[0]), most / most.sum(axis=1, keepdims=True), rtol=1e-12)
    assert np.allclose(READ.fine(READ.greatest([views[0]])), READ.fine(views[0]), rtol=1e-12)


def test_what_is_no_number_is_no_place() -> None:
    logits = logits_of(3)
    logits[1, -1] = np.nan
    columns = READ.decode(logits, np.zeros(3))
    assert all([value.is_valid for value in column] == [True, False, True] for column in columns.values())
    assert columns["cell"][0].as_py() == READ.decode(logits[:1], np.zeros(1))["cell"][0].as_py()


def test_other_outputs_are_refused() -> None:
    with pytest.raises(ValueError, match=rf"logits must be \(N, {GLOBE.outputs}\), got \(2, 3\)"):
        READ.fine(np.zeros((2, 3)))
