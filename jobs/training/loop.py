"""What a worker does: from the newest checkpoint to the last step, with the others, one global batch after the other.

A worker that starts, for the first time or after another one died, knows nothing but the course and the checkpoints.
All state is the number of the next step, the weights and what the optimiser remembers; everything random is a
function of that number. So a restart with any number of workers goes on with the next batch.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from jobs import storage
from jobs.spec import JobFailed
from jobs.training import checkpoint, feed
from jobs.training.checkpoint import Checkpoint, Keeper
from jobs.training.course import Course
from jobs.training.crew import Crew, Note
from jobs.training.curve import Curve
from vision import freezing, names, optimisers
from vision.dimensions import memory_format
from vision.training import Micro, Step

if TYPE_CHECKING:
    import torch

SAY_S, SHOW_S = 5.0, 1.0
"""Seconds between two points of a metric, and between two words on how far it is."""

_AHEAD = 4
"""Global batches made ready beside a GPU."""

_UNREAD = 16
"""Losses left on a GPU before they are looked at, which waits for it."""


class Worker:
    """A net on its way through a course.

    Args:
        course: the training.
        crew: the workers; all make the same calls in the same order.

    Raises:
        JobFailed: if there is no checkpoint to begin with.
    """

    def __init__(self, course: Course, crew: Crew) -> None:
        import torch

        torch.set_num_threads(1)
        if course.code:
            names.trust(course.code)
        begun = checkpoint.newest(course.output)
        if begun is None:
            raise JobFailed(f"{course.output} holds no checkpoint to begin with")
        self._course, self._crew, self.number = course, crew, begun.step
        net = names.net(course.model.net, dict(course.model.arguments))
        net.load_state_dict(begun.parts["weights"])
        net = net.to(crew.device, memory_format=memory_format(net))
        frozen = freezing.freeze(net, course.freeze)
        self._step = Step(net, course.objective, course.recipe, frozen, crew.add_up if crew.size > 1 else None)
        self._restore(begun)
        self._curve = Curve(course.columns(), course.steps, begun.facts["curve"])
        self._best, self._validated = begun.facts["best"], list(begun.facts["validation"])
        self._open: list[tuple[int, torch.Tensor]] = []
        self._keeper = Keeper(course.output, course.keep)
        self._said_at = self._shown_at = self._began_at = time.monotonic()
        self._began = self._told = self.number
        self._make_readers()

    def _restore(self, begun: Checkpoint) -> None:
        if "optimizer" in begun.parts:
            optimisers.restore(self._step.optimizer, begun.parts["optimizer"])
        if self._step.average and "average" in begun.parts:
            self._step.average.load(begun.parts["average"])

    def _make_readers(self) -> None:
        course = self._course
        decoders = 0 if self._crew.device == "cpu" else _threads()
        self._reader = course.rows.feeder(course, decoders)
        self._validation = course.watched.validation(course, decoders) if course.watched is not None else None

    def run(self) -> None:
        """Train to the end.

        Raises:
            JobFailed: if the loss is no number any more, too many pictures are broken, or a file is missing.
        """
        course = self._course
        try:
            while self.number < course.steps:
                epoch, start = divmod(self.number, course.epoch_steps)
                for portion in self._portions(epoch, start):
                    self._learn(portion)
                self._end_epoch(epoch)
        finally:
            self._keeper.wait()
        self._show(last=True)

    def _portions(self, epoch: int, start: int) -> Iterator[feed.Portion]:
        found = feed.portions(self._course, self._reader, epoch, start, self._crew.rank, self._crew.size)
        return found if self._crew.device == "cpu" else feed.ahead_of(found, _AHEAD)

    def _learn(self, portion: feed.Portion) -> None:
        """One global batch."""
        micros = (Micro(j, self._reader.inputs(p, self._tensor), self._tensor(p.targets)) for j, p in portion.micros)
        said = self._step(portion.batch, micros)
        self._open.append((self.number, said))
        if self._course.trace:
            self._write_trace(portion)
        self.number += 1
        if self._crew.device == "cpu" or len(self._open) >= _UNREAD:
            self._look()
        inside = self.number % self._course.epoch_steps
        if inside and self.number % self._course.checkpoint_every == 0:
            self._save()
        self._show()

    def _tensor(self, array: Any) -> torch.Tensor:
        import torch

        found = torch.from_numpy(array)
        return found if self._crew.device == "cpu" else found.pin_memory().to(self._crew.device, non_blocking=True)

    def _look(self) -> None:
        """Read what the last steps said.

        Raises:
            JobFailed: if a loss is no number, before anything made of it is kept.
        """
        for number, said in self._open:
            values = said.tolist()
            if not all(map(math.isfinite, values)):
                raise JobFailed(
                    f"the loss is {values[0]:g} and the gradient's norm {values[-1]:g} at step {number}"
                    f" (epoch {number // self._course.epoch_steps}): lower the learning rate, warm up longer or clip"
                )
            self._curve.add(number, values)
        self._open.clear()

    def _save(self, best: Checkpoint | None = None) -> None:
        """Begin to write a checkpoint; only one worker does."""
        self._look()
        self._check_broken()
        if self._crew.rank != 0:
            return
        parts = {"weights": _copied(self._step.net.state_dict())}
        parts["optimizer"] = _copied(optimisers.packed(self._step.optimizer))
        if self._step.average:
            parts["average"] = _copied(self._step.average.state)
        facts = {"curve": self._curve.facts(), "best": self._best, "validation": list(self._validated)}
        self._keeper.save(Checkpoint(self.number, parts, facts), best)

    def _end_epoch(self, epoch: int) -> None:
        """Validate, remember the best weights, and keep all of it together."""
        best = None
        last = self.number == self._course.steps
        if self._validation is not None and (last or (epoch + 1) % self._course.validate_every == 0):
            state = self._step.average.state if self._step.average else self._step.net.state_dict()
            values = self._validation.scored(state, self._crew)
            self._validated.append({"epoch": epoch + 1, "step": self.number, **values})
            if self._crew.rank == 0:
                self._crew.say(Note("metrics", self.number, values={f"val_{k}": v for k, v in values.items()}))
            best = self._judged(values, state)
        self._save(best)

    def _judged(self, values: dict[str, float], state: dict[str, torch.Tensor]) -> Checkpoint | None:
        """The weights, if they are the best so far."""
        name, higher = self._course.best_by
        value, held = values[name], self._best
        if held is not None and not (value > held["value"] if higher else value < held["value"]):
            return None
        self._best = {"step": self.number, "metric": name, "value": value}
        return Checkpoint(self.number, {"weights": _copied(state)}, self._best) if self._crew.rank == 0 else None

    def _check_broken(self) -> None:
        broken, rows = self._reader.broken, self._course.rows.count
        if broken:
            self._crew.say(Note("broken", broken=dict(broken)))
        if len(broken) > self._course.max_errors * rows:
            listed = [f"{id_}: {why}" for id_, why in sorted(broken.items())][:20]
            allowed = f"{self._course.max_errors:g} of them may be (max_errors)"
            raise JobFailed(f"{len(broken)} of {rows} images are broken, and only {allowed}", listed)

    def _write_trace(self, portion: feed.Portion) -> None:
        for index, pictures in portion.micros:
            line = {"step": self.number, "micro": index, "ids": pictures.ids, "workers": self._crew.size}
            name = f"{self.number:08d}-{index:04d}.json"
            storage.write(storage.join(self._course.output, "trace", name), json.dumps(line).encode())

    def _show(self, last: bool = False) -> None:
        """Say how far it is, now and then."""
        now = time.monotonic()
        if self._crew.rank != 0 or not (last or now - self._shown_at >= SHOW_S):
            return
        self._shown_at = now
        rate = (self.number - self._began) * self._course.batch_size / max(now - self._began_at, 1e-9)
        self._crew.say(Note("progress", self.number, values={"images_per_s": rate, "workers": self._crew.size}))
        if last or now - self._said_at >= SAY_S:
            self._say(rate)

    def _say(self, rate: float) -> None:
        self._said_at = time.monotonic()
        fresh = [point for point in self._curve.points if point[0] >= self._told]
        if not fresh:
            return
        means = np.mean(np.array(fresh), axis=0)[1:]
        self._told = int(fresh[-1][0]) + 1
        values = {name: float(value) for name, value in zip(self._curve.names, means, strict=True)}
        values |= {"learning_rate": self._course.recipe.schedule.rate(self._told - 1), "images_per_s": rate}
        self._crew.say(Note("metrics", self._told - 1, values=values))


def _copied(state: Any) -> dict[str, torch.Tensor]:
    """Tensors that no later step changes, on the CPU."""
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}


def _threads() -> int:
    import os

    return max(len(os.sched_getaffinity(0)) - 1, 1)


def work(course: Course, crew: Crew) -> None:
    """Take part in a training from its newest checkpoint to its end; a failure for good is told and raised.

    Raises:
        JobFailed: as `Worker.run`.
    """
    try:
        Worker(course, crew).run()
    except JobFailed as error:
        crew.say(Note("failed", text=str(error), details=tuple(error.details)))
        raise
