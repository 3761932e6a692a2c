"""A course run here, or by workers of Ray Train: process groups, restarts and elasticity are its part, nothing else.

Checkpoints and metrics do not go through Ray Train. A worker that dies takes its group with it; Ray Train starts
another, maybe smaller, which finds the newest checkpoint by itself. What workers tell goes to a small actor that the
driver asks twice a second, so that numbers are recorded by the driver alone and only once.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobs.engine.joining import check_reachable, start_ray
from jobs.spec import JobFailed
from jobs.training.course import Course
from jobs.training.crew import Alone, Note
from jobs.training.loop import work

if TYPE_CHECKING:
    import torch

ASK_S = 0.5
_SILENCE_S = 5.0


@dataclass(frozen=True)
class Staff:
    """Who trains.

    Attributes:
        workers: processes; 0 trains in this one, without Ray.
        least: how few may go on when others are lost and not replaced; None: all of them.
        gpus: of each worker.
        max_failures: times that workers may die.
        retry_s: how long Ray's head may be away.
    """

    workers: int = 0
    least: int | None = None
    gpus: float = 0.0
    max_failures: int = 3
    retry_s: float = 30.0


def carry_out(course: Course, staff: Staff, tell: Callable[[Note], None]) -> None:
    """Train to the end.

    Raises:
        JobFailed: if it cannot go on; checkpoints stay.
    """
    if staff.workers == 0:
        work(course, Alone(tell, "cuda" if staff.gpus else "cpu"))
    else:
        _OnRay(course, staff, tell).run()


class _Board:
    """Where workers leave notes; lives in a process of its own."""

    def __init__(self) -> None:
        self._notes: list[Note] = []
        self._failed = 0

    def put(self, note: Note) -> None:
        self._failed += note.kind == "failed"
        self._notes.append(note)

    def take(self) -> list[Note]:
        notes, self._notes = self._notes, []
        return notes

    def failed(self) -> int:
        """How many workers have failed for good."""
        return self._failed


@dataclass(frozen=True)
class _Group:
    """A worker's view of the others, through torch's process group."""

    rank: int
    size: int
    device: str
    board: Any

    def add_up(self, vector: torch.Tensor) -> None:
        import torch.distributed as group

        group.all_reduce(vector)

    def gather(self, value: Any) -> list[Any]:
        import torch.distributed as group

        found: list[Any] = [None] * self.size
        if self.size == 1:
            return [value]
        group.all_gather_object(found, value)
        return found

    def say(self, note: Note) -> None:
        import ray

        told = self.board.put.remote(note)
        if note.kind == "failed":
            ray.get(told)


def _take_part(config: dict[str, Any]) -> None:
    """What Ray Train runs in each worker."""
    import ray
    import ray.train
    import ray.train.torch

    if ray.get(config["board"].failed.remote()):
        return  # started again after a failure that will not go away
    context = ray.train.get_context()
    device = str(ray.train.torch.get_device()) if config["gpu"] else "cpu"
    crew = _Group(context.get_world_rank(), context.get_world_size(), device, config["board"])
    try:
        work(config["course"], crew)
    except JobFailed:
        # Where all failed together there is nobody to wait for them, and nothing to start again.
        until = time.monotonic() + _SILENCE_S
        while ray.get(config["board"].failed.remote()) < crew.size:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


class _OnRay:
    def __init__(self, course: Course, staff: Staff, tell: Callable[[Note], None]) -> None:
        self._course, self._staff, self._tell = course, staff, tell
        self._ray = start_ray(staff.workers)
        self._address = self._ray.get_runtime_context().gcs_address
        self._board = self._ray.remote(num_cpus=0, scheduling_strategy=_beside(self._ray))(_Board).remote()
        self._error: BaseException | None = None

    def run(self) -> None:
        """Train, in a thread, because Ray Train takes over Ctrl-C in the main one; this one listens meanwhile."""
        folder = tempfile.mkdtemp(prefix="safelight-train-")
        training = threading.Thread(target=self._fit, args=(folder,), daemon=True)
        training.start()
        try:
            while training.is_alive():
                training.join(ASK_S)
                self._listen()
            self._listen()
        finally:
            self._ray.kill(self._board)
            shutil.rmtree(folder, ignore_errors=True)
        if self._error is not None:
            raise JobFailed(f"the workers died {self._staff.max_failures + 1} times: {_reason(self._error)}")

    def _listen(self) -> None:
        """Pass on what workers said.

        Raises:
            JobFailed: if Ray's head is away for too long.
        """
        began, asked = time.monotonic(), self._board.take.remote()
        while True:
            try:
                for note in self._ray.get(asked, timeout=_SILENCE_S):
                    self._tell(note)
                return
            except self._ray.exceptions.GetTimeoutError:
                self._check_head(time.monotonic() - began)
            except self._ray.exceptions.RayError as error:
                raise JobFailed(f"Ray was lost: {_reason(error)}; what is committed stays, run it again") from None

    def _check_head(self, silent_s: float) -> None:
        try:
            check_reachable(self._address)
        except JobFailed as error:
            if silent_s >= self._staff.retry_s:
                raise JobFailed(f"{error}; what is committed stays, run the same command again") from None

    def _fit(self, folder: str) -> None:
        try:
            self._trainer(folder).fit()
        except BaseException as error:
            self._error = error

    def _trainer(self, folder: str) -> Any:
        _settle()
        import ray.train
        from ray.train.torch import TorchConfig, TorchTrainer

        configs: Any = ray.train
        staff, most = self._staff, self._staff.workers
        workers = most if staff.least is None or staff.least >= most else (staff.least, most)
        resources = {"CPU": 1.0, **({"GPU": staff.gpus} if staff.gpus else {})}
        return TorchTrainer(
            _take_part,
            train_loop_config={"course": self._course, "board": self._board, "gpu": bool(staff.gpus)},
            # Workers that share a GPU cannot talk by NCCL.
            torch_config=TorchConfig(backend="nccl" if staff.gpus >= 1 else "gloo"),
            scaling_config=configs.ScalingConfig(
                num_workers=workers,
                use_gpu=bool(staff.gpus),
                resources_per_worker=resources,
            ),
            run_config=configs.RunConfig(
                name="train",
                storage_path=folder,
                failure_config=configs.FailureConfig(max_failures=staff.max_failures),
                logging_config=configs.LoggingConfig(log_level="CRITICAL"),
            ),
        )


def _beside(ray: Any) -> Any:
    """On the driver's machine: one that is lost with the board on it would take the driver's ear along."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)


def _settle() -> None:
    """Ray Train's settings, unless the user has chosen others."""
    for name, value in {
        "RAY_TRAIN_V2_ENABLED": "1",
        "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "1",
        "RAY_TRAIN_METRICS_ENABLED": "0",
        "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",
        "RAY_CHDIR_TO_TRIAL_DIR": "0",
    }.items():
        os.environ.setdefault(name, value)


def _reason(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1] if "Traceback" in str(error) else lines[0]
