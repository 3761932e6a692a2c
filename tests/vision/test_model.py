"""Models as folders: one digest over all that decides an answer, and nothing loaded that is not what it says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vision import kernel, model, names, weights
from vision.image import CorruptImage
from vision.kernels import artifact
from vision.predictor import Asked, Predictor
from vision.preprocessing import Preprocessing


def test_a_folder_gives_back_the_model(small_model: str) -> None:
    found = model.load(small_model)
    assert found.classes == ("disc", "square", "stripes")
    net = found.build()
    assert not net.training
    assert (
        sum(p.numel() for p in net.parameters()) == 6 * 75 + 6 + 16 * 150 + 16 + 400 * 120 + 120 + 120 * 84 + 84 + 255
    )


def test_the_digest_follows_everything_that_decides_an_answer(small_model: str) -> None:
    found = model.load(small_model)
    look = replace(found.preprocessing, resize=(30, 30))
    others = [
        replace(found, classes=None),
        replace(found, preprocessing=look),
        replace(found, weights="0" * 64),
        replace(found, arguments={"classes": 3}),
    ]
    assert len({found.digest, *(other.digest for other in others)}) == 5
    assert replace(found, folder=Path("elsewhere")).digest == found.digest


def test_changed_files_are_refused(small_model: str, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    model.save(model.load(small_model), folder, net=model.load(small_model).build())
    text = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**text, "classes": ["a", "b", "c"]}))
    with pytest.raises(ValueError, match="changed by hand"):
        model.load(folder)
    (folder / "model.json").write_text(json.dumps(text)[:-20])
    with pytest.raises(ValueError, match="damaged"):
        model.load(folder)
    (folder / "model.json").write_text(json.dumps(text))
    other = names.net("nets.lenet:lenet5", {"classes": 3, "channels": 3})
    weights.save(other.state_dict(), folder / "weights.safetensors")
    with pytest.raises(ValueError, match=r"not the file that model.json was written for"):
        model.load(folder).build()


def test_a_dotted_name_is_a_model_with_the_weights_of_seed_0() -> None:
    found = model.load("nets.lenet:lenet5")
    assert found.preprocessing == Preprocessing.named("imagenet")
    torch.manual_seed(123)
    once, again = found.build().state_dict(), found.build().state_dict()
    assert weights.fingerprint(once) == weights.fingerprint(again)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("nothing/there", "no model.json there"),
        ("nets.lenet:lenet6", "nets.lenet has no 'lenet6'; did you mean lenet5"),
        ("nets.lennet:lenet5", "no module vision.nets.lennet; did you mean lenet"),
        ("os:system", "os is not in vision, torchvision.models or a folder given with --code"),
        ("subprocess:run", "is not in vision"),
    ],
)
def test_names_that_lead_nowhere(reference: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model.load(reference).build()


def test_a_module_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "mine_of_my_own.py").write_text(
        "from vision.nets.lenet import lenet5\ndef build(classes: int):\n    return lenet5(classes, 3)\n"
    )
    with pytest.raises(ValueError, match="is not in vision"):
        names.find("mine_of_my_own:build")
    before = names.source_digest(str(tmp_path))
    names.trust(str(tmp_path))
    assert names.net("mine_of_my_own:build", {"classes": 4})(torch.zeros(1, 3, 28, 28)).shape == (1, 4)
    with pytest.raises(ValueError, match="cannot be built with"):
        names.net("mine_of_my_own:build", {"klasses": 4})
    (tmp_path / "mine_of_my_own.py").write_text("")
    assert names.source_digest(str(tmp_path)) != before
    with pytest.raises(ValueError, match="not a folder"):
        names.trust(str(tmp_path / "none"))


def test_weights_from_files_that_training_scripts_leave(tmp_path: Path) -> None:
    net = names.net("nets.lenet:lenet5", {})
    state = net.state_dict()
    wrapped = {"state_dict": {f"module.{name}": tensor for name, tensor in state.items()}, "epoch": 3}
    torch.save(wrapped, tmp_path / "w.pth")
    assert weights.fingerprint(weights.load(tmp_path / "w.pth")) == weights.fingerprint(state)
    weights.save(state, tmp_path / "w.safetensors")
    assert weights.fingerprint(weights.load(tmp_path / "w.safetensors")) == weights.fingerprint(state)


class _Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("evil"),))


def test_no_code_runs_from_a_weights_file(tmp_path: Path) -> None:
    torch.save({"a": _Evil()}, tmp_path / "evil.pth")
    with pytest.raises(ValueError, match="holds more than weights"):
        weights.load(tmp_path / "evil.pth")
    assert not Path("evil").exists()
    for name, data, message in (
        ("text.pth", b"not weights", "not a weights file|holds more than weights"),
        ("cut.safetensors", b"\x10\0\0\0\0\0\0\0{", "not a weights file"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ValueError, match=message):
            weights.load(tmp_path / name)
    with pytest.raises(ValueError, match="no such weights file"):
        weights.load(tmp_path / "gone.pth")


def test_weights_of_another_net_are_named() -> None:
    net = names.net("nets.lenet:lenet5", {})
    state = dict(net.state_dict())
    state["extra"] = state.pop("full5.bias")
    state["conv1.weight"] = state["conv1.weight"][:3]
    with pytest.raises(ValueError, match=r"1 missing \(full5.bias\); 1 not in the net \(extra\); 1 of another shape"):
        weights.fit(net, state)


def test_lenet_5_has_61706_parameters() -> None:
    assert sum(p.numel() for p in names.net("nets.lenet:lenet5", {}).parameters()) == 61_706


def test_a_picture_is_answered_alike_whoever_its_neighbours(small_model: str) -> None:
    found = model.load(small_model)
    pixels = np.random.default_rng(0).integers(0, 256, (8, 28, 28, 3), np.uint8)
    run = kernel.compiled(found, "cpu", 8)
    together, _ = run(pixels)
    alone = np.concatenate([run(one[None])[0] for one in pixels])
    shuffled, _ = run(pixels[::-1].copy())
    assert np.array_equal(together, alone)
    assert np.array_equal(together, shuffled[::-1])


def test_logits_are_those_of_the_net_in_float32(small_model: str) -> None:
    found = model.load(small_model)
    pixels = np.random.default_rng(1).integers(0, 256, (3, 28, 28, 3), np.uint8)
    ours, _ = kernel.compiled(found, "cpu", 4)(pixels)
    theirs = found.build()(torch.from_numpy(found.preprocessing.normalise(pixels))).numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_an_onnx_graph_answers_like_its_net(small_model: str, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(3, 4)).astype(np.float32)
    nodes = [
        helper.make_node("GlobalAveragePool", ["pixels"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "matrix"], ["logits"]),
    ]
    inputs = [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", 3, 28, 28])]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 4])]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, [numpy_helper.from_array(matrix, "matrix")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), tmp_path / "t.onnx")
    look = model.load(small_model).preprocessing
    saved = model.save(model.Model("onnx", look, ""), tmp_path / "folder", onnx=tmp_path / "t.onnx")
    pixels = rng.integers(0, 256, (5, 28, 28, 3), np.uint8)
    expected = look.normalise(pixels).mean(axis=(2, 3)) @ matrix
    ours, _ = kernel.compiled(model.load(saved.folder or ""), "cpu", 2)(pixels)
    np.testing.assert_allclose(ours, expected, atol=1e-5)
    if kernel.installed("openvino"):
        artifact.make(saved, 4, tmp_path / "artifact")
        assert artifact.fault(tmp_path / "artifact", "fp32") is None
        compiled = kernel.compiled(saved, "cpu", 4, library="openvino", artifact=str(tmp_path / "artifact"))
        np.testing.assert_allclose(compiled(pixels[:3])[0], expected[:3], atol=1e-5)
    with pytest.raises(ValueError, match="no named layers"):
        kernel.compiled(saved, "cpu", 2, "layer")


def test_all_pictures_broken_still_gives_the_columns(small_model: str) -> None:
    from vision.classification.labels import decode

    predictor = Predictor(model.load(small_model), Asked(keep_logits=True, embedding="tanh4"), decode)
    broken = predictor.answer([CorruptImage("torn"), CorruptImage("burnt")], np.array([0, 1]))
    assert broken["error"].to_pylist() == ["torn", "burnt"]
    assert broken["label"].null_count == 2
    assert {"logits", "embedding", "truth_log_score"} <= set(broken.column_names)


def test_a_model_is_found_from_any_folder(small_model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(small_model).parent)
    found = model.load(Path(small_model).name)
    assert found.folder == Path(small_model)
