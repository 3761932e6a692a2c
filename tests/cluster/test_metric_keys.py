"""A run has few metric keys, so that MLflow's page and its database stay usable; what is many lies in tables."""

from __future__ import annotations

import sqlite3

import pyarrow.parquet as pq

from cluster.results.open import artifact
from cluster.results.query import find_run
from cluster.settings import Settings
from cluster.tracking import tracked
from jobs.evaluate import Evaluate
from tests.cluster.toys import quiet
from tests.making import CorpusMaker, rows_of

MOST = 50


def test_an_evaluation_by_many_groups_logs_fewer_than_fifty_keys(
    here: Settings, make_corpus: CorpusMaker, small_model: str
) -> None:
    job = Evaluate(corpus=make_corpus(rows_of(24)), model=small_model, by=("sex", "label"), order=2, workers=0)
    report, run_id = tracked(job, quiet, quiet, here)
    assert run_id is not None and here.database is not None
    with sqlite3.connect(here.database) as base:
        keys = {row[0] for row in base.execute("SELECT DISTINCT key FROM metrics WHERE run_uuid = ?", (run_id,))}
    base.close()
    assert {"top1", "top1.low", "top1.high", "top1.n", "errors"} <= keys
    assert len(keys) < MOST, sorted(keys)
    path = artifact(find_run(run_id, here), "tables/groups.parquet")
    assert path is not None
    groups = pq.read_table(path)
    assert len(report.groups) == 2 + 3 + 6
    assert groups.num_rows > MOST, "each metric of each group, which as keys would be too many"
    assert set(report.metrics) <= {key.removesuffix(".n") for key in keys}, "the whole suite is logged"
