"""Jobs that do little, for tests of what goes on round them."""

from __future__ import annotations

import math
import os
import signal
import time
from typing import Any

import pyarrow as pa

from jobs.spec import Context, Job, JobFailed, Progress, Report
from vision.accumulator import Estimate


class Toy(Job):
    """A job with every kind of result."""

    corpus: str = "data/toys"
    model: str | None = None
    by: tuple[str, ...] = ()
    top1: float = 0.5
    text: str = ""
    ends: str = "well"
    sleep_s: float = 0.0

    def run(self, context: Context | None = None) -> Report:
        assert context is not None
        context.log(f"working on {self.text}")
        for step in range(3):
            context.metric("loss", 1 / (step + 1), step)
            context.progress(Progress(step, 3, step * 10, 30, 0, 100.0))
        deadline = time.monotonic() + self.sleep_s
        while time.monotonic() < deadline:
            time.sleep(0.05)
        self._end()
        return self._report()

    def _end(self) -> None:
        if self.ends == "failed":
            raise JobFailed(f"could not work on {self.text}")
        if self.ends == "interrupted":
            raise KeyboardInterrupt
        if self.ends == "killed":
            os.kill(os.getpid(), signal.SIGKILL)

    def _report(self) -> Report:
        top1 = Estimate(self.top1, self.top1 - 0.1, self.top1 + 0.1, 30)
        nothing = Estimate(math.nan, math.nan, math.nan, 0)
        return Report(
            metrics={"top1": top1, "unseen": nothing},
            groups=(({"sex": "f"}, {"top1": top1}), ({"sex": "m"}, {"top1": nothing})),
            output="data/toys/out",
            errors=2,
            tables={"confusion": pa.table({"truth": [0, 1], "count": [10, 20]})},
            tags={"model_digest": "ab" * 32, "corpus_digest": "cd" * 32},
            notes=("a note",),
        )


def quiet(*_: Any) -> None:
    """Nobody watches."""
