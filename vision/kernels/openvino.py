"""Nets in OpenVINO, from an artifact on disk: one thread, no torch, ready in a tenth of a second.

OpenVINO's Python package reports its use over the network as soon as it is imported. `library()` shuts the module
that does so out of the process, for which OpenVINO has a silent stand-in; everything here imports it that way.
"""

from __future__ import annotations

import itertools
import sys
import threading
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from vision.accumulator import Array
from vision.kernels.probe import CLOSE, gaps
from vision.kernels.shapes import padded

NET, SINGLE = "net.xml", "single.xml"
"""The graphs of an artifact: for the static batch, and for one picture."""

COPIES = 2**28
"""Bytes of weights that a process may hold for its threads' own nets; compiled, they take two to four times that."""


def library() -> Any:
    """The module `openvino`, which sends nothing anywhere."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


class OpenVino:
    """A net as OpenVINO compiled it.

    Args:
        folder: an artifact, see `vision.kernels.artifact`.
        precision: "fp32"; "bf16-only", where each layer's numbers are rounded to 8 bits of mantissa; or "bf16", the
            same but that a picture whose best two classes lie within `CLOSE` logits is answered again in fp32.
        streams: threads that may call it at once; each batch is one thread's work.

    Raises:
        ValueError: if the CPU has no bfloat16 and it was asked for.
    """

    def __init__(self, folder: Path, batch: int, precision: str, streams: int = 1) -> None:
        self._batch = batch
        if precision != "fp32" and "BF16" not in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise ValueError("this CPU has no bfloat16: use precision fp32")
        self._first = _Net(folder / NET, "f32" if precision == "fp32" else "bf16", streams)
        self._again = _Net(folder / SINGLE, "f32", streams) if precision == "bf16" else None

    def __call__(self, pixels: Array) -> tuple[Array, Array | None]:
        logits = self._first(padded(pixels, self._batch))[: len(pixels)]
        if self._again is not None:
            # Each picture's own logits decide, so its neighbours still do not matter.
            for index in np.flatnonzero(gaps(logits) < CLOSE):
                logits[index] = self._again(pixels[index : index + 1])[0]
        return logits, None


class _Net:
    """A graph, and what each thread keeps of a call.

    A small graph is compiled anew for each thread, and computes in it. One compiled for several streams holds its
    weights once, but hands each batch to a thread of OpenVINO's, which Linux likes to wake on a core that has work
    already while the caller's falls idle: 3 % of the time of two cores.
    """

    def __init__(self, path: Path, precision: str, streams: int) -> None:
        self._path, self._precision = path.resolve(), precision
        shared = path.with_suffix(".bin").stat().st_size * streams > COPIES
        self._streams, copies = (streams, 1) if shared else (1, streams)
        self._numbers = itertools.cycle(range(copies))
        self._mine = threading.local()
        # The first call sets something up for the process under a lock of its own, and for that it needs Python's:
        # two threads that come first at once would wait for each other for ever.
        self._request().infer()

    def __call__(self, pixels: Array) -> Array:
        """(B, K) float32, a copy: the request's own memory is written over by the next batch."""
        return np.array(self._request().infer([np.ascontiguousarray(pixels)])[0], np.float32)

    def _request(self) -> Any:
        """This thread's own."""
        if not hasattr(self._mine, "request"):
            compiled = _compiled(self._path, self._precision, self._streams, next(self._numbers))
            self._mine.request = compiled.create_infer_request()
        return self._mine.request


@cache
def core() -> Any:
    """OpenVINO in this process, once; see `_compiled` for why it is never let go of."""
    return library().Core()


# Compiled nets live as long as the process. The plugin gives the thread that compiles a stack for signals, and takes
# its memory back with the net; where that happens in another thread (a garbage collection will do), the next signal
# of the first, such as the one that ends an image's time, would be served on memory that is gone.
@cache
def _compiled(path: Path, precision: str, streams: int, number: int) -> Any:
    """A graph compiled for so many streams; the copy of that number."""
    settings = {
        "INFERENCE_NUM_THREADS": streams,
        "NUM_STREAMS": streams,
        "ENABLE_CPU_PINNING": False,
        "INFERENCE_PRECISION_HINT": precision,
    }
    return core().compile_model(core().read_model(path), "CPU", settings)
