"""Forgetting on a real S3 server, with and without versions, and on a real MLflow server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cluster.settings import from_environment
from cluster.tracking import tracked
from jobs import s3, storage
from jobs.evaluate import Evaluate
from jobs.forget import Forget
from jobs.ingest import Ingest
from jobs.predict import Predict
from jobs.spec import Job, JobFailed, Report
from jobs.verifying import problems
from tests.jobs.test_forget import LOST, MARK, ids_file, make_source, traces
from tests.services.test_mlflow_server import Server


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    make_source(tmp_path / "source")
    (tmp_path / "place").mkdir()
    monkeypatch.chdir(tmp_path / "place")
    return tmp_path / "place"


def objects(url: str) -> Iterator[tuple[str, bytes]]:
    """Every object below a place and every version that is kept of it; of Parquet also what is inside."""
    client, bucket = s3._requests(), url.removeprefix("s3://").split("/")[0]
    listed = client.list_object_versions(Bucket=bucket, Prefix=url.removeprefix(f"s3://{bucket}/"))
    assert not listed["IsTruncated"]
    for found in listed.get("Versions", ()):
        data = client.get_object(Bucket=bucket, Key=found["Key"], VersionId=found["VersionId"])["Body"].read()
        yield found["Key"], data
        if found["Key"].endswith(".parquet"):
            shard = pq.ParquetFile(pa.BufferReader(data))
            yield found["Key"], repr((shard.metadata.metadata, shard.read().to_pydict())).encode()


def held(url: str) -> set[str]:
    words = [id_.encode() for id_ in LOST] + [MARK]
    return {f"{name}: {word!r}" for name, data in objects(url) for word in words if word in data}


def ingest(url: str) -> Report:
    return Ingest(source="../source", layout="imagefolder", corpus=url, shard_rows=8, workers=0).run()


@pytest.mark.parametrize("versions", [False, True])
def test_nothing_is_left_in_a_bucket(s3_server: Any, small_model: str, versions: bool) -> None:
    bucket = "data"
    if versions:
        bucket = f"kept-{uuid4().hex[:8]}"
        s3._requests().create_bucket(Bucket=bucket)
        s3._requests().put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    url = f"s3://{bucket}/{uuid4().hex}/c"
    ingest(url)
    words: dict[str, Any] = {"corpus": url, "model": small_model, "workers": 0, "max_errors": 0.5}
    Predict(**words, output=f"{url}.predictions/p").run()
    assert len(held(url)) > 4
    report = Forget(corpus=url, ids=ids_file(*LOST)).run()
    assert held(url) == set()
    assert not list(problems(url, lambda _: None))
    assert sum(row["rows"] for row in report.tables["touched"].to_pylist() if row["what"] == "answers") == 3
    scored = Evaluate(predictions=f"{url}.predictions/p").run().metrics["top1"]
    assert scored.n == 29
    assert Evaluate(**words, output=f"{url}.predictions/p").run().metrics["top1"] == scored
    assert Forget(corpus=url, ids=ids_file(*LOST)).run().tables["touched"].num_rows == 0
    assert "3 records were forgotten before and stay out" in ingest(url).notes
    with storage.claim(url), pytest.raises(JobFailed, match="another job is writing there"):
        Forget(corpus=url, ids=ids_file(*LOST)).run()


@pytest.mark.slow
def test_a_server_gets_its_files_anew(server: Server, place: Path, small_model: str) -> None:
    here = from_environment({"MLFLOW_TRACKING_URI": server.address}, place)

    def run(job: Job) -> tuple[Report, str | None]:
        return tracked(job, lambda _: None, lambda _: None, here)

    ingest("c")
    words: dict[str, Any] = {"corpus": "c", "model": small_model, "workers": 0, "max_errors": 0.5}
    run(Evaluate(**words))
    _, named = run(Evaluate(**words, where=f"id <> '{LOST[0]}'"))
    assert len(traces(server.folder / "files", *LOST)) > 2
    report, _ = run(Forget(corpus="c", ids=ids_file(*LOST)))
    assert traces(server.folder / "files", *LOST) == set()
    assert traces(place, *LOST) == set()
    left = [row for row in report.tables["touched"].to_pylist() if "cannot change" in row["what"]]
    assert [row["place"] for row in left] == [f"run {named}: where"], "what cannot be changed is named"
    assert os.path.getsize(server.folder / "server.db") > 0
