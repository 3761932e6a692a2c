"""A net applied where it is: patches cut, normalised, answered in batches and blended on a device.

A block's grey levels travel there once, as they are stored, and its answers come back once, as bytes. Blending is in
whole numbers and so the very same as `tiles.Blend`; what the net says may differ in the last digits from what it says
of one patch at a time on a CPU, and in bfloat16 by about 1 of 255. So the device, its precision and the batch are part
of what decides an output. Batches are filled up to one shape and the device is held to one algorithm, so that a block
done again gives the same bytes.

While one worker reads or writes a block its part of the device rests, so that workers do well to share one
(`--gpus-per-worker 0.25`). On device="cpu" the same code runs, which is how it is tested; no GPU was measured.

Mvox a CPU-second of a U-Net of width 12 on sections, patches of 256 x 256, one thread of a Zen 5 core with
avx512_bf16 (machine shared): 0.31 one patch at a time, 0.45 four at once, in bfloat16 0.59 and 0.71, at most 2 of 255
apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from vision.accumulator import Array
from vision.connectomics.affinities import moved, moves
from vision.connectomics.blocks import Box, Zyx
from vision.connectomics.inference import Inference, View, first_of
from vision.connectomics.tiles import VALUES, Patch, Tiling
from vision.dimensions import memory_format
from vision.model import Model

if TYPE_CHECKING:
    import torch

Precision = Literal["fp32", "bf16"]

GPU_VOXELS = 2**22
"""Voxels of a batch on a GPU where the user asks for none: 2.5 GB of maps of a U-Net of width 12."""

KEPT_BYTES = 2**30
"""Answers of patches that are kept on the device for neighbouring blocks."""


@dataclass(frozen=True)
class Device:
    """Where a net works: `cpu` or `cuda`, in which numbers, on how many patches at once."""

    name: str = "cpu"
    precision: Precision = "fp32"
    batch: int = 1

    @classmethod
    def of(cls, name: str, patch: Zyx, precision: Precision | None = None, batch: int | None = None) -> Device:
        """A device with what is usual there: float32 and one patch on a CPU, bfloat16 and `GPU_VOXELS` on a GPU."""
        if name == "cpu":
            return cls(name, precision or "fp32", batch or 1)
        return cls(name, precision or "bf16", batch or max(1, GPU_VOXELS // math.prod(patch)))

    @property
    def usual(self) -> bool:
        """Whether it is the CPU with one patch at a time in float32, which `Inference` does without all this."""
        return self == Device()


def inference(
    model: Model, view: View, read: Callable[[Box], Array], device: Device, net: torch.nn.Module | None = None
) -> Inference:
    """A net at work on a device; see `Inference` for the arguments.

    Raises:
        ValueError: as `Inference`, or if there is no such device.
    """
    return Inference(model, view, read, net) if device.usual else Batches(model, view, read, device, net)


class Batches(Inference):
    """A net at work on a volume, many patches at once; see `Inference` for the arguments.

    Raises:
        ValueError: as `Inference`, or if there is no such device.
    """

    def __init__(
        self,
        model: Model,
        view: View,
        read: Callable[[Box], Array],
        device: Device,
        net: torch.nn.Module | None = None,
    ) -> None:
        import torch

        if device.name != "cpu" and not torch.cuda.is_available():
            raise ValueError(f"no GPU is to be had here for {device.name}: torch {torch.__version__} sees none")
        super().__init__(model, view, read, net)
        self._how, self._place = device, torch.device(device.name)
        self._net = self._net.to(self._place, memory_format=memory_format(self._net))
        self._answers: dict[Zyx, tuple[torch.Tensor, torch.Tensor]] = {}
        kept = (view.levels.mean, view.levels.spread, view.tiling.weights(view.weighting))
        self._mean, self._spread, self._weights = (torch.tensor(values, device=self._place) for values in kept)

    def answers(self, box: Box) -> Array:
        import torch

        tiling, wanted = self._view.tiling, list(self._view.tiling.patches(box))
        missing = [patch for patch in wanted if patch.read.begin not in self._answers]
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode())
            stack.enter_context(self._one_algorithm())
            sums = Sums(tiling, box, self.meaning.channels, self._weights)
            for patch in wanted:
                if patch.read.begin in self._answers:
                    sums.add(patch, *self._answers[patch.read.begin])
            for patch, answer in self._fresh(missing, tiling.reads(box)):
                sums.add(patch, *answer)
                self._remember(patch, answer)
            return sums.result()

    def _one_algorithm(self) -> Any:
        """cuDNN held to what gives the same digits each time, and float32 to float32."""
        import torch

        exact = self._how.precision == "fp32"
        return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=not exact)

    def _remember(self, patch: Patch, answer: tuple[torch.Tensor, torch.Tensor]) -> None:
        """Keep an answer for neighbouring blocks; the oldest go."""
        most = max(1, KEPT_BYTES // sum(part.nbytes for part in answer))
        while len(self._answers) >= most:
            del self._answers[next(iter(self._answers))]
        self._answers[patch.read.begin] = answer

    def _fresh(
        self, patches: Sequence[Patch], around: Box
    ) -> Iterator[tuple[Patch, tuple[torch.Tensor, torch.Tensor]]]:
        """Patches with their answers, a batch after the other."""
        if not patches:
            return
        image = self._grey(around)
        for start in range(0, len(patches), self._how.batch):
            some = patches[start : start + self._how.batch]
            found, known = self._of_batch(self._cut(image, around.begin, some))
            yield from zip(some, zip(found, known, strict=False), strict=False)

    def _grey(self, box: Box) -> torch.Tensor:
        """(Z, Y, X) float32 on the device, normalised there."""
        import torch

        values = self._read(box)
        bytes_ = values if values.dtype == np.uint8 else values.astype(np.int32)  # torch knows few unsigned types
        found = torch.from_numpy(np.ascontiguousarray(bytes_)).to(self._place)
        sections = slice(box.begin[0], box.end[0])
        mean, spread = (values[sections].view(-1, 1, 1) for values in (self._mean, self._spread))
        return torch.where(found > 0, (found.float() - mean) / spread, 0.0)

    def _cut(self, image: torch.Tensor, origin: Zyx, patches: Sequence[Patch]) -> torch.Tensor:
        """(B, Z, Y, X): patches, and zeros up to the size of a batch."""
        import torch

        tiling = self._view.tiling
        found = torch.zeros((self._how.batch, *tiling.patch), device=self._place)
        for row, patch in zip(found, patches, strict=False):
            z, y, x = (torch.from_numpy(at).to(self._place) for at in tiling.places(origin, patch))
            row.copy_(image[z[:, None, None], y[:, None], x])
        return found

    def _of_batch(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Probabilities averaged over views, and which are known: (B, C, Z, Y, X) float32 and bool."""
        import torch

        imaged = images.flatten(1).any(1).view(-1, 1, 1, 1, 1)
        shape = (len(images), self.meaning.channels, *images.shape[1:])
        blank = torch.full(shape, float(not self.meaning.offsets), device=self._place)
        if not bool(imaged.any()):  # not imaged: nothing is inside of a neuron
            return blank, torch.ones(shape, dtype=torch.bool, device=self._place)
        total, seen = torch.zeros(shape, device=self._place), torch.zeros(shape, dtype=torch.int32, device=self._place)
        for axes in self._flips:
            found, known = self._turned_back(self._probabilities(images.flip([axis + 1 for axis in axes])), axes)
            total += found * known
            seen += known
        return torch.where(imaged, total / seen.clamp(min=1), blank), (seen > 0) | ~imaged

    def _turned_back(self, found: torch.Tensor, axes: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
        """As `affinities.turned_back`, of a batch."""
        import torch

        values = found.flip([axis + 2 for axis in axes])
        known = torch.ones_like(values, dtype=torch.bool)
        for channel, axis, by in moves(self.meaning.offsets, axes):
            at, inside = (torch.from_numpy(part).to(self._place) for part in moved(values.shape[axis + 2], by))
            values[:, channel] = values[:, channel].index_select(axis + 1, at)
            known[:, channel] = inside.view([-1 if i == axis else 1 for i in range(3)])
        return values, known

    def _probabilities(self, images: torch.Tensor) -> torch.Tensor:
        """(B, C, Z, Y, X) of one view; what a net without padding does not answer for is 0."""
        import torch

        count, depth = images.shape[:2]
        inputs = images.flatten(0, 1)[:, None] if self._planar else images[:, None]
        with torch.autocast(self._place.type, dtype=torch.bfloat16, enabled=self._how.precision == "bf16"):
            logits = first_of(self._net(inputs.contiguous(memory_format=memory_format(self._net))))
        if self._planar:
            logits = logits.reshape(count, depth, *logits.shape[1:]).transpose(1, 2)
        self.forwards += 1
        lost = self._lost(tuple(logits.shape[1:]), tuple(images.shape[1:]))
        sides = [voxels for pair in reversed(lost) for voxels in pair]
        return torch.nn.functional.pad(torch.sigmoid(logits.float()), sides)


class Sums:
    """`tiles.Blend` on a device: the same sums in the same whole numbers. 16 bytes a voxel and channel.

    Args:
        weights: of the trusted part of a patch, on the device.
    """

    def __init__(self, tiling: Tiling, box: Box, channels: int, weights: torch.Tensor) -> None:
        import torch

        self._box, self._tiling, self._weights = box, tiling, weights
        shape = (channels, *box.shape)
        self._sums, self._seen = (torch.zeros(shape, dtype=torch.int64, device=weights.device) for _ in range(2))
        self._right = torch.ones((), dtype=torch.bool, device=weights.device)

    def add(self, patch: Patch, answer: torch.Tensor, known: torch.Tensor) -> None:
        """Add an answer (C, Z, Y, X) of a whole patch, 0..1, where it is known."""
        met = patch.write.meet(self._box)
        inside, here = (slice(None), *met.within(patch.read.begin)), (slice(None), *met.within(self._box.begin))
        values = (answer[inside].double() * VALUES).round()
        self._right &= ((values >= 0) & (values <= VALUES)).all()
        weights: Any = self._tiling.trusted_weights(self._weights, patch, met)  # type: ignore[arg-type]
        counted = weights * known[inside]
        self._sums[here] += counted * values.long()
        self._seen[here] += counted

    def result(self) -> Array:
        """(C, Z, Y, X) uint8 on the host, 255 = 1.

        Raises:
            ValueError: if a voxel was seen by no patch, or a value was no probability.
        """
        import torch

        if not bool(self._right):
            raise ValueError("a patch's answer must be probabilities in 0..1")
        if not bool(self._seen.all()):
            raise ValueError(f"{int((self._seen == 0).sum())} voxels of {self._box} were seen by no patch")
        whole = self._seen * VALUES
        found: Array = ((self._sums * 255 + whole // 2) // whole).to(torch.uint8).cpu().numpy()
        return found
