"""Crops of a volume as records: where they lie, what they teach, and a training on them stopped and gone on with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from jobs.spec import Plain, SpecError
from jobs.train import Train
from jobs.training.crops import Crops, survey
from jobs.volumes.opening import opened
from tests.neurites import labels as drawn
from tests.trained import check_that_it_goes_on, digests, traced
from vision.connectomics.blocks import Box
from vision.connectomics.grey import Grey
from vision.connectomics.learning import objective
from vision.connectomics.targets import UNTAUGHT
from vision.connectomics.varying import Variation
from vision.model import load

SHAPE = (12, 72, 64)
TRUTH = drawn(Box((0, 0, 0), SHAPE), 2)
NOISE = np.random.default_rng(0).integers(0, 40, SHAPE)
IMAGE = (np.where(TRUTH > 0, 160, 60) + NOISE).astype(np.uint8)
WORDS = ("flip", "transpose", "elastic", "contrast", "blur", "missing", "shift")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("v.npz", image=IMAGE, ids=TRUTH)


def crops(words: tuple[str, ...] = (), box: Box | None = None, truth: str = "v.npz#ids", **changed: Any) -> Crops:
    volume, ids = opened("v.npz#image", "volume"), opened(truth, "truth", labels=True)
    crop = changed.pop("crop", (4, 24, 24))
    learned = objective(volume.volume, crop=crop, **changed)
    box = box or Box((0, 0, 0), SHAPE)
    grey, _ = survey(volume, ids, box, learned)
    return Crops(
        volume.address, ids.address, box, (5, 20, 30), 50, learned, Variation.parse(words, crop), grey, crop[0] == 1
    )


def job(**changed: Any) -> Train:
    fields: dict[str, Any] = {
        "task": "connectomics", "volume": "v.npz#image", "truth": "v.npz#ids", "net": "nets.unet:unet2d",
        "arguments": '{"width": 4, "depth": 2}', "crop": (1, 32, 32), "crops": 20, "epochs": 3, "batch_size": 8,
        "micro_batch": 4, "optimizer": "adamw", "learning_rate": 1e-2, "augment": ("flip", "transpose", "contrast"),
        "output": "out", "workers": 0, "trace": True, "seed": 5,
    }  # fmt: skip
    return Train(**{**fields, **changed})


def test_a_crop_is_a_function_of_seed_epoch_and_number() -> None:
    source = crops(WORDS, kind="affinities")
    together = source.feeder(None, 0).pictures(np.arange(12), {}, 3, 1)  # type: ignore[arg-type]
    for row in (11, 4, 7):
        alone = source.feeder(None, 0).pictures(np.array([row]), {}, 3, 1)  # type: ignore[arg-type]
        assert np.array_equal(alone.pixels[0], together.pixels[row])
        assert np.array_equal(alone.targets[0], together.targets[row])
        assert alone.ids[0] == together.ids[row]
    for parts in ((3, 2), (4, 1)):
        other = source.feeder(None, 0).pictures(np.arange(12), {}, *parts)  # type: ignore[arg-type]
        assert len(set(other.ids) & set(together.ids)) <= 1


def test_crops_lie_in_the_box_and_everywhere_in_it() -> None:
    box = Box((2, 10, 0), (12, 72, 60))
    ids = crops(box=box).feeder(None, 0).pictures(np.arange(400), {}, 0, 0).ids  # type: ignore[arg-type]
    begins = np.array([[int(v) for v in id_.split("@")[1].split(",")] for id_ in ids])
    lowest, highest = begins.min(axis=0) - box.begin, np.array(box.end) - begins.max(axis=0) - np.array([4, 24, 24])
    assert (lowest >= 0).all() and (highest >= 0).all()
    assert (lowest <= 2).all() and (highest <= 2).all(), "up to the ends"


@pytest.mark.parametrize("kind", ["boundaries", "affinities"])
def test_without_variation_a_crop_is_cut_out_of_the_normalised_volume_and_its_targets(kind: Any) -> None:
    source = crops(kind=kind, offsets="-1,0,0;0,-1,0;0,0,-1;0,-5,0;-2,0,0" if kind == "affinities" else None)
    found = source.feeder(None, 0).pictures(np.arange(6), {}, 0, 0)  # type: ignore[arg-type]
    normal = source.grey.levels("section").apply(IMAGE, np.arange(SHAPE[0]))
    reach = source.objective.reach
    padded = np.pad(TRUTH.astype(np.int64), [(far, far) for far in reach], constant_values=-1)
    whole = source.objective.taught(padded)
    assert whole.shape[1:] == SHAPE
    for pixels, targets, id_ in zip(found.pixels, found.targets, found.ids, strict=True):
        z, y, x = (int(v) for v in id_.split("@")[1].split(","))
        at = np.s_[z : z + 4, y : y + 24, x : x + 24]
        assert np.array_equal(pixels, normal[at])
        assert np.array_equal(targets, whole[(slice(None), *at)]), "labels beyond a crop are known"


def test_crops_without_a_known_label_are_drawn_again() -> None:
    sparse = np.zeros(SHAPE, np.uint64)
    sparse[:, :, :30] = TRUTH[:, :, :30]
    np.savez("sparse.npz", ids=sparse)
    found = crops(truth="sparse.npz#ids", ignore=0).feeder(None, 0)
    targets = found.pictures(np.arange(60), {}, 0, 0).targets  # type: ignore[union-attr]
    assert all((one != UNTAUGHT).any() for one in targets)


def test_a_training_leaves_a_model_that_says_what_its_outputs_mean() -> None:
    report = job(epochs=8).run()
    losses = report.tables["curve"]["loss"].to_pylist()
    assert losses[-1] < 0.5 * losses[0] and report.metrics["train_right_voxels"].value > 0.85
    model = load("out")
    assert model.task == "connectomics" and model.classes is None
    assert dict(model.decoding) == {"targets": "boundaries", "offsets": [], "normalise": "section", "crop": [1, 32, 32]}
    assert report.tags["volume"].endswith("v.npz#image")
    again = job(epochs=8).run()
    assert digests(again) == digests(report)


def test_affinities_are_learned_by_a_net_of_volumes_with_every_variation() -> None:
    net = {"net": "nets.unet:unet3d", "arguments": '{"width": 4, "depth": 1}', "targets": "affinities"}
    report = job(**net, crop=(4, 24, 24), augment=WORDS, epochs=4, offsets="-1,0,0;0,-1,0;0,0,-1;0,-5,0", erode=1).run()
    losses = report.tables["curve"]["loss"].to_pylist()
    assert losses[-1] < losses[0]
    assert load("out").decoding["offsets"] == [[-1, 0, 0], [0, -1, 0], [0, 0, -1], [0, -5, 0]]
    assert load("out").arguments["classes"] == 4


@pytest.mark.parametrize(
    ("net", "arguments"),
    [
        ("nets.fcn:fcn", '{"narrow": 16, "hidden": 256}'),
        ("nets.unet:unet", '{"width": 4, "depth": 2, "join": "concatenate", "residual": false}'),
    ],
)
def test_other_nets_of_pictures_learn_from_crops_too(net: str, arguments: str) -> None:
    report = job(net=net, arguments=arguments, epochs=4, learning_rate=3e-3).run()
    losses = report.tables["curve"]["loss"].to_pylist()
    assert np.mean(losses[-3:]) < np.mean(losses[:3])


def test_a_training_goes_on_from_a_model() -> None:
    first = job().run()
    second = job(net=None, model="out", arguments="{}", output="on", learning_rate=1e-4, epochs=1).run()
    began, ended = (report.tables["curve"]["loss"].to_pylist() for report in (first, second))
    assert ended[0] < 0.8 * began[0], "with all of its weights"
    turned = job(
        net=None, model="out", arguments="{}", output="turned", targets="affinities", offsets="0,-1,0", epochs=1
    )
    logged: list[str] = []

    class Listening(Plain):
        def log(self, message: str) -> None:
            logged.append(message)

    turned.run(Listening())
    assert any("its weights, but for a new head" in line for line in logged), "outputs that mean something else"


@pytest.mark.parametrize("stop", [1, 3, 7])
def test_a_training_that_was_stopped_goes_on_with_the_same_crops(stop: int, monkeypatch: pytest.MonkeyPatch) -> None:
    check_that_it_goes_on(job, stop, monkeypatch)


@pytest.mark.slow
def test_workers_see_the_same_crops(ray_session: None) -> None:
    alone, shared = job(output="alone").run(), job(output="shared", workers=2).run()
    assert traced("shared") == traced("alone")
    assert shared.tables["curve"]["loss"].to_pylist() == alone.tables["curve"]["loss"].to_pylist()
    # Statistics of norms are put together from each worker's part: the same but for a rounding.
    one, other = (load(name).build().state_dict() for name in ("alone", "shared"))
    for name, tensor in one.items():
        torch.testing.assert_close(other[name], tensor, rtol=1e-5, atol=1e-6)


def test_another_volume_or_another_crop_is_another_training() -> None:
    job().run()
    for changed, word in (({"crops": 21}, "crops"), ({"crop": (1, 16, 16)}, "crop"), ({"erode": 1}, "erode")):
        with pytest.raises(SpecError, match=rf"out holds another training: {word} is"):
            job(**changed).run()
    np.savez("v.npz", image=255 - IMAGE, ids=TRUTH)
    with pytest.raises(SpecError, match=r"out holds another training: (volume|truth) is"):
        job().run()


REFUSED: list[tuple[Mapping[str, Any], str]] = [
    ({"corpus": "data"}, r"train takes one of --corpus \(records\) and --volume"),
    ({"volume": None}, r"train takes one of --corpus \(records\) and --volume"),
    ({"truth": None}, "truth: a volume is learned from labels of its voxels"),
    ({"task": "classification"}, "volume: the task classification learns from a corpus: give --corpus"),
    ({"split": "train"}, "split: there is no use for it with --volume"),
    ({"preprocess": "imagenet"}, "preprocess: there is no use for it with --volume"),
    ({"best_by": "top1"}, "best_by: there is nothing to choose by"),
    ({"label_smoothing": 0.1}, "label_smoothing: the task connectomics has no use for it"),
    ({"crop": (1, 32)}, r"crop: one number or three \(Z,Y,X\)"),
    ({"crop": (4, 32, 32)}, "takes pictures, so crops are of one section"),
    ({"crop": (1, 80, 80)}, "do not fit into"),
    ({"crop": (1, 33, 33), "augment": ()}, "net: it cannot take the crops of 33x33"),
    ({"roi": "0:20,:,:"}, "is empty or reaches beyond the volume"),
    ({"augment": ("crop:4",)}, "there is no variation 'crop' of a volume"),
    ({"augment": ("shift",)}, "variation 'shift' needs crops of several sections"),
    ({"offsets": "0,-1,0"}, "offsets: boundaries have none; ask for --targets affinities"),
    ({"targets": "affinities", "offsets": "0,-1"}, "offsets are Z,Y,X;Z,Y,X"),
    ({"volume": "v.npz#ids"}, "a net of volumes learns from grey levels"),
    ({"truth": "v.npz#id"}, "has no array 'id'; did you mean ids"),
    ({"truth": "small.npz#ids"}, "they must be the same voxels"),
    ({"ignore": 7, "truth": "sevens.npz#ids"}, "has no labels of boundaries there to learn from"),
]


@pytest.mark.parametrize(("changed", "says"), REFUSED)
def test_wrong_words_are_refused_before_anything_is_written(changed: Mapping[str, Any], says: str) -> None:
    np.savez("small.npz", ids=TRUTH[:, 1:])
    np.savez("sevens.npz", ids=np.full(SHAPE, 7, np.uint8))
    with pytest.raises(SpecError, match=says):
        job(**changed).run()
    assert not Path("out").exists()


def test_a_corpus_is_asked_for_where_the_task_learns_from_one(tmp_path: Path) -> None:
    from tests.making import train_and_val

    with pytest.raises(SpecError, match="corpus: the task connectomics learns from a volume: give --volume"):
        Train(task="connectomics", corpus=train_and_val(tmp_path / "shapes", 30), split="train", net="nets.unet:unet2d",
              output="out").run()  # fmt: skip


def test_words_of_volumes_are_refused_without_one() -> None:
    for changed in ({"truth": "v.npz#ids"}, {"roi": "0:3,:,:"}, {"crop": (1, 8, 8)}, {"crops": 9}):
        fields: dict[str, Any] = {"corpus": "data", "net": "nets.lenet:lenet5", "output": "out", **changed}
        with pytest.raises(SpecError, match=f"{next(iter(changed))}: it says something of a --volume"):
            Train(**fields).run()


def test_grey_levels_are_surveyed_by_slabs_of_a_chunk() -> None:
    h5py = pytest.importorskip("h5py")

    with h5py.File("v.h5", "w") as file:
        file.create_dataset("image", data=IMAGE, chunks=(5, 16, 16))
    volume, ids = opened("v.h5#image", "volume"), opened("v.npz#ids", "truth", labels=True)
    learned, box = objective(volume.volume, crop=(4, 24, 24)), Box((1, 3, 0), (12, 60, 64))
    assert np.array_equal(survey(volume, ids, box, learned)[0].sums[1:], Grey.of(IMAGE, 0, 12).sums[1:])
    known = TRUTH[1:12, 3:60]
    assert survey(volume, ids, box, learned)[1] == (known.size, int((known == 0).sum()))


def test_a_dry_run_tells_what_there_is() -> None:
    facts = job().estimate(Plain())
    assert facts["images"] == "20 in 3 epochs" and facts["steps"] == "9 of 8"
    assert not Path("out").exists()
