"""Blocks of a trained net taken out, or put in each other's place, to see what still works.

A net with skips is an ensemble of many shallow paths, of which one block less takes away half at most and leaves the
others as they were: its error grows smoothly with the blocks that are gone. A chain has one path.

A block is a part with convolutions whose output has the shape of its input, so that the net still runs without it: a
residual unit, or the two convolutions that stand in its place in a plain net. A net that has no such parts, as VGG,
is taken apart by single convolutions. The units in which a residual net changes its width are never taken.

Reference: Veit, Wilber & Belongie, "Residual networks behave like ensembles of relatively shallow networks", NIPS 2016.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vision import draws

if TYPE_CHECKING:
    import torch

MANNERS = ("delete", "shuffle")


@dataclass(frozen=True)
class Block:
    """A part of a net that may go: its name, and the (C, H, W) that goes in and comes out."""

    name: str
    shape: tuple[int, ...]


def blocks(net: torch.nn.Module, size: tuple[int, int], channels: int = 3) -> list[Block]:
    """The blocks of a net, in the order in which they run.

    Args:
        size: (height, width) of its pictures.
    """
    shapes = _shapes(net, (channels, *size))
    units = [name for name in _units(net) if name in shapes]
    leaves = [name for name, module in net.named_modules() if name in shapes and _is_convolution(module)]
    found = [name for name in shapes if name in units] or [name for name in shapes if name in leaves]
    return [Block(name, shapes[name]) for name in found]


def lesioned(net: torch.nn.Module, found: list[Block], manner: str, count: int, seed: int) -> torch.nn.Module:
    """A copy of a net with some of its blocks gone or moved.

    Args:
        found: its blocks.
        manner: "delete" (`count` blocks, drawn, hand on what they get) or "shuffle" (`count` times two blocks of one
            shape, drawn, change places).

    Raises:
        ValueError: if there is no such manner, or fewer blocks than `count`.
    """
    check(found, manner, count)
    hurt = copy.deepcopy(net)
    _HURTS[manner](hurt, found, count, seed)
    return hurt


def check(found: list[Block], manner: str, count: int) -> None:
    """Refuse a lesion that the blocks do not allow.

    Raises:
        ValueError: saying why.
    """
    if manner not in MANNERS:
        raise ValueError(f"lesion {manner!r} is not one of {', '.join(MANNERS)}")
    if not found:
        raise ValueError("the net has no block whose output has the shape of its input")
    if manner == "delete" and count > len(found):
        raise ValueError(f"{count} blocks are more than the {len(found)} that the net can lose")
    if manner == "shuffle" and count and not _pairs(found):
        raise ValueError("the net has no two blocks of one shape that could change places")


def _delete(net: torch.nn.Module, found: list[Block], count: int, seed: int) -> None:
    from torch import nn

    for place in draws.permutation(len(found), seed)[:count]:
        _put(net, found[int(place)].name, nn.Identity())


def _shuffle(net: torch.nn.Module, found: list[Block], count: int, seed: int) -> None:
    pairs = _pairs(found)
    for turn in range(count):
        one, other = pairs[int(draws.permutation(len(pairs), seed, turn)[0])]
        first, second = net.get_submodule(one.name), net.get_submodule(other.name)
        _put(net, one.name, second)
        _put(net, other.name, first)


_HURTS: dict[str, Callable[[Any, list[Block], int, int], None]] = {"delete": _delete, "shuffle": _shuffle}


def _pairs(found: list[Block]) -> list[tuple[Block, Block]]:
    return [(a, b) for n, a in enumerate(found) for b in found[n + 1 :] if a.shape == b.shape]


def _put(net: torch.nn.Module, name: str, module: torch.nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(net.get_submodule(parent), child, module)


def _units(net: torch.nn.Module) -> list[str]:
    """Parts that are looked at whole: what is no plain sequence, and sequences of single layers with a convolution."""
    found: list[str] = []
    open_: list[tuple[str, Any]] = [("", net)]
    while open_:
        name, module = open_.pop()
        if name and _is_unit(module):
            found.append(name)
            continue
        if not name or type(module).__name__ in ("Sequential", "ModuleList"):
            open_ += [(f"{name}.{child}" if name else child, part) for child, part in module.named_children()]
    return found


def _is_unit(module: torch.nn.Module) -> bool:
    """Several layers with at least one convolution, of which none holds others, or anything that is no sequence."""
    children = list(module.children())
    inside = sum(_is_convolution(part) for part in module.modules())
    if not children or not inside:
        return False
    flat = not any(True for child in children for _ in child.children())
    # VGG's whole body is one flat sequence, with poolings inside: no unit.
    pools = any("Pool" in type(child).__name__ for child in children)
    return (flat and not pools) or type(module).__name__ != "Sequential"


def _is_convolution(module: torch.nn.Module) -> bool:
    from torch import nn

    return isinstance(module, nn.Conv2d)


def _shapes(net: torch.nn.Module, given: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """(C, H, W) of each part whose output is shaped as its input, in the order in which they ran."""
    import torch

    found: dict[str, tuple[int, ...]] = {}
    hooks = [module.register_forward_hook(_noter(name, found)) for name, module in net.named_modules() if name]
    try:
        with torch.inference_mode():
            net.eval()(torch.zeros(1, *given))
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _noter(name: str, found: dict[str, tuple[int, ...]]) -> Callable[[Any, Any, Any], None]:
    def note(_module: Any, inputs: Any, output: Any) -> None:
        same = len(inputs) == 1 and getattr(output, "shape", None) == inputs[0].shape
        if same and output.ndim == 4:
            found[name] = tuple(output.shape[1:])

    return note
