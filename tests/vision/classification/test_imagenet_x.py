"""Figures of two published classifiers on ImageNet, recomputed from their released answers where these are at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from vision.accumulator import Array, Batch, ByGroup
from vision.classification.metrics import suite
from vision.comparison import Paired, verdict

DATA = Path(__file__).parents[4] / "shared/data/fairness/imagenet_x"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"no published answers at {DATA.name}")


def answers(model: str, images: Array | None = None) -> Batch:
    table = pq.read_table(DATA / f"predictions_{model}.parquet")
    columns = {name: table[name].to_numpy() for name in table.column_names}
    kept = slice(None) if images is None else np.isin(columns["val_index"], images)
    label = columns["label"][kept].astype(np.int64)
    return {
        "id": columns["val_index"][kept],
        "label": label,
        "answered": np.ones(len(label), bool),
        "predicted_label": columns["predicted_class"][kept].astype(np.int64),
        "predicted_score": columns["predicted_probability"][kept].astype(np.float64),
    }


@pytest.fixture(scope="module")
def annotated() -> dict[str, Array]:
    table = pq.read_table(DATA / "annotations_val.parquet")
    return {name: table[name].to_numpy(zero_copy_only=False) for name in ("val_index", "top_factor", "is_prototype")}


@needs_data
@pytest.mark.parametrize(("model", "right"), [("ResNet50", 38_065), ("ViT", 39_003)])
def test_top1_of_the_whole_validation_set(model: str, right: int) -> None:
    computed = suite().update(answers(model)).compute()
    assert computed["top1"].value == right / 50_000
    assert computed["macro_recall"].value == pytest.approx(right / 50_000)  # 50 images of every class
    assert "cross_entropy" not in computed


@needs_data
@pytest.mark.parametrize(("model", "error"), [("ResNet50", 0.037160), ("ViT", 0.014377)])
def test_calibration_error_of_the_annotated_images(model: str, error: float, annotated: dict[str, Array]) -> None:
    estimate = suite().update(answers(model, annotated["val_index"])).compute()["calibration_error"]
    assert estimate.n == 48_868
    assert estimate.value == pytest.approx(error, abs=5e-7)
    assert 0 < estimate.low < error < estimate.high


@needs_data
def test_the_two_compared_image_by_image(annotated: dict[str, Array]) -> None:
    first, second = (answers(model, annotated["val_index"]) for model in ("ResNet50", "ViT"))
    right = [batch["label"] == batch["predicted_label"] for batch in (first, second)]
    assert (first["id"] == second["id"]).all()
    paired = Paired().update({"baseline_right": right[0], "candidate_right": right[1]})
    assert (paired.only_baseline, paired.only_candidate) == (3330, 4265)
    assert paired.mcnemar_p() == pytest.approx(7.3e-27, rel=0.01)
    assert verdict(paired.difference(), 0.0) == "pass"


@needs_data
def test_error_ratios_by_factor_are_the_published_ones(annotated: dict[str, Array]) -> None:
    images = annotated["is_prototype"] == 0
    batch = dict(answers("ResNet50", annotated["val_index"][images]))
    batch["factor"] = annotated["top_factor"][images]
    assert (batch["id"] == annotated["val_index"][images]).all()
    assert len(batch["label"]) == 46_110
    overall = suite().update(batch).compute()["top1"].value
    assert overall == pytest.approx(0.7466926914, abs=1e-10)
    groups = {
        cell[0][1]: state.compute()["top1"].value
        for cell, state in ByGroup(suite().states[0], ("factor",)).update(batch).groups()
    }
    published = {"pose": 0.6947, "background": 1.1417, "pattern": 0.7714, "color": 1.1888}
    assert {name: (1 - groups[name]) / (1 - overall) for name in published} == pytest.approx(published, abs=5e-5)
