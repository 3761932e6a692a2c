"""States added as a tournament: all of them once, and each in few merges."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest

from vision.summing import Summing


@dataclass(frozen=True)
class Heap:
    """A sum that remembers how large the merges were that made it."""

    total: int = 0
    size: int = 0
    cost: int = 0

    def merge(self, other: Heap) -> Heap:
        size = self.size + other.size
        return Heap(self.total + other.total, size, self.cost + other.cost + size)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 64, 1000])
def test_every_state_counts_once_and_is_merged_a_few_times(count: int) -> None:
    tables = Summing(Heap(number, 1) for number in range(count))
    found = tables.total(Heap())
    assert (found.total, found.size) == (sum(range(count)), count)
    assert tables.total(Heap()) == found
    assert found.cost <= count * (math.log2(count + 1) + 3)
