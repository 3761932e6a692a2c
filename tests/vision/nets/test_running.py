"""Nets compute what they should: torchvision's answers with its weights, skips that skip, weights drawn as said."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torchvision
from torch import nn

from vision import names
from vision.nets.layers import branches, local_response_norm, padded_shortcut, residual_unit


@pytest.mark.parametrize(("column", "other"), [("a", "vgg11"), ("b", "vgg13"), ("d", "vgg16"), ("e", "vgg19")])
def test_vgg_has_the_layers_of_torchvision(column: str, other: str) -> None:
    with torch.device("meta"):
        ours = names.net(f"nets.vgg:vgg_{column}", {})
        theirs = getattr(torchvision.models, other)()
    shapes = [{k: tuple(v.shape) for k, v in net.state_dict().items()} for net in (ours, theirs)]
    assert shapes[0] == shapes[1]
    assert str(ours) == str(theirs)


def test_unknown_columns_depths_and_widths_are_refused() -> None:
    for name, arguments, message in (
        ("nets.vgg:vgg", {"column": "F"}, "column 'F' is not one of A, A-LRN"),
        ("nets.resnet:cifar_resnet", {"depth": 21}, "depth must be 6n \\+ 2"),
        ("nets.mobilenet:mobilenet_v1", {"width": 0}, "width must be above 0"),
    ):
        with pytest.raises(ValueError, match=message):
            names.net(name, arguments)


def test_local_response_normalisation_is_the_paper_s() -> None:
    x = torch.randn(2, 9, 3, 3, generator=torch.Generator().manual_seed(0)) * 30
    wanted = torch.empty_like(x)
    for channel in range(9):
        near = x[:, max(0, channel - 2) : channel + 3].square().sum(1)
        wanted[:, channel] = x[:, channel] / (2 + 1e-4 * near) ** 0.75
    torch.testing.assert_close(local_response_norm()(x), wanted)


def test_a_residual_unit_adds_and_option_a_pads_with_zeros() -> None:
    x = torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(residual_unit(nn.Conv2d(2, 2, 1).requires_grad_(False).apply(_zero))(x), x.relu())
    padded = padded_shortcut(3, 2)(x)
    assert torch.equal(padded[:, :2], x[:, :, ::2, ::2])
    assert padded.shape == (1, 5, 2, 2)
    assert not padded[:, 2:].any()
    with pytest.raises(ValueError, match="add or concatenate"):
        branches("multiply", one=nn.Identity())


def _zero(module: nn.Module) -> None:
    for parameter in module.parameters():
        parameter.zero_()


@pytest.mark.parametrize("name", ["resnet20", "plain20"])
def test_small_nets_learn(name: str) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = names.net(f"nets.resnet:{name}", {"classes": 3})
    inputs, labels = torch.randn(12, 3, 16, 16), torch.arange(12) % 3
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    losses = []
    for _ in range(12):
        loss = nn.functional.cross_entropy(net(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert all(p.grad is not None and bool(p.grad.any()) for p in net.parameters())
    assert losses[-1] < 0.5 * losses[0]


def test_a_plain_net_is_its_residual_twin_without_skips() -> None:
    torch.manual_seed(0)
    plain = names.net("nets.resnet:plain18", {}).eval()
    twin = names.net("nets.resnet:resnet18", {}).eval()
    left_over = twin.load_state_dict(plain.state_dict(), strict=False)
    assert left_over.unexpected_keys == []
    assert {key.split(".")[2] for key in left_over.missing_keys} == {"downsample"}
    block = plain.layer2[0]
    x = torch.randn(1, 64, 8, 8)
    with torch.no_grad():
        wanted = block.bn2(block.conv2(block.bn1(block.conv1(x)).relu())).relu()
        assert torch.equal(block(x), wanted)


def test_googlenet_gives_three_rows_of_logits_in_training() -> None:
    torch.manual_seed(0)
    net = names.net("nets.googlenet:googlenet", {"classes": 5})
    net.train()
    logits, second, first = net(torch.randn(2, 3, 64, 64))
    assert {tuple(part.shape) for part in (logits, second, first)} == {(2, 5)}
    assert net.eval()(torch.randn(2, 3, 64, 64)).shape == (2, 5)


def spread(layer: Any) -> float:
    return float(layer.weight.detach().std())


def test_weights_are_drawn_as_the_papers_say() -> None:
    torch.manual_seed(0)
    convolution = [m for m in names.net("nets.resnet:resnet20", {}).modules() if isinstance(m, nn.Conv2d)][-1]
    assert spread(convolution) == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.03)
    old = [m for m in names.net("nets.alexnet:alexnet_2012", {"classes": 7}).modules() if hasattr(m, "weight")]
    assert [spread(layer) for layer in old] == pytest.approx([0.01] * 8, rel=0.05)
    assert [float(layer.bias.detach().mean()) for layer in old] == [0, 1, 0, 1, 1, 1, 1, 0]


def test_nets_for_other_channels_and_classes() -> None:
    for name in ("vgg:vgg_c", "zeiler:zeiler_fergus", "mobilenet:mobilenet_v1", "resnet:plain20"):
        with torch.device("meta"):
            net = names.net(f"nets.{name}", {"classes": 7, "channels": 1}).eval()
            assert net(torch.zeros(2, 1, 224, 224)).shape == (2, 7)
