"""What a net of places learns from: targets, costs against their definitions, and what is refused."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import torch
from scipy.special import log_softmax

from tests.placed import TOWNS, cells_of, places_of
from vision.accumulator import Array
from vision.corpus import Corpus
from vision.geolocation.planet import Objective, objective, posteriors
from vision.model import Model
from vision.preprocessing import Preprocessing
from vision.sphere import great_circle_km, positions

PLACES = places_of(500)
CELLS = [("fine", cells_of(PLACES, 30)), ("coarse", cells_of(PLACES, 150))]
CORPUS = Corpus(name="photos", columns={"latitude": "double", "longitude": "double"})
LEARN = objective(CORPUS, cells=CELLS)


def rows_of(places: Array) -> pa.Table:
    return pa.table({"latitude": pa.array(places[:, 0], from_pandas=True), "longitude": places[:, 1]})


def logits_of(count: int) -> Array:
    return np.random.default_rng(1).normal(0, 2, (count, LEARN.outputs)).astype(np.float32)


def cost(learn: Objective, logits: Array, targets: Array) -> tuple[float, float]:
    total, right = learn.loss(torch.from_numpy(logits), torch.from_numpy(targets))
    return float(total), float(right)


def log_parts(logits: Array) -> list[Array]:
    return [
        log_softmax(part.astype(np.float64), axis=1)
        for part in np.split(logits, np.cumsum(LEARN.globe.sizes)[:-1], axis=1)
    ]


def test_targets_are_classes_and_the_place() -> None:
    nowhere = np.array([[-89.0, 10.0], [np.nan, 3.0]])
    targets = LEARN.targets(rows_of(np.concatenate([PLACES, nowhere])))
    assert targets.shape == (502, 4) and (targets[:500, :2] >= 0).all() and (targets[500:, :2] == -1).all()
    assert np.array_equal(targets[:500, 2:], PLACES)
    truths = LEARN.truths(targets[:3])
    assert np.array_equal(np.stack([truths["latitude"], truths["longitude"]], axis=1), PLACES[:3])


def test_the_cost_is_the_sum_of_the_cross_entropies() -> None:
    logits, targets = logits_of(50), LEARN.targets(rows_of(PLACES[:50]))
    classes = targets[:, :2].astype(int)
    wanted = -sum(part[np.arange(50), classes[:, p]].sum() for p, part in enumerate(log_parts(logits)))
    found, right = cost(LEARN, logits, targets)
    assert found == pytest.approx(wanted, rel=1e-5)
    assert right == (log_parts(logits)[1].argmax(axis=1) == classes[:, 1]).sum()


def test_a_photo_in_no_cell_teaches_nothing() -> None:
    for learn in (LEARN, objective(CORPUS, cells=CELLS, smoothing_km=65)):
        logits, targets = logits_of(6), learn.targets(rows_of(PLACES[:6]))
        whole, _ = cost(learn, logits, targets)
        lost = np.concatenate([targets, np.full((2, 4), -1.0)])
        assert cost(learn, logits_of(8), lost)[0] == pytest.approx(whole, rel=1e-6)
        assert cost(learn, logits_of(2), lost[6:]) == (0.0, 0.0)


def test_smoothing_by_distance_is_pigeons() -> None:
    """target_j = exp(-(d(c_j, x) - d(c_true, x)) / tau), normalised, d the haversine to where a class is put."""
    learn, count = objective(CORPUS, cells=CELLS, smoothing_km=65), 20
    logits, targets = logits_of(count), learn.targets(rows_of(PLACES[:count]))
    wanted = 0.0
    for number, part in enumerate(log_parts(logits)):
        cells = np.stack(positions(learn.globe.vectors[number]), axis=1)
        for row in range(count):
            km = great_circle_km(np.repeat(PLACES[row : row + 1], len(cells), axis=0), cells)
            shares = np.exp(-(km - km[int(targets[row, number])]) / 65)
            wanted -= float((shares / shares.sum() * part[row]).sum())
    assert cost(learn, logits, targets)[0] == pytest.approx(wanted, rel=1e-5)


def test_a_small_tau_is_the_nearest_cell_alone() -> None:
    sharp = objective(CORPUS, cells=CELLS, smoothing_km=1e-3)
    targets = torch.from_numpy(sharp.targets(rows_of(TOWNS)))
    shares = sharp._shares(1, targets)
    assert torch.allclose(shares.max(dim=1).values, torch.ones(6)) and torch.allclose(shares.sum(dim=1), torch.ones(6))


def test_auxiliary_heads_count_less() -> None:
    logits, targets = logits_of(7), torch.from_numpy(LEARN.targets(rows_of(PLACES[:7])))
    heads = tuple(torch.from_numpy(one) for one in (logits, logits + 1.0, logits[::-1].copy()))
    whole = float(LEARN.loss(heads, targets)[0])
    alone = [float(LEARN.loss(head, targets)[0]) for head in heads]
    assert whole == pytest.approx(alone[0] + 0.3 * (alone[1] + alone[2]), rel=1e-5)


def test_gradients_reach_every_partition() -> None:
    logits = torch.zeros(4, LEARN.outputs, requires_grad=True)
    LEARN.loss(logits, torch.from_numpy(LEARN.targets(rows_of(PLACES[:4]))))[0].backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert all(bool((part != 0).all()) for part in logits.grad.split(LEARN.globe.sizes, dim=1))  # type: ignore[no-untyped-call]


def test_counts_say_whether_there_is_anything_to_learn() -> None:
    LEARN.check(LEARN.census(LEARN.targets(rows_of(PLACES))))
    with pytest.raises(ValueError, match="none of 2 photos lies in a cell of partition coarse"):
        LEARN.check(LEARN.census(LEARN.targets(rows_of(np.array([[-89.0, 10.0], [-88.0, 10.0]])))))
    with pytest.raises(ValueError, match=rf"shape \(2, 3\) where there are {LEARN.outputs} cells"):
        LEARN.check_outputs(torch.zeros(2, 3))


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="c has no column latitude"):
        objective(Corpus(name="c", columns={"label": "int32"}), cells=CELLS)
    with pytest.raises(ValueError, match="needs some"):
        objective(CORPUS)
    with pytest.raises(ValueError, match="over all cells"):
        objective(CORPUS, 0.1, cells=CELLS, smoothing_km=65)
    bare = Model("nets.lenet:lenet5", Preprocessing.named("imagenet"), "w")
    with pytest.raises(ValueError, match="carries no cells"):
        posteriors(bare)


def test_whose_outputs_are_these_cells() -> None:
    model = Model("net", Preprocessing.named("imagenet"), "w", task="geolocation", decoding=LEARN.decoding)
    assert LEARN.answers_as(model) and objective(CORPUS, cells=CELLS, position="centre").answers_as(model)
    assert not objective(CORPUS, cells=CELLS[:1]).answers_as(model)
    assert posteriors(model).globe.outputs == LEARN.outputs
