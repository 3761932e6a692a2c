"""Running statistics of batch norms, kept as if all micro-batches of a step had come in order in one process.

A norm with momentum m turns its buffer r into (1 - m) r + m s for each micro-batch with statistics s. That is linear:
after K micro-batches r is (1 - m)^K r + sum over j of (1 - m)^(K - 1 - j) m s_j. A worker that saw k of them in a row
from the same r knows its own part, c = r_worker - (1 - m)^k r, to be weighted with (1 - m) to the power of how many
micro-batches come after its own. So one sum over workers, with the gradients, gives what one process would have, but
for the rounding of a few additions in float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_BUFFERS = ("running_mean", "running_var")


class Running:
    """The running statistics of a net's norms that are trained, as one vector.

    Args:
        net: in training mode; norms in evaluation mode keep their statistics and are left out.

    Raises:
        ValueError: if a norm averages over all batches it ever saw (momentum None), which is not linear.
    """

    def __init__(self, net: torch.nn.Module) -> None:
        import torch

        self._norms: list[Any] = [module for module in net.modules() if is_norm(module) and module.training]
        if any(norm.momentum is None for norm in self._norms):
            raise ValueError("a batch norm with momentum None (a cumulative average) cannot be trained on workers")
        self._tensors = [norm.get_buffer(name) for norm in self._norms for name in _BUFFERS]
        kept = [torch.full_like(norm.get_buffer(name), 1 - norm.momentum) for norm in self._norms for name in _BUFFERS]
        self._keep = torch.cat(kept) if kept else torch.empty(0)
        self.size = len(self._keep)

    def read(self) -> torch.Tensor:
        """(size,) float32: all statistics as they are."""
        import torch

        return torch.cat(self._tensors) if self._tensors else torch.empty(0)

    def part(self, before: torch.Tensor, count: int, after: int) -> torch.Tensor:
        """(size,): what a worker adds to the statistics after a step.

        Args:
            before: what `read` gave before the step.
            count: micro-batches that this worker has seen since.
            after: micro-batches of the step that come after its own.
        """
        return (self.read() - self._keep**count * before) * self._keep**after

    def write(self, before: torch.Tensor, parts: torch.Tensor, seen: int, total: int) -> None:
        """Set the statistics.

        Args:
            before: what `read` gave before the step.
            parts: the sum of all workers' parts.
            seen, total: micro-batches of the step that this worker has seen, and all.
        """
        found = self._keep**total * before + parts
        start = 0
        for tensor in self._tensors:
            tensor.copy_(found[start : start + tensor.numel()].view_as(tensor))
            start += tensor.numel()
        for norm in self._norms:
            norm.num_batches_tracked += total - seen


def is_norm(module: Any) -> bool:
    """Whether a layer keeps running statistics."""
    from torch.nn.modules.batchnorm import _BatchNorm

    return isinstance(module, _BatchNorm) and module.track_running_stats
