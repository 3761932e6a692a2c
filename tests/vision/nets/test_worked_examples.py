"""Worked examples of the lectures, with their slips put right (see each test)."""

from __future__ import annotations

import math

import pytest
import torch
import torchvision
from torch import nn

from vision.architecture import report


def grid(*rows: list[float]) -> torch.Tensor:
    return torch.tensor([[list(map(float, row)) for row in rows]])


def test_max_pooling() -> None:
    given = grid([1, 1, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4])
    assert torch.equal(nn.functional.max_pool2d(given, 2, 2), grid([6, 8], [3, 4]))


def test_sides_of_a_convolution() -> None:
    def side(**options: int) -> tuple[int, ...] | None:
        return report(lambda: nn.Conv2d(1, 1, 3, **options), [(1, 7, 7)]).layers[0].shape

    assert [side(), side(stride=2), side(padding=1)] == [(1, 5, 5), (1, 3, 3), (1, 7, 7)]


def test_100_filters_of_10x10_on_a_megapixel() -> None:
    """10,000 parameters, a response of 1000 x 1000 x 100, and 10^10 multiply-adds."""
    found = report(lambda: nn.Conv2d(1, 100, 10, padding="same", bias=False), [(1, 1000, 1000)])
    assert found.parameters == 10_000
    assert found.outputs == ((100, 1000, 1000),)
    assert found.macs == 10**10


def test_the_gradient_of_a_shared_weight_is_summed_over_positions() -> None:
    generator = torch.Generator().manual_seed(0)
    picture = torch.randn(1, 1, 6, 6, generator=generator, dtype=torch.float64)
    kernel = torch.randn(1, 1, 3, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    nn.functional.conv2d(picture, kernel).sin().sum().backward()
    # A copy of the kernel for every position, none shared.
    patches = nn.functional.unfold(picture, 3)[0].T  # (16, 9)
    copies = kernel.detach().reshape(1, 9).repeat(16, 1).requires_grad_()
    (patches * copies).sum(1).sin().sum().backward()
    assert kernel.grad is not None and copies.grad is not None
    torch.testing.assert_close(kernel.grad.flatten(), copies.grad.sum(0))


def test_transposed_convolution_once_and_twice() -> None:
    """E2: the printed 6x6 map is two of them in a row. E1: its fourth row is 11 38 65 70 43 16."""
    ones = torch.ones(1, 1, 3, 3)
    once = nn.functional.conv_transpose2d(grid([1, 2], [3, 4])[None], ones)
    assert torch.equal(once[0], grid([1, 3, 3, 2], [4, 10, 10, 6], [4, 10, 10, 6], [3, 7, 7, 4]))
    twice = nn.functional.conv_transpose2d(once, ones)[0, 0]
    assert twice.shape == (6, 6)
    assert twice[3].tolist() == [11, 38, 65, 70, 43, 16]
    # A sum of stamps, written out.
    stamped = torch.zeros(6, 6)
    for y in range(4):
        for x in range(4):
            stamped[y : y + 3, x : x + 3] += once[0, 0, y, x]
    assert torch.equal(twice, stamped)


def test_region_pooling_names_height_before_width() -> None:
    """E6: a map of height 14 and width 21 to 7x7 is a pooling of 2 down and 3 across."""
    torch.manual_seed(0)
    features = torch.rand(1, 4, 14, 21)
    whole = torch.tensor([[0.0, 0.0, 0.0, 20.0, 13.0]])
    pooled = torchvision.ops.roi_pool(features, whole, (7, 7))
    assert torch.equal(pooled, nn.functional.max_pool2d(features, (2, 3), (2, 3)))


def test_cross_entropy_of_knowing_nothing() -> None:
    loss = nn.functional.cross_entropy(torch.zeros(4, 1000, dtype=torch.float64), torch.tensor([0, 1, 500, 999]))
    assert float(loss) == pytest.approx(math.log(1000), abs=1e-12) == pytest.approx(6.9078, abs=1e-4)
