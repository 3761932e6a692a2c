"""ONNX graphs in ONNX Runtime: the fallback where OpenVINO is not installed, and the judge of what it compiles."""

from __future__ import annotations

import numpy as np

from vision.accumulator import Array
from vision.kernels.shapes import padded
from vision.model import Model


class Onnx:
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
