"""Foreign weights become model folders, or one line says why not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from jobs.adopt import Adopt
from jobs.predict import Predict
from jobs.spec import JobFailed, SpecError
from tests.making import CorpusMaker, rows_of
from vision import model, names

LOOK = {"resize": [28, 28], "mean": [0.5] * 3, "std": [0.5] * 3}


@pytest.fixture
def weights_file() -> str:
    torch.manual_seed(3)
    torch.save(names.net("nets.lenet:lenet5", {"classes": 3, "channels": 3}).state_dict(), "w.pth")
    Path("look.json").write_text(json.dumps(LOOK))
    return "w.pth"


def lenet(**fields: object) -> Adopt:
    given = {"net": "nets.lenet:lenet5", "arguments": '{"classes": 3, "channels": 3}', "weights": "w.pth"}
    return Adopt(**{**given, "preprocess": "look.json", "output": "m", **fields})


def test_a_state_dict_becomes_a_model_that_predicts(weights_file: str, make_corpus: CorpusMaker) -> None:
    Path("classes.txt").write_text("disc\nsquare\nstripes\n")
    report = lenet(classes="classes.txt").run()
    found = model.load("m")
    assert found.classes == ("disc", "square", "stripes")
    assert report.tags["model_digest"] == found.digest
    Predict(corpus=make_corpus(rows_of(5)), model="m", output="out", workers=0).run()
    again = lenet(classes="classes.txt").run()
    assert again.tags == report.tags


def test_nets_of_timm_and_torchvision(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm", reason="timm is not installed")
    torch.save(timm.create_model("test_resnet").state_dict(), "timm.pth")
    Adopt(net="timm:test_resnet", weights="timm.pth", output="timm-model").run()
    assert model.load("timm-model").net == "timm:test_resnet"
    import torchvision

    torch.save(torchvision.models.squeezenet1_1().state_dict(), "tv.pth")
    Adopt(net="torchvision.models:squeezenet1_1", weights="tv.pth", classes="imagenet", output="tv-model").run()
    found = model.load("tv-model").classes
    assert found is not None
    assert (len(found), found[0]) == (1000, "tench")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"weights": "gone.pth"}, "gone.pth: no such weights file"),
        ({"weights": None}, "adopt needs weights"),
        ({"onnx": "x.onnx"}, "one of --net and --onnx"),
        ({"net": None}, "one of --net and --onnx"),
        ({"net": None, "onnx": "w.pth", "weights": None}, "onnx: w.pth cannot be loaded"),
        ({"net": "timm:no_such_net"}, "timm has no net 'no_such_net'"),
        ({"arguments": "{"}, "arguments: not JSON"),
        ({"arguments": '{"classes": 4, "channels": 3}'}, "2 of another shape"),
        ({"preprocess": "imagnet"}, "imagnet"),
        ({"preprocess": "gone.json"}, "preprocess: gone.json cannot be read"),
        ({"classes": "imagenet"}, "1000 names for a net with 3 outputs"),
        ({"classes": "gone.txt"}, "classes: gone.txt cannot be read"),
    ],
)
def test_what_does_not_fit_is_named(weights_file: str, fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        lenet(**fields).run()
    assert not Path("m/model.json").exists(), "nothing half-made"


def test_a_folder_of_something_else_is_left_alone(weights_file: str) -> None:
    Path("m").mkdir()
    Path("m/notes.txt").write_text("mine")
    with pytest.raises(JobFailed, match="is not empty and is no model"):
        lenet().run()


def test_registering_needs_a_registry(weights_file: str) -> None:
    with pytest.raises(JobFailed, match="no registry"):
        lenet(register="name@alias").run()
    with pytest.raises(SpecError, match="adopt has no field 'registr'; did you mean register"):
        Adopt.parse({"registr": "x", "output": "m"})
