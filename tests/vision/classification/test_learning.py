"""What a classifier learns from: the cost of outputs, with auxiliary heads where a net has some."""

from __future__ import annotations

from collections import namedtuple

import pytest
import torch
from torch.nn import functional

from vision import names
from vision.classification.learning import Objective
from vision.schedules import Schedule
from vision.training import Batch, Micro, Recipe, Step

COSTS = Objective(3, ("a", "b", "c"))


def test_auxiliary_heads_cost_three_tenths_each() -> None:
    drawn = torch.Generator().manual_seed(0)
    last, second, first = (torch.randn(4, 3, generator=drawn) for _ in range(3))
    targets = torch.tensor([0, 2, 1, -1])
    losses = [functional.cross_entropy(one[:3], targets[:3], reduction="sum") for one in (last, second, first)]
    total, right = COSTS.loss((last, second, first), targets)
    assert total == pytest.approx(float(losses[0] + 0.3 * losses[1] + 0.3 * losses[2]))
    assert right.item() == (last[:3].argmax(dim=1) == targets[:3]).sum().item(), "heads do not vote"
    alone, _ = COSTS.loss(last, targets)
    assert alone == pytest.approx(float(losses[0]))
    named = namedtuple("named", "logits aux2 aux1")
    assert COSTS.loss(named(last, None, None), targets)[0] == alone, "a net without its heads"


def test_googlenet_learns_by_its_heads() -> None:
    """One step with a rate of 0 leaves the weights, and says the loss of all three heads; all of them get gradients."""
    torch.manual_seed(0)
    net = names.net("nets.googlenet:googlenet", {"classes": 3})
    net.aux1.dropout.p = net.aux2.dropout.p = net.dropout.p = 0.0
    inputs, targets = torch.randn(2, 3, 64, 64), torch.tensor([0, 2])
    heads = net.train()(inputs)
    assert len(heads) == 3
    expected = sum(
        weight * functional.cross_entropy(head, targets).item()
        for weight, head in zip((1, 0.3, 0.3), heads, strict=True)
    )
    step = Step(net, COSTS, Recipe(Schedule("constant", 0.0, 1)))
    said = step(Batch(0, rows=2, micros=1), [Micro(0, inputs, targets)])
    assert said[0].item() == pytest.approx(expected, rel=1e-4)
    for head in (net.aux1, net.aux2, net.fc):
        assert max(float(p.grad.abs().max()) for p in head.parameters()) > 0
