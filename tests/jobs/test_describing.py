"""What `show` tells of a net and a corpus."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cluster.looking import show
from jobs.describing import describe, looking_time
from jobs.spec import Plain, SpecError
from tests.making import CorpusMaker, rows_of


def shown(*words: str) -> str:
    done = CliRunner().invoke(show, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def document(*words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(shown(*words, "--format", "json"))
    return found


def test_time_to_look_at_it(make_corpus: CorpusMaker) -> None:
    """1,000 words at one a second, 50,000 and 1,200,000 pictures at two seconds each."""
    assert looking_time(1_000, 1) == "16.7 minutes at 1 s each"
    assert looking_time(50_000) == "27.8 hours at 2 s each"
    assert looking_time(1_200_000) == "27.8 days at 2 s each"
    assert looking_time(0) == "0.0 seconds at 2 s each"
    assert describe(make_corpus(rows_of(12)), Plain())["to look at"] == "24.0 seconds at 2 s each"


def test_a_net_is_told_layer_by_layer() -> None:
    text = shown("nets.vgg:vgg_c")
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line}
    assert rows["features.14"] == [
        *("features.14", "Conv2d", "256x56x56", "65,792", "205,520,896", "32", "4", "features.13")
    ]
    assert rows["total"] == ["total", "133,638,952", "11,770,888,192"]
    assert rows["parameters"] == ["parameters", "133,638,952"]


def test_the_same_as_json() -> None:
    found = document("nets.resnet:cifar_resnet", "--arguments", '{"depth": 8}', "--input", "3x32x32")["architecture"]
    assert found["inputs"] == [[3, 32, 32]]
    assert found["outputs"] == [[10]]
    assert found["parameters"] == sum(layer["parameters"] for layer in found["layers"])
    assert found["multiply_adds"] == sum(layer["multiply_adds"] for layer in found["layers"])
    assert found["layers"][0] == {
        "name": "0",
        "kind": "Conv2d",
        "inputs": ["input"],
        "shape": [16, 32, 32],
        "parameters": 432,
        "multiply_adds": 442_368,
        "field": [3.0, 3.0],
        "jump": [1.0, 1.0],
        "start": [0.0, 0.0],
    }


def test_a_model_folder_is_told_at_its_own_size(small_model: str) -> None:
    found = document(small_model)
    assert found["architecture"]["inputs"] == [[3, 28, 28]]
    assert found["architecture"]["outputs"] == [[3]]
    with pytest.raises(SpecError, match="a model folder has its own"):
        describe(small_model, Plain(), arguments="{}")


def test_a_net_that_cannot_run_is_told_all_the_same() -> None:
    facts = describe("nets.lenet:lenet5", Plain())
    assert facts["parameters"] == "61,706"
    assert "say which it takes" in facts["architecture"]
    assert describe("nets.lenet:lenet5", Plain(), "1x28x28")["parameters"] == "61,706"


@pytest.mark.parametrize(
    ("inputs", "arguments", "message"),
    [
        ("3x", None, "'3x' is not of the form 3x224x224"),
        ("3x0x4", None, "is not of the form"),
        ("3x16x16", None, "the net cannot take an input of 3x16x16"),
        (None, "[1]", "not a JSON object"),
        (None, "{", "not JSON"),
    ],
)
def test_wrong_words(inputs: str | None, arguments: str | None, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        describe("nets.vgg:vgg_a", Plain(), inputs, arguments)


def test_a_net_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "shown_of_my_own.py").write_text(
        "def build():\n    import torch\n    return torch.nn.Conv2d(3, 4, 3)\n"
    )
    found = document("shown_of_my_own:build", "--code", str(tmp_path / "code"), "--input", "3x8x8")["architecture"]
    assert (found["parameters"], found["multiply_adds"]) == (112, 36 * 4 * 27)
