"""Gradients layer by layer: the bound of sigmoids, explosions, and autograd as the oracle."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from vision import names
from vision.classification.learning import Objective
from vision.gradients import layer_gradients, with_activation

COSTS = Objective(10, tuple("abcdefghij"))
INPUTS = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(1))
TARGETS = torch.arange(8)


def chain(depth: int, activation: str, gain: float = 1.0) -> torch.nn.Module:
    torch.manual_seed(0)
    return with_activation(names.net("nets.chain:chain", {"depth": depth, "gain": gain}), activation)


@pytest.mark.parametrize("depth", [2, 6, 12])
def test_sigmoids_let_through_a_quarter_each_at_most(depth: int) -> None:
    layers = layer_gradients(chain(depth, "sigmoid"), INPUTS, TARGETS, COSTS)
    assert len(layers) == depth + 1
    assert [layer.squashed for layer in layers] == list(range(depth, -1, -1))
    assert layers[0].bound == 0.25**depth
    for layer in layers:
        assert 0 < layer.signal <= layer.bound * layers[-1].signal * (1 + 1e-5)
    assert layers[0].signal > layers[0].bound * layers[-1].signal / 2**depth, "near 0 the slope is near a quarter"


def test_relus_let_through_much_more_and_gain_explodes() -> None:
    def ratio(activation: str, gain: float = 1.0) -> float:
        layers = layer_gradients(chain(12, activation, gain), INPUTS, TARGETS, COSTS)
        return layers[0].signal / layers[-1].signal

    assert ratio("relu") > 1000 * ratio("sigmoid")
    assert ratio("identity", 2.0) > 100, "2 to the power of 12, but for what the first and the last layer turn away"
    assert ratio("identity", 0.5) < 0.01


def test_norms_are_those_of_autograd_also_behind_activations_in_place() -> None:
    torch.manual_seed(0)
    net = names.net("nets.resnet:plain20", {})
    layers = {layer.name: layer for layer in layer_gradients(net, INPUTS, TARGETS, COSTS)}
    first = net[0].weight.grad.clone()
    net.zero_grad()
    functional.cross_entropy(net(INPUTS), TARGETS).backward()
    assert layers["0"].weights == pytest.approx(float(net[0].weight.grad.norm()), rel=1e-5)
    assert torch.allclose(first, net[0].weight.grad)
    assert len(layers) == 20


def test_an_activation_replaced_is_gone() -> None:
    net = with_activation(names.net("nets.resnet:resnet20", {}), "sigmoid")
    kinds = {type(module).__name__ for module in net.modules()}
    assert "Sigmoid" in kinds and "ReLU" not in kinds
    with pytest.raises(ValueError, match="activation 'swish' is not one of as-built, relu"):
        with_activation(net, "swish")
    with pytest.raises(ValueError, match="no activation module"):
        with_activation(torch.nn.Linear(2, 2), "relu")
    with pytest.raises(ValueError, match="depth must be at least 1"):
        names.net("nets.chain:chain", {"depth": 0})
