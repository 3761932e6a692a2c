"""A net compiled for a device: a static batch of pixels in, logits out, the same for a picture whoever its neighbours.

Batches are padded to one shape, one thread does the work, and the kernel's name (library, version, precision, device,
batch) is part of every fingerprint: between kernels answers differ in the last digits. On a CPU the kernel is OpenVINO
where it is installed, from an artifact made once (`vision.kernels.artifact`); layers as embeddings and GPUs take torch.

Images per CPU-second, forward only, one thread, 224x224, on a Zen 5 core with avx512_bf16 (machine shared; medians of
three interleaved rounds). "bf16" here is bf16-only; bf16 adds its second looks, about a tenth of real photographs.

    net                 batch   torch eager   torch folded   torch bf16   OpenVINO fp32   OpenVINO bf16
    mobilenet_v3_large      1                                                       301             493
                            4            84            150          258             331             561
                            8            78            142          321             326             582
                           16                                                       298             553
                           32            65            166          312             265             481
    resnet18                1                                                        63             121
                            4            44             59          106              68             131
                            8            39             62          112              68             133
                           16                                                        68             131
                           32            35             51          100              66             124
    mobilenet_v2            1                                                       247             427
                            4            81            116          236             264             481
                            8            74            112          252             228             451
                           16                                                       202             376
                           32            28             91          194             196             341
    efficientnet_lite0      1                                                       196             352
                            4            52             67          143             201             368
                            8            35             43          150             179             361
                           16                                                       172             322

Batch 4 is never far from the best, pads least, and a worker with mobilenet_v3_large (OpenVINO fp32, batch 8) has its
first answers after 0.5 s of CPU time, with imports, at a peak of 240 MB. An artifact takes 4 to 7 s to make.

On 300 real ImageNet pictures, right answers in torch fp32, OpenVINO fp32, bf16, bf16-only: MobileNetV2 254, 254, 254,
254 (six labels of bf16-only differ); EfficientNet-Lite0 267, 267, 267, 265. So fp32 is what a job takes by itself.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Protocol

from vision.accumulator import Array
from vision.kernels.shapes import padded
from vision.model import ONNX, Model

__all__ = ["CPU_BATCH", "GPU_BATCH", "Kernel", "batch_size", "compiled", "installed", "name", "padded"]

CPU_BATCH = 4
GPU_BATCH = 256

INDUCTOR = "inductor"
"""torch, compiled by torch.compile: a minute before the first answer, less where its cache is warm."""


class Kernel(Protocol):
    """A compiled net; several threads may call it."""

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


def installed(library: str) -> bool:
    """Whether a library is there, by its metadata: nothing is imported."""
    try:
        version(library)
    except PackageNotFoundError:
        return False
    return True


def original(model: Model) -> str:
    """The library that runs a model as it is, without an artifact."""
    return "onnxruntime" if model.net == ONNX else "torch"


def name(model: Model, device: str, batch: int, library: str | None = None, precision: str = "fp32") -> str:
    """What computes the answers, as fingerprints hold it: `openvino-2026.4.1 fp32 cpu batch-4`."""
    library = library or original(model)
    if library == INDUCTOR:
        return f"inductor {name(model, device, batch, 'torch', precision)}"
    if not installed(library):
        raise ValueError(f"this model needs {library}, which is not installed: pip install 'safelight[cpu]'")
    # OpenVINO's own string names a build; the package's version is what a user can install again.
    return f"{library}-{version(library)} {precision} {device} batch-{batch}"


def compiled(
    model: Model,
    device: str,
    batch: int,
    embedding: str | None = None,
    *,
    library: str | None = None,
    precision: str = "fp32",
    artifact: str | None = None,
    streams: int = 1,
    whole: bool = False,
) -> Kernel:
    """The kernel of a model.

    Args:
        embedding: a layer whose output is wanted too.
        library: "openvino", "torch", "inductor" or "onnxruntime"; None is what the model itself is made for.
        precision: "fp32", "bf16" or "bf16-only"; see `vision.kernels.openvino`.
        artifact: folder made by `vision.kernels.artifact.make`, for "openvino".
        streams: threads that may call openvino at once; torch answers one batch at a time.
        whole: answer pictures of any size by the mean of the net's map of scores; only torch can.

    Raises:
        ValueError: if the net cannot be built, or has no layer `embedding`, or the precision is not to be had.
    """
    library = library or original(model)
    if whole and library != "torch":
        raise ValueError(f"dense: {library} answers pictures of one size only; torch takes any")
    if embedding and model.net == ONNX:
        raise ValueError("an ONNX model has no named layers: --embedding needs a torch net")
    if library == "openvino":
        from vision.kernels.openvino import OpenVino

        if artifact is None:
            raise ValueError("the kernel openvino needs an artifact of the model")
        return OpenVino(Path(artifact), batch, precision, streams)
    if library == "onnxruntime":
        from vision.kernels.graph import Onnx

        return Onnx(model, batch)
    from vision.kernels.eager import Torch

    return Torch(model, device, batch, precision, embedding, whole=whole, inductor=library == INDUCTOR)
