"""FCNs: published counts, and one pass that is the window classifier at every pixel."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from vision.nets.fcn import every_pixel, fcn, fcn8s, fcn16s, fcn32s, window


def parameters(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def test_counts_of_the_paper_s_nets() -> None:
    vgg, full = 14_714_688, 512 * 49 * 4096 + 4096 + 4096 * 4096 + 4096
    with torch.device("meta"):
        assert parameters(fcn32s()) == vgg + full + 4097 * 21 == 134_346_581
        assert parameters(fcn16s()) == 134_346_581 + 513 * 21
        assert parameters(fcn8s()) == 134_346_581 + 513 * 21 + 257 * 21
        assert fcn8s()(torch.zeros(1, 3, 100, 75)).shape == (1, 21, 100, 75)


def test_finer_strides_see_finer_detail() -> None:
    """The answer to one changed pixel is spread over about a stride; an FCN-8s tells places that a 32s cannot."""
    torch.manual_seed(0)
    shapes = {}
    for stride in (32, 16, 8):
        net = fcn(2, 1, stride, 16).eval()
        with torch.no_grad():
            found = net(torch.randn(1, 1, 64, 96))
        assert found.shape == (1, 2, 64, 96)
        # Second differences of a bilinear map are zero but at its knots, which lie a stride apart.
        knots = found.diff(n=2, dim=3).abs().amax(dim=(0, 1, 2)) > 1e-4 * float(found.abs().max())
        shapes[stride] = int(knots.sum())
    assert shapes[32] < shapes[16] < shapes[8]


@pytest.mark.parametrize("side", [19, 31])
def test_one_pass_is_the_net_at_every_window(side: int) -> None:
    torch.manual_seed(0)
    net = window(3, 2, side, 6).eval()
    picture = torch.randn(2, 2, side + 9, side + 14)
    with torch.no_grad():
        found = every_pixel(net)(picture)
        assert found.shape == (2, 3, 10, 15)
        for y in range(10):
            for x in range(15):
                cut = net(picture[:, :, y : y + side, x : x + side])
                torch.testing.assert_close(found[:, :, y, x], cut, rtol=1e-4, atol=1e-5)


def test_norms_and_dropout_are_kept() -> None:
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 4, 4), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3), nn.ReLU()]
    net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * 16, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 2))
    net(torch.randn(8, 1, 15, 15))  # norms that have seen something
    net.eval()
    picture = torch.randn(1, 1, 20, 18)
    with torch.no_grad():
        found = every_pixel(net)(picture)
        torch.testing.assert_close(found[:, :, 5, 3], net(picture[:, :, 5:20, 3:18]), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="in training averages over its batch"):
        every_pixel(net.train())


def test_nets_that_pad_are_refused() -> None:
    padded = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 64, 2))
    with pytest.raises(ValueError, match="pads or is dilated"):
        every_pixel(padded)
    with pytest.raises(ValueError, match="stride 32, 16 or 8"):
        fcn(stride=4)
    with pytest.raises(ValueError, match="the sides of a window"):
        window(side=30)
