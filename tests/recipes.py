"""Commands carried out in the test's own process, and what they are compared with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from cluster.commands import job_class
from jobs.spec import Report


def run(words: list[str]) -> Report:
    """A command, `JOB --flag value ...`, without Ray."""
    job, flags = job_class(words[0]), dict(zip(words[1::2], words[2::2], strict=True))
    fields: dict[str, Any] = {flag.removeprefix("--").replace("-", "_"): value for flag, value in flags.items()}
    if "workers" in job.model_fields:
        fields["workers"] = 0
    found: Report = job.parse(fields).run()
    return found


def guess() -> Report:
    """What is known without looking at a photo: all of the test's put where most of the others were taken.

    Reads `fine.parquet` and `photos.csv` (file, lat, lon, split) in the working folder.
    """
    cells = pq.read_table("fine.parquet").sort_by([("count", "descending")])
    latitude, longitude = cells["mean_latitude"][0].as_py(), cells["mean_longitude"][0].as_py()
    rows = [line.split(",") for line in Path("photos.csv").read_text().splitlines()[1:]]
    lines = [f"{lat},{lon},{latitude},{longitude}" for _, lat, lon, split in rows if split == "test"]
    Path("guess.csv").write_text("\n".join(["a,b,c,d", *lines]) + "\n")
    roles = "latitude=a,longitude=b,predicted_latitude=c,predicted_longitude=d"
    return run(["evaluate", "--table", "guess.csv", "--columns", roles, "--task", "geolocation"])
