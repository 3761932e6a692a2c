"""Multiply-adds of one operation of torch, from its shapes.

A multiply-add is one multiplication with its addition. Weights that are shared are used at every position, so a
layer's multiply-adds are not its parameters: 1,024 filters of 1x1 over 64 channels have 65,536 weights, and on 13x13
positions 11,075,584 multiply-adds. Biases, normalisation, activations and poolings are not counted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_PRODUCTS = {
    "mm": ("self", "mat2"),
    "addmm": ("mat1", "mat2"),
    "bmm": ("self", "mat2"),
    "baddbmm": ("batch1", "batch2"),
}


def multiply_adds(name: str, call: Mapping[str, Any], output: Any) -> int:
    """Multiply-adds of an operation; 0 for those that are not counted.

    Args:
        name: of the operation in ATen, without its overload.
        call: its arguments by name.
        output: what it returned.
    """
    if name == "convolution":
        weight = call["weight"]
        # A transposed convolution uses its kernel once for each input; weights are (in, out / groups, ...) there.
        positions = call["input"] if call["transposed"] else output
        return int(positions.numel() * math.prod(weight.shape[1:]))
    if name in _PRODUCTS:
        left, right = (call[key] for key in _PRODUCTS[name])
        return int(left.numel()) * int(right.shape[-1])
    if "scaled_dot_product" in name:
        query, key, value = (call[n] for n in ("query", "key", "value"))
        pairs = math.prod(query.shape[:-1]) * int(key.shape[-2])
        return int(pairs) * (int(query.shape[-1]) + int(value.shape[-1]))
    return 0
