"""A box of a volume kept from training: scores while it goes on, the best weights kept by them, what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.infer import Infer
from jobs.spec import Plain, Report, SpecError
from jobs.train import Train
from jobs.volumes.opening import opened
from tests.neurites import labels as drawn
from tests.sections import drawn as sections
from vision.connectomics.blocks import Box
from vision.connectomics.contingency import Contingency
from vision.connectomics.isbi import cells, isbi
from vision.connectomics.judging import THRESHOLDS, grown, of_volume
from vision.connectomics.labelling import components
from vision.connectomics.scores import scores
from vision.model import load

pytest.importorskip("skimage")


class Listening(Plain):
    """Keeps the numbers that develop."""

    def __init__(self) -> None:
        self.numbers: dict[str, list[float]] = {}

    def metric(self, name: str, value: float, step: int = 0) -> None:
        self.numbers.setdefault(name, []).append(value)


def job(**changed: Any) -> Train:
    fields: dict[str, Any] = {
        "task": "connectomics", "volume": "s.npz#image", "truth": "s.npz#inside", "net": "nets.unet:unet2d",
        "arguments": '{"width": 4, "depth": 2}', "crop": (1, 32, 32), "crops": 24, "epochs": 3, "batch_size": 8,
        "micro_batch": 8, "optimizer": "adamw", "learning_rate": 1e-2, "output": "out", "workers": 0, "seed": 2,
        "roi": "0:3,:,:", "val_roi": "3:6,:,:",
    }  # fmt: skip
    return Train(**{**fields, **changed})


@pytest.fixture
def tissue() -> None:
    image, inside = sections(6, 72)
    np.savez("s.npz", image=image, inside=inside)


def solid() -> dict[str, Any]:
    """A volume of neurites, and fields of a net in three dimensions."""
    truth = drawn(Box((0, 0, 0), (20, 48, 48)), 2)
    noise = np.random.default_rng(0).integers(0, 40, truth.shape)
    np.savez("v.npz", image=(np.where(truth > 0, 160, 60) + noise).astype(np.uint8), ids=truth)
    return {
        "volume": "v.npz#image", "truth": "v.npz#ids", "net": "nets.unet:unet3d", "targets": "affinities",
        "arguments": '{"width": 4, "depth": 1}', "crop": (4, 24, 24), "roi": "0:12,:,:", "val_roi": "12:20,:,:40",
    }  # fmt: skip


def validations(report: Report) -> list[Mapping[str, Any]]:
    return list(report.tables["validation"].to_pylist())


def test_the_best_weights_are_those_of_the_best_score_and_are_scored_as_infer_answers(tissue: None) -> None:
    heard = Listening()
    report = job(epochs=4).run(heard)
    rows = validations(report)
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    best = max(rows, key=lambda row: (row["vrand"], -row["epoch"]))
    for name in ("vrand", "vinfo", "loss", "right_voxels"):
        assert report.metrics[name].value == best[name], "of the model that was kept"
        assert heard.numbers[f"val_{name}"] == [row[name] for row in rows]
    assert report.metrics["vrand"].n == 3 and report.metrics["vrand"].low < report.metrics["vrand"].value
    assert report.notes[0].startswith(f"best after epoch {best['epoch']} of 4: vrand")
    found = Infer(volume="s.npz#image", model="out", output="answers", block=(6, 72, 72), workers=0).run().output
    inside = 1 - opened(found or "", "found").read(Box((3, 0, 0), (6, 72, 72))) / 255
    truth = np.stack([cells(section) for section in np.load("s.npz")["inside"][3:]])
    assert isbi(inside, truth, THRESHOLDS)[:2] == (report.metrics["vrand"], report.metrics["vinfo"])


def test_other_metrics_choose_too_and_less_of_some_is_better(tissue: None) -> None:
    report = job(best_by="loss", validate_every=2, epochs=5, learning_rate=0.3, schedule="constant").run()
    rows = validations(report)
    assert [row["epoch"] for row in rows] == [2, 4, 5]
    assert report.metrics["loss"].value == min(row["loss"] for row in rows)


def test_a_training_that_is_not_watched_is_the_same(tissue: None) -> None:
    watched, alone = job(epochs=2).run(), job(epochs=2, val_roi=None, output="alone").run()
    assert watched.tags["last_model_digest"] == alone.tags["last_model_digest"]
    assert "validation" not in alone.tables and "vrand" not in alone.metrics


def test_volumes_are_scored_as_ids() -> None:
    report = job(**solid(), epochs=2).run()
    assert list(validations(report)[0])[2:] == [
        "vi", "vi_split", "vi_merge", "adapted_rand_skimage", "loss", "right_voxels",
    ]  # fmt: skip
    best = min(validations(report), key=lambda row: row["vi"])
    assert report.metrics["vi"].value == best["vi"]
    found = Infer(volume="v.npz#image", model="out", output="answers", block=(20, 48, 48), workers=0).run().output
    boundary = opened(found or "", "found").read(Box((12, 0, 0), (20, 48, 40)))
    truth = np.load("v.npz")["ids"][12:, :, :40]
    assert of_volume(boundary, truth)["vi"] == report.metrics["vi"]


def test_a_net_without_padding_is_scored_with_a_wider_margin(tissue: None) -> None:
    Path("mine").mkdir()
    Path("mine/without.py").write_text(
        "from torch import nn\n\n\ndef valid(classes=1):\n"
        "    return nn.Sequential(nn.Conv2d(1, 8, 7), nn.ReLU(), nn.Conv2d(8, 8, 7), nn.ReLU(),\n"
        "                         nn.Conv2d(8, classes, 3))\n"
    )
    report = job(net="without:valid", arguments="{}", code="mine", epochs=1).run()
    assert 0 < report.metrics["vrand"].value < 1


@pytest.mark.slow
@pytest.mark.parametrize("three", [False, True])
def test_workers_find_the_same_scores(tissue: None, ray_session: None, three: bool) -> None:
    changed = solid() if three else {}
    alone, shared = (job(**changed, epochs=2, workers=n, output=f"w{n}").run() for n in (0, 2))
    for one, other in zip(validations(alone), validations(shared), strict=True):
        assert one == pytest.approx(other, abs=1e-3)
    assert load("w0").net == load("w2").net


REFUSED: list[tuple[Mapping[str, Any], str]] = [
    ({"val_roi": "2:6,:,:"}, "val_roi: 2:6,:,: has voxels that are learned from; choose others by --roi"),
    ({"roi": None}, "val_roi: 3:6,:,: has voxels that are learned from"),
    ({"val_roi": "3:9,:,:"}, r"val_roi: .* is empty or reaches beyond the volume"),
    ({"best_by": "top1"}, r"best_by: no metric 'top1'.* \(there are: vrand, vinfo, loss, right_voxels\)"),
    ({"val_roi": None, "best_by": "vrand"}, "best_by: there is nothing to choose by without --val-roi"),
    ({"targets": "affinities", "offsets": "0,-5,0"}, "val_roi: a boundary needs nearest neighbours along y and x"),
    ({"truth": "half.npz#inside"}, "val_roi: nothing can be scored in 3:6,:,:"),
    ({"val_split": "val"}, "val_split: there is no use for it with --volume"),
]


@pytest.mark.parametrize(("changed", "says"), REFUSED)
def test_wrong_words_are_refused_before_anything_is_written(
    tissue: None, changed: Mapping[str, Any], says: str
) -> None:
    inside = np.load("s.npz")["inside"].copy()
    inside[3:] = 0
    np.savez("half.npz", inside=inside)
    with pytest.raises(SpecError, match=says):
        job(**changed).run()
    assert not Path("out").exists()


def test_another_box_is_another_training(tissue: None) -> None:
    job(epochs=1).run()
    with pytest.raises(SpecError, match="out holds another training: val_roi is"):
        job(epochs=1, val_roi="4:6,:,:").run()


def test_a_better_map_scores_better() -> None:
    """Of a certain map the components of the truth, of a blurred one less, and of none nothing."""
    truth = components(drawn(Box((0, 0, 0), (16, 40, 40)), 2) > 0)
    certain = np.where(truth > 0, 0, 255).astype(np.uint8)
    draws = np.random.default_rng(0)
    noisy = np.clip(certain.astype(int) + draws.integers(-400, 400, truth.shape), 0, 255).astype(np.uint8)
    perfect, poor = of_volume(certain, truth), of_volume(noisy, truth)
    assert perfect["vi"].value == 0 and poor["vi"].value > 0.2
    ids = grown(certain, certain < 128)
    assert ids.all() and scores(Contingency.of(truth, ids))["vi_merge"].value == 0
    assert not grown(certain, np.zeros(truth.shape, bool)).any()
