"""Spark on this machine: Parquet in, `predict_batch_udf` in a Python worker for each core, Parquet out."""

from __future__ import annotations

import os
import sys
from typing import Any

from pyspark.ml.functions import predict_batch_udf
from pyspark.sql import SparkSession
from pyspark.sql.types import FloatType, IntegerType, StructField, StructType

from tests.benchmarks.bulk.answering import answer, answering
from tests.benchmarks.bulk.task import from_arguments

ANSWER = StructType([StructField("label", IntegerType()), StructField("score", FloatType())])


def session() -> Any:
    """Spark with a core for each worker, and partitions small enough for both to have work to the end."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    cores = os.cpu_count() or 1
    return (
        SparkSession.builder.master(f"local[{cores}]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.memory", "2g")
        .config("spark.sql.files.maxPartitionBytes", 16 * 2**20)
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", 256)
        .getOrCreate()
    )


def main() -> None:
    """Answer the task."""
    task = from_arguments()

    def load() -> Any:
        found = answering(task)
        return lambda images: answer(found, images)

    predict = predict_batch_udf(load, return_type=ANSWER, batch_size=task.batch)
    spark = session()
    frame = spark.read.parquet(*task.material.shards).select("id", "image")
    frame = frame.withColumn("answer", predict("image")).select("id", "answer.label", "answer.score")
    frame.write.parquet(task.output)
    spark.stop()


if __name__ == "__main__":
    main()
