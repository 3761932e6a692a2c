"""Maps of many pictures: the mean of each place, the same for any split, and the pictures that tell most."""

from __future__ import annotations

import itertools
from functools import reduce

import numpy as np
import pytest
from scipy import stats

from vision.accumulator import Batch
from vision.mapping import MeanMap, Telling

MAPS = np.random.default_rng(0).normal(0.3, 2, (50, 12))
MAPS[::7] = np.nan


def batch(rows: slice = slice(None)) -> Batch:
    return {"id": np.array([f"{n}.jpg" for n in range(50)], object)[rows], "predicted_map": MAPS[rows]}


@pytest.mark.parametrize("zero", [MeanMap(), Telling(5)])
def test_any_split_is_the_whole(zero: MeanMap | Telling) -> None:
    parts = [zero.update(batch(slice(a, b))) for a, b in itertools.pairwise([0, 0, 1, 8, 30, 50])]
    for order in (parts, parts[::-1]):
        assert reduce(lambda a, b: a.merge(b), order, zero) == zero.update(batch())  # type: ignore[arg-type, return-value]


def test_the_mean_map_and_its_intervals() -> None:
    state, known = MeanMap().update(batch()), MAPS[~np.isnan(MAPS[:, 0])]
    table = state.table([0, 4, 8], [0, 4, 8, 12], 8)
    assert table["top"].to_pylist() == [0] * 4 + [4] * 4 + [8] * 4 and table["left"].to_pylist() == [0, 4, 8, 12] * 3
    assert np.allclose(table["drop"], known.mean(axis=0))
    low, high = stats.t.interval(0.95, len(known) - 1, known.mean(axis=0), stats.sem(known, axis=0))
    assert np.allclose(table["low"], low) and np.allclose(table["high"], high)
    found = state.compute()
    assert found["largest_drop"].value == pytest.approx(known.max(axis=1).mean())
    assert (found["mapped"].n, found["mapped"].value) == (50, len(known) / 50)


def test_the_pictures_that_tell_most_come_first_with_their_maps() -> None:
    best = np.argsort(-np.nan_to_num(MAPS.max(axis=1), nan=-9))[:5]
    found = Telling(5).update(batch()).rows
    assert [id_ for _, id_, _ in found] == [f"{n}.jpg" for n in best]
    assert found[0][2] == tuple(MAPS[best[0]])


def test_pictures_without_a_map_count_as_such_and_maps_of_two_sizes_do_not_mix() -> None:
    none = {"id": np.array(["a", "b"], object), "predicted_map": np.array([None, None], object)}
    assert MeanMap().update(none).compute()["mapped"].value == 0.0
    assert Telling().update(none).rows == ()
    other = MeanMap().update({"id": np.array(["a"], object), "predicted_map": np.zeros((1, 3))})
    with pytest.raises(ValueError, match="maps of 12 and of 3 places have no mean"):
        MeanMap().update(batch()).merge(other)
