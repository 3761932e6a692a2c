"""Parts of a net that are not trained: none, all but the last layer, or everything up to a named layer.

Three regimes of transfer, by how much there is to learn from: with few pictures the last layer, with more the later
layers, with many all of them. Frozen norms keep their statistics: they see pictures as in inference.

References: Donahue et al., "DeCAF", ICML 2014; Razavian et al., "CNN features off-the-shelf", CVPR 2014 workshops.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

NONE, HEAD = "none", "all-but-head"


def freeze(net: torch.nn.Module, until: str) -> tuple[str, ...]:
    """Stop the training of a part of a net.

    Args:
        net: changed in place.
        until: "none", "all-but-head" (only the last layer with parameters is trained), or the name of a layer: it and
            all that the net defines before it is frozen.

    Returns:
        the names of the frozen layers, for `train`.

    Raises:
        ValueError: if there is no such layer, or nothing is left to train.
    """
    frozen = _chosen(net, [name for name, module in net.named_modules() if _own(module) or not _holds(module)], until)
    for name in frozen:
        for parameter in net.get_submodule(name).parameters(recurse=False):
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in net.parameters()):
        raise ValueError(f"freeze {until!r} leaves nothing to train")
    train(net, frozen)
    return frozen


def _chosen(net: torch.nn.Module, leaves: list[str], until: str) -> tuple[str, ...]:
    if until == NONE:
        return ()
    if until == HEAD:
        last = head(net)
        return tuple(name for name in leaves if name != last)
    inside = [i for i, name in enumerate(leaves) if name == until or name.startswith(until + ".")]
    if not inside:
        known = [name for name, _ in net.named_modules() if name]
        close = difflib.get_close_matches(until, known, n=1, cutoff=0.5)
        hint = f"; did you mean {close[0]}?" if close else f" ({', '.join(known[:8])}, ...)"
        raise ValueError(f"the net has no layer {until!r}{hint}")
    return tuple(leaves[: inside[-1] + 1])


def head(net: torch.nn.Module) -> str:
    """The name of the last layer that has parameters of its own."""
    names: list[str] = [name for name, module in net.named_modules() if _own(module)]
    return names[-1]


def _own(module: torch.nn.Module) -> bool:
    return any(True for _ in module.parameters(recurse=False))


def _holds(module: torch.nn.Module) -> bool:
    return any(True for _ in module.children())


def train(net: torch.nn.Module, frozen: tuple[str, ...]) -> None:
    """Put a net into training mode, but for what is frozen."""
    net.train()
    for name in frozen:
        # Not eval(), which would reach into layers inside it.
        net.get_submodule(name).training = False


def counts(net: torch.nn.Module) -> tuple[int, int]:
    """How many parameters are trained, and how many there are."""
    sizes = [(p.numel(), p.requires_grad) for p in net.parameters()]
    return sum(size for size, trained in sizes if trained), sum(size for size, _ in sizes)
