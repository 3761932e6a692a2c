"""U-Nets: published counts, sizes, and what an output depends on."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from vision import names
from vision.nets.unet import PAPER, unet, unet2d, unet3d, unet_2015


def parameters(net: torch.nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def units(before: int, filters: int, kernel: int, shortcut: bool) -> int:
    """Weights of two convolutions with norms, and of the shortcut where widths differ."""
    own = kernel * before * filters + kernel * filters**2 + 4 * filters
    return own + (filters * (before + 1) if shortcut and before != filters else 0)


def counted(width: int, depth: int, kernel: int, classes: int) -> int:
    """The parameters of a residual U-Net whose maps are added, from its layers."""
    widths = [width * 2**level for level in range(depth + 1)]
    down = sum(units(before, own, kernel, True) for before, own in zip([1, *widths], widths, strict=False))
    up = sum(units(own, own, kernel, True) + own * (2 * own + 1) for own in widths[:-1])
    return down + up + classes * (width + 1)


def test_the_paper_s_net_has_its_sizes_and_its_31_million_parameters() -> None:
    with torch.device("meta"):
        net = unet_2015()
        assert parameters(net) == 31_030_658
        assert net(torch.zeros(1, 1, 572, 572)).shape == (1, 2, 388, 388)
        assert net(torch.zeros(1, 1, 188, 204)).shape == (1, 2, 4, 20)
    by_hand = 0
    for before, own in zip([1, *PAPER], PAPER, strict=False):
        by_hand += 9 * before * own + own + 9 * own * own + own
    for own in PAPER[:-1]:  # up by 2 x 2, then two convolutions on both ways' maps
        by_hand += 4 * 2 * own * own + own + 9 * 2 * own * own + own + 9 * own * own + own
    assert by_hand + 2 * 65 == 31_030_658


@pytest.mark.parametrize(("width", "depth", "classes"), [(16, 3, 1), (8, 2, 3), (12, 4, 2)])
def test_small_nets_have_the_parameters_of_their_layers(width: int, depth: int, classes: int) -> None:
    with torch.device("meta"):
        assert parameters(unet(classes, 1, width, depth, 2)) == counted(width, depth, 9, classes)
        assert parameters(unet(classes, 1, width, depth, 3)) == counted(width, depth, 27, classes)


def test_counts_that_the_docs_name() -> None:
    with torch.device("meta"):
        assert parameters(unet2d()) == 412_817
        assert parameters(unet3d()) == 289_811
        assert parameters(unet3d(flat=1)) == 275_699


@pytest.mark.parametrize(
    ("arguments", "shape"),
    [
        ({"width": 4}, (2, 1, 40, 24)),
        ({"width": 4, "residual": False, "join": "concatenate", "classes": 2}, (1, 1, 16, 16)),
        ({"width": 4, "dimensions": 3, "depth": 2, "classes": 3}, (1, 1, 8, 12, 16)),
        ({"width": 4, "dimensions": 3, "depth": 2, "flat": 2}, (1, 1, 3, 12, 16)),
        ({"width": 4, "dimensions": 3, "depth": 2, "flat": 1, "join": "concatenate"}, (1, 1, 6, 12, 16)),
    ],
)
def test_the_output_is_as_large_as_the_input(arguments: dict[str, Any], shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    net = names.net("nets.unet:unet", arguments).eval()
    with torch.no_grad():
        found = net(torch.randn(shape))
    assert found.shape == (shape[0], arguments.get("classes", 1), *shape[2:])
    assert float(found.std()) > 0


def test_a_flat_net_does_not_look_into_other_sections() -> None:
    torch.manual_seed(0)
    volume = torch.randn(1, 1, 6, 8, 8)
    other = volume.clone()
    other[:, :, 3] += 1
    for flat, same in ((2, True), (1, False)):
        net = unet3d(1, 4, 2, flat=flat).eval()
        with torch.no_grad():
            first, second = net(volume), net(other)
        assert torch.equal(first[:, :, 0], second[:, :, 0]) is same
        assert not torch.equal(first[:, :, 3], second[:, :, 3])


@pytest.mark.parametrize(
    "arguments", [{"dimensions": 4}, {"join": "multiply"}, {"depth": 0}, {"flat": 1}, {"dimensions": 3, "flat": 4}]
)
def test_arguments_that_make_no_sense_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="a U-Net"):
        unet(**arguments)
