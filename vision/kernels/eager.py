"""Nets in torch: channels last, convolutions folded with their norms, one thread on a CPU.

On a GPU each calling thread has pinned memory and a stream of its own: while the device computes for one, pictures
of the next are copied as bytes, and normalised there.
"""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from vision.accumulator import Array
from vision.kernels.shapes import padded
from vision.model import Model


class Torch:
    """A net in float32, or in bfloat16 where the processor has it.

    Args:
        precision: "fp32"; anything else is bfloat16 throughout.
        embedding: a layer whose output is given back too; then nothing is folded, for layers keep their names.
        whole: take pictures of any size, those of one call alike, and average the net's map of scores.
        inductor: compile the net with torch.compile, before the first answer. Reference: Ansel et al., "PyTorch 2",
            ASPLOS 2024.

    Raises:
        ValueError: if there is no layer `embedding`, no bfloat16 on this CPU, the net knows one size only, or it cannot
            be compiled.
    """

    def __init__(
        self,
        model: Model,
        device: str,
        batch: int,
        precision: str = "fp32",
        embedding: str | None = None,
        *,
        fold: bool = True,
        whole: bool = False,
        inductor: bool = False,
    ) -> None:
        import torch

        # A second thread changes nothing but the order of sums, and fights with the other replicas.
        torch.set_num_threads(1)
        self._device, self._batch = torch.device(device), batch
        self._type = torch.float32 if precision == "fp32" else torch.bfloat16
        if precision != "fp32" and device == "cpu" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
            raise ValueError("this CPU has no bfloat16: use precision fp32")
        net: Any = for_any_size(model) if whole else model.build()
        net = folded(net) if fold and not embedding else net
        self._net = net.to(self._device, self._type, memory_format=torch.channels_last)
        statistics = (model.preprocessing.mean, model.preprocessing.std)
        self._mean, self._std = (torch.tensor(s, device=self._device).view(1, 3, 1, 1) for s in statistics)
        self._bgr = model.preprocessing.order == "BGR"
        self._seen: list[Any] = []
        # A net may keep things between its calls, as the watched layer does here.
        self._turn = threading.Lock()
        self._mine = threading.local()
        if embedding:
            self._watch(embedding)
        if inductor:
            self._net = torch.compile(self._net, dynamic=False)
            self._warm(model)

    def _warm(self, model: Model) -> None:
        """Compile now: it happens at the first call."""
        try:
            self(np.zeros((1, *model.preprocessing.size, 3), np.uint8))
        except Exception as error:
            # The compiler runs the net's own code and calls other programs, and fails in whatever way they fail.
            raise ValueError(f"torch.compile cannot compile {model.net}: {_first(error)}") from None

    def _watch(self, layer: str) -> None:
        layers = dict(self._net.named_modules())
        if layer not in layers:
            known = ", ".join(name for name in layers if name and "." not in name)
            raise ValueError(f"the net has no layer {layer!r}; it has {known} and those inside them")
        layers[layer].register_forward_hook(lambda _net, _inputs, output: self._seen.append(output))

    def __call__(self, pixels: Array) -> tuple[Array, Array | None]:
        import torch

        with torch.inference_mode(), self._stream():
            batch = self._on_device(padded(pixels, self._batch)).permute(0, 3, 1, 2)
            batch = batch.flip(1) if self._bgr else batch
            inputs = ((batch.float().div_(255) - self._mean) / self._std).to(self._type)
            inputs = inputs.contiguous(memory_format=torch.channels_last)
            with self._turn:
                logits = self._net(inputs)
                embedding = _vectors(self._seen.pop()) if self._seen else None
            kept = slice(0, len(pixels))
            return _numpy(logits)[kept], None if embedding is None else _numpy(embedding)[kept]

    def _stream(self) -> AbstractContextManager[Any]:
        """This thread's queue of work on the device."""
        import torch

        cuda: Any = torch.cuda
        if self._device.type == "cpu":
            return nullcontext()
        if not hasattr(self._mine, "stream"):
            self._mine.stream = cuda.Stream(self._device)
            # The weights were put there on another one.
            self._mine.stream.wait_stream(cuda.default_stream(self._device))
        found: AbstractContextManager[Any] = cuda.stream(self._mine.stream)
        return found

    def _on_device(self, pixels: Array) -> Any:
        """(B, h, w, 3) uint8 on the device; a call ends with its answers on the host, so the memory is free again."""
        import torch

        found = torch.from_numpy(pixels)
        if self._device.type == "cpu":
            return found
        if getattr(self._mine, "pinned", found).shape != found.shape or not hasattr(self._mine, "pinned"):
            self._mine.pinned = torch.empty_like(found, pin_memory=True)
        return self._mine.pinned.copy_(found).to(self._device, non_blocking=True)


def for_any_size(model: Model) -> Any:
    """The model's net for pictures of any size, its map of scores averaged.

    Raises:
        ValueError: if it knows one size only.
    """
    import torch

    from vision.nets.overfeat import averaged

    height, width = model.preprocessing.size
    net = model.build()
    try:
        net = averaged(net)
        with torch.inference_mode():
            net(torch.zeros(1, 3, height + 32, width + 64))
    except Exception as error:
        # The net's own code is run on a size that it may not know, and fails in whatever way it fails.
        raise ValueError(f"dense: {model.net} answers pictures of one size only ({_first(error)})") from None
    return net


def _first(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def folded(net: Any) -> Any:
    """The net with every batch norm inside the convolution before it: 1.05 to 1.5 times as fast.

    A net whose Python branches on its pixels has no graph to read, and stays as it is.
    """
    from torch.fx.experimental.optimization import fuse

    try:
        return fuse(net)
    except Exception:
        # Tracing runs the net's own code on stand-ins, which may fail in whatever way that code fails.
        return net


def _vectors(output: Any) -> Any:
    """(B, D) from a layer's output: maps (B, D, H, W) are averaged over their places."""
    return output.mean(dim=(2, 3)) if output.ndim == 4 else output.flatten(1)


def _numpy(tensor: Any) -> Array:
    found: Array = tensor.float().cpu().numpy()
    return found
