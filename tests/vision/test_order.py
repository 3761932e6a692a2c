"""The order of training: a function of counts, the same for any workers and from any batch on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision.draws import key, mix, permutation, uniform
from vision.order import Order, share, steps, taken

SIZES = st.lists(st.integers(0, 30), min_size=1, max_size=20).filter(any)


@settings(max_examples=60, deadline=None)
@given(SIZES, st.integers(0, 2**64), st.integers(1, 100), st.integers(1, 40), st.integers(0, 3))
def test_an_epoch_holds_every_row_once_and_can_begin_at_any_batch(
    sizes: list[int], seed: int, buffer: int, size: int, epoch: int
) -> None:
    order = Order(np.array(sizes), seed, buffer)
    batches = list(order.batches(epoch, size))
    assert sorted(np.concatenate(batches).tolist()) == list(range(sum(sizes)))
    assert [len(batch) for batch in batches[:-1]] == [size] * (len(batches) - 1)
    assert len(batches) == steps(sum(sizes), size)
    for start in range(len(batches)):
        rest = list(order.batches(epoch, size, start))
        assert all((a == b).all() for a, b in zip(rest, batches[start:], strict=True))


@settings(max_examples=60, deadline=None)
@given(SIZES, st.integers(1, 40), st.integers(1, 12), st.integers(1, 5), st.data())
def test_workers_share_a_batch_without_gap_or_overlap(
    sizes: list[int], size: int, micro: int, workers: int, data: st.DataObject
) -> None:
    rows = sum(sizes)
    first = data.draw(st.integers(0, rows))
    end = data.draw(st.integers(first, rows))
    mine = np.stack([taken(first, end, rows, size, micro, worker, workers) for worker in range(workers)])
    assert (mine.sum(axis=0) == 1).all()
    for place in range(first, end):
        count = steps(min(size, rows - place // size * size), micro)
        owner = next(w for w in range(workers) if place % size // micro in share(count, w, workers))
        assert mine[owner, place - first]


def test_epochs_and_seeds_differ_and_rows_of_a_window_stay_together() -> None:
    order = Order(np.full(40, 25), seed=1, buffer_rows=100)
    orders = [
        np.concatenate(list(o.batches(e, 64))).tolist() for o in (order, Order(order.sizes, 2, 100)) for e in (0, 1)
    ]
    assert len({tuple(o) for o in orders}) == 4
    for window in order.windows(0):
        assert len(window.rows) == 100 and len(window.units) == 4
        assert sorted({int(row) // 25 for row in window.rows}) == sorted(window.units.tolist())


def test_a_corpus_within_the_buffer_is_shuffled_fully() -> None:
    """Every row comes at every place about equally often."""
    order = Order(np.array([4, 4]), seed=0, buffer_rows=8)
    seen = np.zeros((8, 8))
    for epoch in range(4000):
        (rows,) = order.batches(epoch, 8)
        seen[rows, np.arange(8)] += 1
    assert abs(seen - 500).max() < 5 * np.sqrt(500 * 7 / 8)


def test_the_order_never_changes() -> None:
    """Numbers of the first version: checkpoints of old trainings depend on them."""
    assert key(1, 2, 3) == 7510213797696614745
    assert permutation(8, 0, 0).tolist() == [0, 1, 4, 2, 3, 6, 7, 5]


def test_draws_are_uniform_and_depend_on_the_key_alone() -> None:
    keys = mix(7, np.arange(20_000))
    drawn = uniform(keys, 3)
    assert drawn.min() >= 0 and drawn.max() < 1
    assert abs(drawn.mean(axis=0) - 0.5).max() < 0.01
    assert abs(np.corrcoef(drawn.T)[np.triu_indices(3, 1)]).max() < 0.03
    assert (uniform(keys[5:6], 3) == drawn[5]).all()


def test_an_order_without_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="0 rows"):
        Order(np.zeros(3, np.int64), 0, 10)
