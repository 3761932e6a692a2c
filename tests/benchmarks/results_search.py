"""How long the first page of results takes among 50,000 runs in SQLite, as JSON.

Ten real runs are recorded by safelight and then multiplied in the database, each copy a minute older, since recording
50,000 takes half an hour and searching them does not depend on how they came there. `command` is the whole of
`safelight results JOB --where model=m1 --metric top1 --since 1000d` in a fresh process; `search` is that search in a
process, `all_runs` every run of the job, and `client` one page through MLflow's client where it is imported already
(its import takes about two seconds more).

    python tests/benchmarks/results_search.py [RUNS]
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from cluster.provenance import git_commit
from cluster.results.local import LocalStore
from cluster.results.query import Query, search
from cluster.results.remote import RemoteStore
from cluster.settings import Settings, from_environment
from cluster.tracking import tracked
from tests.cluster.many import multiply
from tests.cluster.toys import Toy, quiet

ROOT = Path(__file__).parents[2]
_REPEATS = 7


def fill(here: Settings, runs: int) -> None:
    """Ten recorded runs, copied until there are `runs`."""
    for index in range(10):
        tracked(Toy(top1=0.5 + index / 100, model=f"m{index % 3}"), quiet, quiet, here)
    multiply(here.tracking_uri, runs)


def timed(call: Callable[[], object]) -> dict[str, float]:
    """Median and spread of some calls, the first not counted."""
    call()
    seconds = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return {"median_s": statistics.median(seconds), "min_s": min(seconds), "max_s": max(seconds)}


def main(runs: int) -> None:
    """Print the measurements."""
    with tempfile.TemporaryDirectory() as folder:
        here = from_environment({}, Path(folder))
        fill(here, runs)
        query = Query("toy", (("model", "m1"),), metrics=("top1",), limit=50)
        words = ["results", "toy", "--where", "model=m1", "--metric", "top1", "--since", "1000d"]
        command = [sys.executable, "-m", "cluster.cli", *words]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        remote = RemoteStore(here)
        assert here.database is not None and LocalStore.open(here.database, here.experiment) is not None
        found = {
            "command": timed(
                lambda: subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
            ),
            "search": timed(lambda: search(query, here)),
            "all_runs": timed(lambda: search(Query("toy", metrics=("top1",)), here)),
            "client": timed(lambda: [run for run, _ in zip(remote.runs([], ("top1",), 50), range(50), strict=False)]),
        }
    print(json.dumps({"runs": runs, "repeats": _REPEATS, **found, "machine": machine()}, indent=1))


def machine() -> dict[str, object]:
    """What was measured on."""
    packages = {name: version(name) for name in ("mlflow", "sqlalchemy", "pyarrow")}
    commit = git_commit(ROOT)
    return {"cores": os.cpu_count(), "python": platform.python_version(), "commit": commit, **packages}


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50_000)
