"""Daft: Parquet in, a class UDF in a process for each core, Parquet out."""

from __future__ import annotations

import os
from typing import Any

import daft

from tests.benchmarks.bulk.answering import answer, answering
from tests.benchmarks.bulk.task import Task, from_arguments

ANSWER = daft.DataType.struct({"label": daft.DataType.int32(), "score": daft.DataType.float32()})


@daft.cls(max_concurrency=os.cpu_count(), use_process=True)
class Net:
    """Encoded pictures in, labels out."""

    def __init__(self, task: Task) -> None:
        self._found = answering(task)

    @daft.method.batch(return_dtype=ANSWER, batch_size=64)  # type: ignore[untyped-decorator]
    def answers(self, images: daft.Series) -> Any:
        found = answer(self._found, images.to_pylist())
        rows = zip(found["label"].tolist(), found["score"].tolist(), strict=True)
        return [{"label": label, "score": score} for label, score in rows]


def main() -> None:
    """Answer the task."""
    task = from_arguments()
    frame = daft.read_parquet(task.material.shards).select("id", "image")
    frame = frame.select(frame["id"], Net(task).answers(frame["image"]).alias("answer"))
    frame.select("id", daft.col("answer").get("label"), daft.col("answer").get("score")).write_parquet(task.output)


if __name__ == "__main__":
    main()
