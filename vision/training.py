"""One step of training: the gradient of a global batch, cut into micro-batches, and one update.

The cut does not depend on how many workers there are. Each micro-batch is normalised by its own statistics, its loss
is divided by the size of the global batch, and gradients are added in halves of halves; then all workers' sums are
added in one all-reduce, with the running statistics of the norms and the loss behind the gradients in one vector. So
any number of workers computes the same step but for the rounding of float32 sums, and one and two workers the same
losses to the last bit. The cost is one vector of the size of the net over the network each step (VGG-16:
553 MB), not overlapped with the backward pass: measured at 1 ms for the 1.1 MB of a ResNet-20 on one machine.

Dropout is drawn anew for (seed, step, micro-batch), so that it too is the same anywhere.

Reference: Goyal et al., "Accurate, large minibatch SGD: training ImageNet in 1 hour", 2017 (statistics and loss per
worker there, per micro-batch here).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from vision import draws, freezing
from vision.norms import Running
from vision.optimisers import Average, optimiser
from vision.schedules import Schedule

if TYPE_CHECKING:
    import torch

AddUp = Callable[["torch.Tensor"], None]
"""Replaces a vector by its sum over all workers."""


class Costs(Protocol):
    """What a room says of outputs: a sum over rows, and further sums named `measured`."""

    @property
    def measured(self) -> tuple[str, ...]: ...

    def loss(self, outputs: Any, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]: ...


@dataclass(frozen=True)
class Recipe:
    """How a net is trained.

    Attributes:
        optimizer: a name of `vision.optimisers.NAMES`.
        decay: weight decay, not on norms and biases.
        clip: the greatest norm of the whole gradient; 0 leaves it.
        average: decay of the moving average of the weights; 0 keeps none.
        precision: "fp32", or "bf16" for forward and loss in bfloat16 with weights in float32.
    """

    schedule: Schedule
    optimizer: str = "sgd"
    decay: float = 0.0
    clip: float = 0.0
    average: float = 0.0
    precision: str = "fp32"
    seed: int = 0


@dataclass(frozen=True)
class Micro:
    """A micro-batch: its place in the global batch, (B, 3, h, w) inputs, normalised, and targets."""

    index: int
    inputs: torch.Tensor
    targets: torch.Tensor


@dataclass(frozen=True)
class Batch:
    """A global batch as a worker sees it: number of the step, all rows, all micro-batches, those after its own.

    `own` says how many are the worker's; None: all.
    """

    step: int
    rows: int
    micros: int
    after: int = 0
    own: int | None = None


class Step:
    """A net while it learns: gradients, statistics and loss lie in one vector, of which the gradients are views.

    Args:
        net: trained in place, where it is; frozen parts do not need gradients.
        costs: the loss.
        recipe: how.
        frozen: names of layers that stay in evaluation mode.
        add_up: sums over workers; without it there is one.

    Raises:
        ValueError: if the recipe or the net does not work.
    """

    def __init__(
        self,
        net: torch.nn.Module,
        costs: Costs,
        recipe: Recipe,
        frozen: tuple[str, ...] = (),
        add_up: AddUp | None = None,
    ) -> None:
        import torch

        freezing.train(net, frozen)
        self.net, self._costs, self.recipe, self._add_up = net, costs, recipe, add_up
        self._running = Running(net)
        self._trained = [p for p in net.parameters() if p.requires_grad]
        self._grads = sum(p.numel() for p in self._trained)
        size = self._grads + self._running.size + 1 + len(costs.measured)
        self._vector = torch.zeros(size, device=self._trained[0].device)
        self._place_gradients()
        self.optimizer = optimiser(recipe.optimizer, net, recipe.schedule.peak, recipe.decay)
        self.average = Average(net, recipe.average) if recipe.average else None

    def _place_gradients(self) -> None:
        """Have autograd add into the vector: nothing is copied together before the sum over workers."""
        start = 0
        for parameter in self._trained:
            strides, place = parameter.stride(), self._vector.storage_offset() + start
            parameter.grad = self._vector.as_strided(parameter.shape, strides, place)
            start += parameter.numel()

    def __call__(self, batch: Batch, micros: Iterable[Micro]) -> torch.Tensor:
        """Learn from one global batch.

        Args:
            batch: what it is.
            micros: this worker's part of it, in order; may be none.

        Returns:
            On the net's device: mean loss, means of what the room measures, norm of the gradient before clipping.
        """
        before = self._running.read() if self._add_up else None
        own = batch.micros if batch.own is None else batch.own
        self._learn(batch, iter(micros), own)
        if self._add_up and before is not None:
            self._combine(before, batch, own)
        return self._update(batch.step, self._vector[self._grads + self._running.size :])

    def _learn(self, batch: Batch, micros: Iterator[Micro], count: int) -> None:
        """Leave the sum over `count` micro-batches in the vector: of halves, so that two workers add as one does.

        In training a difference of one rounding grows tenfold in a few steps of a high learning rate.
        """
        if count > 1:
            self._learn(batch, micros, count // 2)
            first = self._vector.clone()
            self._learn(batch, micros, count - count // 2)
            self._vector.add_(first)
            return
        self._vector.zero_()
        if count:
            self._learn_one(batch, next(micros))

    def _learn_one(self, batch: Batch, micro: Micro) -> None:
        import torch

        torch.manual_seed(draws.key(self.recipe.seed, batch.step, micro.index))
        with self._cast():
            loss, measured = self._costs.loss(self.net(micro.inputs), micro.targets)
        loss = loss / batch.rows
        loss.backward()  # type: ignore[no-untyped-call]
        sums = self._vector[self._grads + self._running.size :]
        sums.copy_(torch.cat([loss.detach().view(1), measured / batch.rows]))

    def _combine(self, before: torch.Tensor, batch: Batch, seen: int) -> None:
        """The sum over workers, in one go."""
        assert self._add_up is not None
        parts = self._vector[self._grads : self._grads + self._running.size]
        parts.copy_(self._running.part(before, seen, batch.after))
        self._add_up(self._vector)
        self._running.write(before, parts, seen, batch.micros)

    def _update(self, step: int, sums: torch.Tensor) -> torch.Tensor:
        import torch

        gradient = self._vector[: self._grads]
        norm = gradient.norm()
        if self.recipe.clip:
            gradient.mul_((self.recipe.clip / (norm + 1e-6)).clamp(max=1.0))
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.schedule.rate(step)
        self.optimizer.step()
        if self.average:
            self.average.update(step)
        return torch.cat([sums, norm.view(1)])

    def _cast(self) -> AbstractContextManager[Any]:
        import torch

        if self.recipe.precision == "fp32":
            return nullcontext()
        return torch.autocast(self._vector.device.type, dtype=torch.bfloat16)


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
