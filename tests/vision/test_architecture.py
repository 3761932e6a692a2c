"""The architecture report: any module that runs, several inputs and outputs, nothing that costs memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from vision import names
from vision.architecture import DoesNotRun, report


class ManyModes(nn.Module):
    """A picture at two scales and a vector of another kind; two heads that share their last weights."""

    def __init__(self) -> None:
        super().__init__()
        self.fine, self.coarse = nn.Conv2d(3, 32, 3, padding=1), nn.Conv2d(3, 32, 3, 2, 1)
        self.words = nn.Linear(10, 32)
        self.classes, self.places = nn.Linear(96, 7), nn.Linear(96, 2)

    def forward(self, picture: torch.Tensor, words: torch.Tensor) -> dict[str, torch.Tensor]:
        small = nn.functional.avg_pool2d(picture, 2)
        seen = torch.cat([self.fine(picture).mean((2, 3)), self.coarse(small).mean((2, 3)), self.words(words)], 1)
        return {"label": self.classes(seen), "place": self.places(seen)}


def test_a_graph_of_several_inputs_and_outputs() -> None:
    found = report(ManyModes, [(3, 20, 20), (10,)])
    assert found.outputs == ((7,), (2,))
    assert found["fine"].inputs == ("input 1",)
    assert found["coarse"].inputs == ("avg_pool2d",)
    assert found["words"].inputs == ("input 2",)
    assert found["cat"].inputs == ("mean", "mean (2)", "words")
    assert found["classes"].inputs == found["places"].inputs == ("cat",)
    assert found["coarse"].jump == (4, 4)
    assert found["words"].field is None
    assert found.macs == 400 * 32 * 27 + 25 * 32 * 27 + 320 + 96 * 9


def test_the_shapes_of_a_patch_network() -> None:
    """25x25 pixels through 5x5 filters and poolings: 21x21x32, 10x10x64, 5x5x64, then 1,600 values for full layers."""
    conv = [nn.Conv2d(1, 32, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU()]
    net = nn.Sequential(*conv, nn.MaxPool2d(2), nn.Conv2d(64, 64, 3, padding=1), nn.Flatten(), nn.Linear(1600, 3072))
    found = report(lambda: net, [(1, 25, 25)])
    shapes = [layer.shape for layer in found.layers if layer.kind in ("Conv2d", "Linear")]
    assert shapes == [(32, 21, 21), (64, 10, 10), (64, 5, 5), (3072,)]


def test_shared_weights_are_counted_once_and_used_twice() -> None:
    shared = nn.Linear(8, 8, bias=False)
    found = report(lambda: nn.Sequential(shared, nn.ReLU(), shared), [(8,)])
    assert (found.parameters, found.macs) == (64, 128)
    assert [layer.name for layer in found.layers] == ["0", "1", "0 (2)"]


def test_heads_of_training_are_told_as_not_run() -> None:
    found = report(lambda: names.net("nets.googlenet:googlenet", {}), [(3, 224, 224)])
    idle = [layer for layer in found.layers if layer.shape is None]
    assert {layer.name.split(".")[0] for layer in idle} == {"aux1", "aux2"}
    assert sum(layer.parameters for layer in idle) == 13_004_888 - 6_624_904
    assert any("not run" in row for row in found.table())


def test_tokens_see_the_picture_once_they_have_met() -> None:
    found = report(lambda: names.net("torchvision.models:vit_b_16", {}), [(3, 224, 224)])
    assert found["conv_proj"].field == (16, 16)
    assert found["encoder.layers.encoder_layer_0.ln_1"].field == (16, 16)
    assert found["heads.head"].field == (224, 224)


def test_fully_convolutional_layers_in_the_other_order_of_axes_keep_their_grid() -> None:
    found = report(lambda: names.net("torchvision.models:convnext_tiny", {}), [(3, 224, 224)])
    assert found["features.1.0.block.0"].field == (4 + 6 * 4,) * 2
    assert found["features.1.1.block.0"].jump == (4, 4)
    assert found["features.7.2.block.0"].jump == (32, 32)


class Reading(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(x) if float(x.sum()) == 0 else x


def test_a_net_that_reads_its_values_runs_on_the_cpu() -> None:
    assert report(Reading, [(4,)]).macs == 8


def test_a_module_and_its_mode_are_left_as_they_were() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout())
    report(lambda: net.to("meta"), [(3, 8, 8)])
    assert net.training
    assert not net[0]._forward_hooks
    assert not net[0]._forward_pre_hooks


def test_inputs_that_do_not_fit_are_one_line() -> None:
    with pytest.raises(DoesNotRun, match=r"the net cannot take an input of 3x224x224: .*to have 1 channels"):
        report(lambda: names.net("nets.lenet:lenet5", {}), [(3, 224, 224)])
    with pytest.raises(ValueError, match="did you mean vgg_c"):
        report(lambda: names.net("nets.vgg:vgg_cc", {}), [(3, 224, 224)])


def test_the_largest_net_takes_no_memory() -> None:
    """VGG-E's weights alone would be 575 MB."""
    program = """
import resource
from vision import names
from vision.architecture import report
import torchvision
with __import__("torch").device("meta"): torchvision.models.alexnet()
report(lambda: names.net("nets.lenet:lenet5", {}), [(1, 28, 28)])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = report(lambda: names.net("nets.vgg:vgg_e", {}), [(3, 224, 224)])
assert found.parameters == 143_667_240
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 100_000
