"""Training in one process: what it leaves, how it goes on, and what it refuses."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from jobs import storage
from jobs.evaluate import Evaluate
from jobs.spec import JobFailed, Plain, SpecError
from jobs.train import Train
from jobs.training import checkpoint
from tests.making import CorpusMaker, Row, rows_of, train_and_val, tree, write_corpus
from tests.trained import check_that_it_goes_on, digests, every_record_once_an_epoch, traced
from vision.model import load
from vision.preprocessing import Preprocessing

LOOK = Preprocessing(resize=(28, 28), crop=None, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


class Watched(Plain):
    """A context that keeps the numbers it is given."""

    def __init__(self) -> None:
        self.points: dict[str, list[tuple[int, float]]] = {}
        self.registered: set[str] = set()

    def register(self, folder: str, name: str) -> str:
        self.registered = {str(path.relative_to(folder)) for path in Path(folder).rglob("*")}
        return f"models:/{name}"

    def metric(self, name: str, value: float, step: int = 0) -> None:
        self.points.setdefault(name, []).append((step, value))


@pytest.fixture
def corpus(tmp_path: Path) -> str:
    """90 records to learn from in shards of 20 and row groups of 4, and 30 to validate on."""
    (tmp_path / "look.json").write_text(json.dumps(LOOK.to_dict()))
    return train_and_val(tmp_path / "shapes", 90)


def job(corpus: str, **changed: Any) -> Train:
    fields: dict[str, Any] = {
        "corpus": corpus, "split": "train", "val_split": "val", "net": "nets.lenet:lenet5", "output": "out",
        "arguments": '{"channels": 3}', "preprocess": "look.json", "epochs": 4, "batch_size": 16, "micro_batch": 8,
        "optimizer": "adamw", "learning_rate": 3e-3, "workers": 0, "trace": True, "augment": ("flip",), "seed": 5,
    }  # fmt: skip
    return Train(**{**fields, **changed})


def test_a_training_leaves_a_model_that_evaluate_takes(corpus: str) -> None:
    context = Watched()
    report = job(corpus, epochs=12, ema=0.9, label_smoothing=0.05, clip=5.0, warmup=1.0).run(context)
    assert report.metrics["top1"].value > 0.6
    assert report.metrics["top1"].n == 30
    right = report.metrics["train_top1"].value * 90
    assert right == pytest.approx(round(right), abs=1e-3), "a share of 90 pictures, though the last batch has ten"
    again = Evaluate(corpus=corpus, split="val", model=("out",), output="answers", workers=0).run()
    assert dict(again.metrics) == {name: report.metrics[name] for name in again.metrics}
    assert load("out").digest == report.tags["model_digest"]
    assert load("out/last").digest == report.tags["last_model_digest"]
    assert load("out").classes == ("disc", "square", "stripes")
    assert report.tags["parameters"] == report.tags["parameters_trained"] == "61411"
    curve = report.tables["curve"]
    assert curve["step"].to_pylist() == list(range(12 * 6))
    assert curve["loss"][0].as_py() == pytest.approx(1.0986, abs=0.1), "ln 3 before anything is learned"
    assert curve["loss"][-1].as_py() < 0.6
    assert report.tables["validation"].num_rows == 12
    assert {"loss", "learning_rate", "images_per_s", "gradient_norm", "val_top1"} <= set(context.points)
    every_record_once_an_epoch(traced(), 90, 6)
    assert not list(Path("out").rglob(".*"))


def test_the_same_words_give_the_same_weights_and_another_seed_others(corpus: str) -> None:
    first = job(corpus).run()
    assert digests(job(corpus, output="again").run()) == digests(first)
    assert traced("again") == traced()
    assert digests(job(corpus, output="other", seed=6).run()) != digests(first)
    assert digests(job(corpus).run()) == digests(first), "a finished one is only reported again"


@pytest.mark.parametrize("stop", [1, 6, 7, 15])
def test_a_training_that_was_stopped_goes_on_with_the_next_batch(
    corpus: str, stop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped without warning after any step; a checkpoint every other one, so that some steps are done again."""
    check_that_it_goes_on(partial(job, corpus, ema=0.9), stop, monkeypatch)


def test_a_damaged_checkpoint_is_passed_over(corpus: str) -> None:
    whole = job(corpus, keep=3).run()
    newest = checkpoint.found("out")[-1]
    Path(checkpoint.place("out", newest), "weights.safetensors").write_bytes(b"torn")
    for name in ("model.json", "last/model.json"):
        Path("out", name).unlink()
    assert digests(job(corpus, keep=3).run()) == digests(whole)


def test_only_the_newest_checkpoints_and_the_best_are_kept(corpus: str) -> None:
    report = job(corpus, epochs=8, keep=2, checkpoint_every=4).run()
    assert checkpoint.found("out") == [46, 48] or checkpoint.found("out") == [44, 48]
    assert len(checkpoint.found("out", "best")) <= 2
    best = max(report.tables["validation"].to_pylist(), key=lambda row: row["top1"])
    assert best["top1"] == pytest.approx(report.metrics["top1"].value)
    assert not [name for name in tree("out") if name.endswith((".pt", ".pkl"))]


def test_what_decides_the_result_is_compared(corpus: str) -> None:
    job(corpus).run()
    with pytest.raises(SpecError, match=r"out holds another training: batch_size is 16 there and 32 now"):
        job(corpus, batch_size=32).run()
    job(corpus, cache_mb=0, checkpoint_every=3).run()
    before = load("out").digest
    assert job(corpus, batch_size=32, resume=False).run().tags["model_digest"] != before
    write_corpus(Path(corpus), rows_of(95), 20, "train")
    with pytest.raises(SpecError, match=r"the corpus changed since the checkpoints in .*out were written"):
        job(corpus, batch_size=32, val_split=None).run()


