"""Who decodes JPEGs beside a GPU: the cores of its machine, or, where they starve it, the GPU.

Two seconds of trying decide, once for an output: the same pictures are loaded by the cores and answered by the GPU.
What was begun one way goes on that way, for its pixels differ from the other's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from jobs import storage
from jobs.asking import Predicting
from jobs.compiling import Log
from jobs.engine import commit, pool
from jobs.engine.lease import Lease
from jobs.engine.plan import Plan, leases
from jobs.engine.replica import Replica, Target, Worker
from jobs.engine.run import SMALL
from jobs.spec import SpecError
from vision import gpu_loading, names

Decoder = Literal["cpu", "gpu"]

Prepared = tuple[Target, dict[str, Any]]
"""Where a model's answers go, and what decides them."""

TRIAL_S = 1.0
"""Seconds of loading, and of answering."""


@dataclass(frozen=True)
class Trial:
    """A worker that answers nothing: it says how many pictures a second it loads, and how many it answers."""

    replica: Replica

    def make(self) -> Callable[[Lease], tuple[float, float]]:
        if self.replica.code:
            names.trust(self.replica.code)
        worker = Worker(self.replica)
        return lambda lease: worker.rates(lease, TRIAL_S, time.perf_counter)


def open_to_choice(wanted: str, gpus: float) -> bool:
    """Whether anybody but the cores may decode.

    Raises:
        SpecError: if a GPU shall where there is none.
    """
    if wanted == "gpu" and not gpus:
        raise SpecError("decode: gpu needs a GPU: --gpus-per-worker 1")
    return bool(gpus) and wanted != "cpu"


def choose(
    job: Predicting, either: Mapping[Decoder, Sequence[Prepared]], todo: Plan, replica: Replica, log: Log
) -> Decoder:
    """As the job asks, as its outputs were begun, or as a trial finds; the cores, where there is little to do.

    Args:
        either: what there is to answer with each decoder.
        todo: what is missing, of the first model.
        replica: with which the cores decode.

    Raises:
        SpecError: if a GPU shall make what it cannot.
    """
    able = all(gpu_loading.supports(target.look) for target, _ in either["gpu"])
    if job.decode == "gpu":
        if not able:
            raise SpecError("decode: a GPU makes one crop by a bilinear or bicubic resize only; leave it to the CPU")
        return "gpu"
    begun = next((decoder for decoder, prepared in either.items() if any(map(_begun, prepared))), None)
    if begun or not able or todo.rows_missing <= SMALL:
        return begun or "cpu"
    loaded, answered = _tried(todo, replica, job)
    log(f"decode: the cores load {loaded:,.0f} pictures a second, the GPU answers {answered:,.0f}")
    return "gpu" if loaded < answered else "cpu"


def _begun(prepared: Prepared) -> bool:
    target, identity = prepared
    if not storage.exists(storage.join(target.output, commit.MANIFEST)):
        return False
    return bool(commit.read_manifest(target.output)["identity"].get("decoder") == identity["decoder"])


def _tried(todo: Plan, replica: Replica, job: Predicting) -> tuple[float, float]:
    """Pictures a second loaded and answered, found where the work will be done."""
    workers = 1 if job.workers is None else min(job.workers, 1)
    (found,) = pool.spread(
        leases([todo])[:1], Trial(replica).make, workers, gpus=job.gpus_per_worker, retry_s=job.retry_s
    )
    return found[1]
