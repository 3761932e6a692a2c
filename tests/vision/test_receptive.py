"""Receptive fields against the gradient: which pixels of the input a position depends on."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from vision import names
from vision.architecture import report
from vision.receptive import Span, output_side


def test_small_filters() -> None:
    """Two 3x3 layers see 5x5, three 7x7, with 27 in place of 49 weights for each pair of channels."""
    two = Span().window(3, padding=1).window(3, padding=1)
    assert (Span().window(3).size, two.size, two.window(3, padding=1).size) == (3, 5, 7)
    stacked = report(lambda: nn.Sequential(*(nn.Conv2d(8, 8, 3, bias=False) for _ in range(3))), [(8, 32, 32)])
    single = report(lambda: nn.Conv2d(8, 8, 7, bias=False), [(8, 32, 32)])
    assert stacked.layers[-1].field == single.layers[-1].field == (7, 7)
    assert (stacked.parameters // 64, single.parameters // 64) == (27, 49)


def test_output_sides() -> None:
    assert [output_side(7, 3), output_side(7, 3, 2), output_side(7, 3, padding=1)] == [5, 3, 7]
    for side, kernel, stride, padding, dilation in ((224, 11, 4, 2, 1), (55, 3, 2, 0, 1), (33, 3, 2, 4, 3)):
        with torch.device("meta"):
            given = nn.Conv2d(1, 1, kernel, stride, padding, dilation)(torch.zeros(1, 1, side, side))
        assert output_side(side, kernel, stride, padding, dilation) == given.shape[-1]
    with pytest.raises(ValueError, match="a window of 9"):
        output_side(7, 9)


def smoothed(net: nn.Module) -> nn.Module:
    """Every weight positive and no maximum, so that a gradient is above 0 wherever it is not cut off."""
    for module in net.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.MaxPool2d):
                pooled = nn.AvgPool2d(child.kernel_size, child.stride, child.padding, ceil_mode=child.ceil_mode)
                setattr(module, name, pooled)
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return net.double().eval()


class Reached(Exception):
    """Carries a layer's output out of the net: what comes behind it need not run."""


def reached(net: nn.Module, layer: str, side: int, at: int) -> tuple[int, int]:
    """First and last row of the input on which row `at` of a layer's output depends."""

    def keep(_module: nn.Module, _given: object, output: torch.Tensor) -> None:
        raise Reached(output)

    handle = net.get_submodule(layer).register_forward_hook(keep)
    picture = torch.ones(1, 3, side, side, dtype=torch.float64, requires_grad=True)
    with pytest.raises(Reached) as stopped:
        net(picture)
    handle.remove()
    output = stopped.value.args[0]
    (gradient,) = torch.autograd.grad(output[0, :, at, output.shape[3] // 2].sum(), picture)
    rows = gradient[0].sum((0, 2)).nonzero().flatten()
    return int(rows[0]), int(rows[-1])


@pytest.mark.parametrize(
    ("name", "layer", "side", "field"),
    [
        ("nets.alexnet:alexnet", "features.12", 352, 195),
        ("nets.vgg:vgg_a", "features.15", 128, 70),
        ("nets.vgg:vgg_c", "features.22", 128, 68),
        ("nets.resnet:resnet20", "11.1", 128, 81),
        ("nets.resnet:plain20", "11.5", 128, 81),
        ("nets.resnet:resnet18", "layer3.1.conv2", 256, 211),
        ("nets.googlenet:googlenet", "inception4b.branch2.1.conv", 288, 139),
        ("nets.googlenet:googlenet", "maxpool3", 160, 75),
    ],
)
def test_fields_of_nets(name: str, layer: str, side: int, field: int) -> None:
    found = report(lambda: names.net(name, {"classes": 2}), [(3, side, side)])
    # A module that runs twice, such as a ReLU, has a row for each time.
    told = next(row for row in reversed(found.layers) if row.name.split(" ")[0] == layer)
    assert told.shape and told.field and told.jump and told.start
    assert told.field == (field, field)
    net = smoothed(names.net(name, {"classes": 2}))
    middle = told.shape[1] // 2
    low, high = reached(net, layer, side, middle)
    assert high - low + 1 == field
    assert (low + high) / 2 == told.start[0] + middle * told.jump[0]


def test_fields_of_the_vgg_nets() -> None:
    for column, field in (("a", 150), ("b", 156), ("c", 156), ("d", 212), ("e", 268)):
        found = report(lambda column=column: names.net(f"nets.vgg:vgg_{column}", {}), [(3, 224, 224)])
        told = found["avgpool"]
        assert (told.field, told.jump) == ((field, field), (32, 32))


class Odd(nn.Module):
    """Dilation, a transposed convolution, slices, an even kernel and branches that do not lie over one another."""

    def __init__(self) -> None:
        super().__init__()
        self.dilated = nn.Conv2d(3, 2, 3, dilation=3, padding=2)
        self.even = nn.Conv2d(2, 2, 2, padding=1)
        self.up = nn.ConvTranspose2d(2, 2, 3, stride=2, padding=1, output_padding=1)
        self.last = nn.Conv2d(4, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = self.dilated(x)
        shifted = nn.functional.pad(self.even(wide)[:, :, 1:, 1:], (0, 0, 3, -3))
        both = torch.cat([wide[:, :, ::2, ::2], shifted[:, :, ::2, ::2]], 1)
        return self.last(both).contiguous()


def test_fields_of_odd_nets() -> None:
    found = report(Odd, [(3, 40, 40)])
    told = found["last"]
    assert told.field and told.start and told.jump
    low, high = reached(smoothed(Odd()), "last", 40, 8)
    assert (told.field[0], told.jump) == (high - low + 1, (2, 2))
    assert told.start[0] + 8 * told.jump[0] == (low + high) / 2


def test_the_widest_position_of_a_transposed_convolution() -> None:
    def build() -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(3, 2, 3, 2, 1), nn.ConvTranspose2d(2, 2, 3, 2, 1, 1))

    told = report(build, [(3, 32, 32)])["1"]
    ends = [reached(smoothed(build()), "1", 32, at) for at in (14, 15)]
    assert told.field == (max(high - low + 1 for low, high in ends),) * 2 == (5, 5)
    assert told.jump == (1, 1)