def test_a_small_cache_and_a_small_buffer_see_every_record_once(corpus: str) -> None:
    plain = job(corpus, output="plain").run()
    assert digests(job(corpus, output="uncached", cache_mb=0).run()) == digests(plain)
    windowed = job(corpus, output="windowed", buffer_rows=20, checkpoint_every=4).run()
    assert digests(windowed) != digests(plain)
    every_record_once_an_epoch(traced("windowed"), 90, 6)


def test_broken_pictures_teach_nothing_and_are_told(make_corpus: CorpusMaker, corpus: str) -> None:
    rows: list[Row] = rows_of(40)
    rows[3], rows[17] = ("00003.jpg", b"not an image", 0), ("00017.jpg", b"", 2)
    folder = make_corpus(rows, split="train")
    report = job(folder, val_split=None, max_errors=0.1).run()
    assert report.errors == 2
    assert report.tables["errors"]["id"].to_pylist() == ["00003.jpg", "00017.jpg"]
    every_record_once_an_epoch(traced(), 40, 3)
    with pytest.raises(JobFailed, match="2 of 40 images are broken") as failed:
        job(folder, val_split=None, output="strict").run()
    assert [line.split(":")[0] for line in failed.value.details] == ["00003.jpg", "00017.jpg"]
    assert not Path("strict/model.json").exists()


def test_a_loss_that_is_no_number_stops_it_without_half_a_model(corpus: str) -> None:
    with pytest.raises(JobFailed, match=r"the loss is (nan|inf).* at step \d+ \(epoch \d\): lower the learning rate"):
        job(corpus, optimizer="sgd", learning_rate=1e12).run()
    assert not Path("out/model.json").exists()
    kept = checkpoint.newest("out")
    assert kept is not None
    assert all(torch.isfinite(tensor).all() for tensor in kept.parts["weights"].values())


def test_wrong_words_are_one_line_and_leave_nothing(corpus: str) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"net": "nets.lenet:lenet6"}, "lenet5"),
        ({"net": None}, "takes one of --net"),
        ({"arguments": '{"channels": 3, "classes": 7}'}, r"outputs of shape \(2, 7\) where the corpus has 3 classes"),
        ({"arguments": "{}"}, "cannot take the pictures of 28x28"),
        ({"arguments": "[1"}, "not JSON"),
        ({"preprocess": "imagent"}, "did you mean imagenet"),
        ({"where": "label < 2"}, "stripes: no record of this class"),
        ({"split": "tran"}, "no split 'tran'"),
        ({"task": "detektion"}, "no task"),
        ({"augment": ("blur",)}, "no augmentation 'blur'"),
        ({"freeze": "conv7"}, "no layer 'conv7'; did you mean conv2"),
        ({"best_by": "top7"}, "no metric 'top7'; did you mean top"),
        ({"warmup": 99.0}, "warmup must be at most the 24 steps"),
        ({"register_as": "a", "output": "s3://b/c"}, "cannot be registered"),
    ]
    for changed, complaint in wrong:
        fields = {"register" if name == "register_as" else name: value for name, value in changed.items()}
        with pytest.raises(ValueError, match=complaint):
            job(corpus, **fields).run()
        assert not Path("out").exists(), changed
    Path("out").mkdir()
    Path("out/thesis.tex").write_text("years of work")
    with pytest.raises(SpecError, match="not empty and holds no training"):
        job(corpus).run()
    with storage.claim("busy"), pytest.raises(JobFailed, match="another job is writing there"):
        job(corpus, output="busy").run()


def test_a_model_is_gone_on_from_with_a_new_head(corpus: str, small_model: str) -> None:
    report = job(corpus, net=None, model=small_model, arguments="{}", preprocess=None, freeze="all-but-head").run()
    assert report.tags["parameters_trained"] == str(84 * 3 + 3)
    before, after = load(small_model).build().state_dict(), load("out").build().state_dict()
    changed = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert changed == {"full5.weight", "full5.bias"}
    assert load("out").preprocessing == load(small_model).preprocessing
    upto = job(
        corpus, net=None, model=small_model, arguments="{}", preprocess=None, freeze="full3", output="upto"
    ).run()
    assert upto.tags["parameters_trained"] == str(120 * 84 + 84 + 84 * 3 + 3)


def test_a_registered_model_travels_without_checkpoints(corpus: str) -> None:
    context = Watched()
    report = job(corpus, epochs=1, register="shapes@new").run(context)
    assert context.registered == {"model.json", "weights.safetensors"}
    assert report.tags["registered"] == "models:/shapes@new"
    assert load("out/registered").digest == report.tags["model_digest"]


def test_a_scale_trains_on_pictures_of_many_sizes_the_same_way_again(corpus: str) -> None:
    words = ("scale:28-40", "flip")
    report = job(corpus, augment=words, epochs=2).run()
    assert report.tables["curve"].num_rows == 12
    assert digests(job(corpus, augment=words, epochs=2, output="b").run()) == digests(report)
    assert digests(job(corpus, augment=("scale:28-28", "flip"), epochs=2, output="c").run()) != digests(report)
    with pytest.raises(SpecError, match="augment: augmentation scale:20-40: parts of 28x28 need shorter sides from 28"):
        job(corpus, augment=("scale:20-40",), output="d").run()


def test_a_resized_crop_trains_on_parts_of_whole_pictures(corpus: str) -> None:
    report = job(corpus, augment=("resized-crop:0.3", "flip", "colour:0.2"), epochs=2).run()
    assert report.tables["curve"].num_rows == 12
    assert digests(
        job(corpus, augment=("resized-crop:0.3", "flip", "colour:0.2"), epochs=2, output="b").run()
    ) == digests(report)
