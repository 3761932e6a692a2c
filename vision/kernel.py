"""A net compiled for a device: a static batch of pixels in, logits out, the same for a picture whoever its neighbours.

Batches are padded to one shape, one thread does the work, and the kernel's name (library, version, precision, device,
batch) is part of every fingerprint: between kernels answers differ in the last digits.

On one core at batch 8, channels_last against plain strides: MobileNetV2 59 against 43 images/s, ResNet-18 54 against
41; larger batches are no faster and need more memory (batch 32: 1.2 GB against 0.9 GB for the process).
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any, Protocol

import numpy as np

from vision.accumulator import Array
from vision.model import ONNX, Model

CPU_BATCH = 8
GPU_BATCH = 256


class Kernel(Protocol):
    """A compiled net."""

    def __call__(self, pixels: Array) -> tuple[Array, Array | None]:
        """Logits of a batch, and the embedding where one was asked for.

        Args:
            pixels: (N, h, w, 3) uint8, N at most the kernel's batch.

        Returns:
            (N, K) float32 logits, (N, D) float32 embedding or None.
        """
        ...


def batch_size(device: str) -> int:
    """The static batch of a device, where the user asks for none."""
    return CPU_BATCH if device == "cpu" else GPU_BATCH


def name(model: Model, device: str, batch: int) -> str:
    """What computes the answers, as fingerprints hold it: `torch-2.15.0 fp32 cpu batch-8`."""
    library = "onnxruntime" if model.net == ONNX else "torch"
    try:
        return f"{library}-{version(library)} fp32 {device} batch-{batch}"
    except PackageNotFoundError:
        raise ValueError(f"this model needs {library}, which is not installed: pip install 'safelight[cpu]'") from None


def compiled(model: Model, device: str, batch: int, embedding: str | None = None) -> Kernel:
    """The kernel of a model.

    Raises:
        ValueError: if the net cannot be built, or has no layer `embedding`.
    """
    if model.net == ONNX:
        if embedding:
            raise ValueError("an ONNX model has no named layers: --embedding needs a torch net")
        return _Onnx(model, batch)
    return _Torch(model, device, batch, embedding)


def padded(pixels: Array, batch: int) -> Array:
    """Fill a batch up with black pictures: (N, h, w, 3) to (batch, h, w, 3)."""
    if len(pixels) > batch:
        raise ValueError(f"a batch holds at most {batch} pictures, got {len(pixels)}")
    missing = batch - len(pixels)
    return np.pad(pixels, ((0, missing), (0, 0), (0, 0), (0, 0))) if missing else pixels


class _Torch:
    """Eager torch in float32, channels last."""

    def __init__(self, model: Model, device: str, batch: int, embedding: str | None) -> None:
        import torch

        # A second thread changes nothing but the order of sums, and fights with the other replicas.
        torch.set_num_threads(1)
        self._device, self._batch = torch.device(device), batch
        net: Any = model.build()
        self._net = net.to(self._device, memory_format=torch.channels_last)
        statistics = (model.preprocessing.mean, model.preprocessing.std)
        self._mean, self._std = (torch.tensor(s, device=self._device).view(1, 3, 1, 1) for s in statistics)
        self._bgr = model.preprocessing.order == "BGR"
        self._seen: list[Any] = []
        if embedding:
            self._watch(embedding)

    def _watch(self, layer: str) -> None:
        layers = dict(self._net.named_modules())
        if layer not in layers:
            known = ", ".join(name for name in layers if name and "." not in name)
            raise ValueError(f"the net has no layer {layer!r}; it has {known} and those inside them")
        layers[layer].register_forward_hook(lambda _net, _inputs, output: self._seen.append(output))

    def __call__(self, pixels: Array) -> tuple[Array, Array | None]:
        import torch

        with torch.inference_mode():
            batch = torch.from_numpy(padded(pixels, self._batch)).to(self._device).permute(0, 3, 1, 2)
            batch = batch.flip(1) if self._bgr else batch
            inputs = (batch.float().div_(255) - self._mean) / self._std
            logits = self._net(inputs.contiguous(memory_format=torch.channels_last))
            embedding = _vectors(self._seen.pop()) if self._seen else None
        kept = slice(0, len(pixels))
        return _numpy(logits)[kept], None if embedding is None else _numpy(embedding)[kept]


def _vectors(output: Any) -> Any:
    """(B, D) from a layer's output: maps (B, D, H, W) are averaged over their places."""
    return output.mean(dim=(2, 3)) if output.ndim == 4 else output.flatten(1)


def _numpy(tensor: Any) -> Array:
    found: Array = tensor.float().cpu().numpy()
    return found


class _Onnx:
    """An ONNX graph on one thread: the first input takes (B, 3, h, w) float32, the first output gives logits."""

    def __init__(self, model: Model, batch: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        path = str(model.folder / "model.onnx") if model.folder else ""
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        first = self._session.get_inputs()[0]
        self._input, self._normalise = first.name, model.preprocessing.normalise
        # A graph exported for one batch size takes only that one.
        self._batch = first.shape[0] if isinstance(first.shape[0], int) else batch

    def __call__(self, pixels: Array) -> tuple[Array, Array | None]:
        parts = []
        for start in range(0, len(pixels), self._batch):
            part = pixels[start : start + self._batch]
            inputs = self._normalise(padded(part, self._batch))
            parts.append(self._session.run(None, {self._input: inputs})[0][: len(part)])
        return np.concatenate(parts).astype(np.float32), None
