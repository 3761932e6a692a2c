"""A store that is opened for the first time is there whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from cluster.client import connect
from cluster.settings import from_environment

OPENS = (
    "from pathlib import Path; from cluster.client import connect; from cluster.settings import from_environment as f;"
)


def test_a_process_killed_while_it_makes_the_tables_leaves_a_store_that_opens(tmp_path: Path) -> None:
    making, database = tmp_path / "mlflow.db.making", tmp_path / "mlflow.db"
    process = subprocess.Popen(
        [sys.executable, "-c", f"{OPENS} connect(f({{}}, Path({str(tmp_path)!r})))"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    while process.poll() is None and not (making.exists() and making.stat().st_size > 0):
        time.sleep(0.001)
    process.kill()
    assert process.wait() != 0, "it was killed in the middle"
    assert not database.exists()
    client = connect(from_environment({}, tmp_path))
    assert client.get_experiment_by_name("Default") is not None
    assert database.exists() and not making.exists()
