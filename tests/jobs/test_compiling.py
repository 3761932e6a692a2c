"""Which kernel answers: artifacts are made apart and once, and what cannot be compiled falls back and says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from jobs import compiling
from jobs.spec import SpecError
from vision import kernel, model
from vision.kernels import artifact
from vision.predictor import Asked
from vision.preprocessing import Preprocessing

# Importing it here would report to its makers: `library` in vision.kernels.openvino says how.
pytestmark = pytest.mark.skipif(not kernel.installed("openvino"), reason="openvino is not installed")

ROOT = Path(__file__).parents[2]
PROGRAM = """
import json, sys
from jobs import compiling
from vision import kernel, model
from vision.predictor import Asked
said = []
asked = [compiling.choose(model.load({model!r}), Asked(2), "auto", "auto", None, said.append) for _ in range(2)]
print(json.dumps([asked[0] == asked[1], asked[0].library, asked[0].artifact, "torch" in sys.modules, said]))
"""


def test_the_driver_loads_no_torch_and_the_cache_takes_what_has_no_folder(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(model="nets.efficientnet_lite:efficientnet_lite0")],
        cwd=ROOT, capture_output=True, text=True, check=True, env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
    )  # fmt: skip
    same, library, folder, torch_loaded, said = json.loads(done.stdout)
    assert (same, library, torch_loaded) == (True, "openvino", False)
    assert Path(folder).parent == tmp_path / "safelight" / "kernels"
    assert len(said) == 2
    assert "top-1 the same on" in said[0]


def test_what_cannot_be_compiled_falls_back_and_says_so(small_model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(Path.cwd()))
    found = replace(model.load(small_model), preprocessing=Preprocessing(resize=(9, 9), crop=None))
    said: list[str] = []
    asked = compiling.choose(found, Asked(2), "auto", "bf16", None, said.append)
    assert (asked.library, asked.precision, asked.artifact) == ("torch", "fp32", None)
    assert "could not be compiled" in said[0]


def test_an_artifact_out_of_reach_is_made_in_this_machines_cache(
    small_model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(Path.cwd()))
    found = replace(model.load(small_model), folder=None)  # weights drawn anew: only the way is tested
    asked = replace(Asked(2), library="openvino", artifact="/nowhere/artifact")
    local = compiling.here(found, asked, None)
    assert local.artifact
    assert Path(local.artifact).is_relative_to(Path.cwd())
    assert artifact.facts(Path(local.artifact))
    assert compiling.here(found, local, None) == local


@pytest.mark.parametrize(
    ("asked", "wanted", "message"),
    [
        (Asked(), "onnxruntime", "onnxruntime cannot run nets.lenet"),
        (Asked(embedding="tanh4"), "openvino", "no GPU and no layers"),
        (Asked(device="cuda"), "openvino", "no GPU and no layers"),
    ],
)
def test_a_kernel_that_cannot_run_the_model_is_refused(
    small_model: str, asked: Asked, wanted: str, message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        compiling.choose(model.load(small_model), asked, wanted, "auto", None, lambda _: None)


def test_layers_and_bf16_in_torch(small_model: str) -> None:
    found = model.load(small_model)
    said: list[str] = []
    assert compiling.choose(found, Asked(embedding="tanh4"), "auto", "auto", None, said.append).library == "torch"
    assert compiling.choose(found, Asked(), "torch", "bf16", None, said.append).precision == "bf16-only"


def test_inductor_is_chosen_by_name_alone_and_for_nets_of_torch(small_model: str) -> None:
    found, said = model.load(small_model), list[str]()
    asked = compiling.choose(found, Asked(2), "inductor", "bf16", None, said.append)
    assert (asked.library, asked.precision, asked.artifact, said) == ("inductor", "bf16-only", None, [])
    with pytest.raises(SpecError, match="kernel: inductor answers whole nets"):
        compiling.choose(found, Asked(2, embedding="0"), "inductor", "auto", None, said.append)
    with pytest.raises(SpecError, match="kernel: inductor cannot run onnx"):
        compiling.choose(replace(found, net="onnx"), Asked(2), "inductor", "auto", None, said.append)
