"""Whether a net takes pictures or volumes, told by its kernels, and how its weights then lie in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def dimensions(net: torch.nn.Module) -> int:
    """2 for nets of pictures (B, C, Y, X), 3 for nets of volumes (B, C, Z, Y, X)."""
    return 3 if any(parameter.ndim == 5 for parameter in net.parameters()) else 2


def memory_format(net: torch.nn.Module) -> torch.memory_format:
    """Channels last, which is the faster way for convolutions on a CPU and on a GPU."""
    import torch

    return torch.channels_last if dimensions(net) == 2 else torch.contiguous_format


def lost_by(net: torch.nn.Module, shape: tuple[int, ...]) -> tuple[int, ...]:
    """How many voxels a net's answer lacks on each side of each spatial axis, rounded up; 0 with padding.

    Args:
        shape: of one input, (C, Y, X) or (C, Z, Y, X).
    """
    import torch

    from vision.auxiliary import heads

    with torch.inference_mode():
        found = heads(net.eval()(torch.zeros(1, *shape)))[0][1]
    return tuple(-(-(full - own) // 2) for full, own in zip(shape[1:], found.shape[2:], strict=True))
