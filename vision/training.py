"""The plain loop: batches in, losses out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def fit(
    net: torch.nn.Module, inputs: torch.Tensor, labels: torch.Tensor, epochs: int, seed: int, batch: int = 64
) -> Iterator[float]:
    """Train a classifier on tensors in memory with Adam, and yield the mean loss of each epoch.

    Args:
        net: trained in place.
        inputs: (N, 3, h, w) float32, normalised.
        labels: (N,) int64.
        seed: of the order in which the records come.
    """
    import torch

    order = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    net.train()
    for _ in range(epochs):
        total = 0.0
        shuffled = torch.randperm(len(inputs), generator=order)
        for start in range(0, len(inputs), batch):
            rows = shuffled[start : start + batch]
            loss = torch.nn.functional.cross_entropy(net(inputs[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.item() * len(rows)
        yield total / len(inputs)
    net.eval()
