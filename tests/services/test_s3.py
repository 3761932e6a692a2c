"""The same words on S3: corpora, predictions, conditional writes, claims, and a server that goes away for a while."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from jobs import lease, s3, storage
from jobs.evaluate import Evaluate
from jobs.predict import Predict
from jobs.spec import JobFailed
from jobs.verifying import problems
from tests.making import CorpusMaker, copy_up, rows_of, tree
from tests.services.conftest import S3Server


def test_files_come_back_as_they_went(s3_server: S3Server) -> None:
    data = bytes(range(256)) * 5000
    storage.write("s3://data/files/a.bin", data)
    assert storage.read("s3://data/files/a.bin") == data
    assert storage.files("s3://data/files") == ["a.bin"]
    assert storage.exists("s3://data/files/a.bin")
    assert not storage.exists("s3://data/files/b.bin")
    with pytest.raises(FileNotFoundError):
        storage.read("s3://data/files/b.bin")


def test_an_upload_that_breaks_off_leaves_nothing(s3_server: S3Server) -> None:
    with pytest.raises(RuntimeError), storage.upload("s3://data/broken/a.bin") as stream:
        stream.write(b"half")
        raise RuntimeError
    assert not storage.exists("s3://data/broken/a.bin")


def test_a_manifest_changes_by_conditional_write(s3_server: S3Server) -> None:
    url = "s3://data/manifest/m.json"
    assert storage.read_versioned(url) == (None, None)
    storage.replace(url, b"1", None)
    data, token = storage.read_versioned(url)
    assert data == b"1"
    storage.replace(url, b"2", token)
    with pytest.raises(s3.Conflict):
        storage.replace(url, b"3", token)
    with pytest.raises(s3.Conflict):
        storage.replace(url, b"3", None)
    assert storage.read(url) == b"2"


def test_a_claim_keeps_others_out_and_a_stale_one_does_not(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with storage.claim("s3://data/claimed"), pytest.raises(JobFailed, match="another job"):
        storage.claim("s3://data/claimed").__enter__()
    with storage.claim("s3://data/claimed"):
        pass
    # A job that was killed leaves its claim behind.
    storage.write("s3://data/claimed/.claim", b"of a dead job")
    monkeypatch.setattr(lease, "STALE_S", 2.0)
    time.sleep(3.5)
    with storage.claim("s3://data/claimed"):
        pass


def test_predictions_on_s3_are_those_on_disk(s3_server: S3Server, make_corpus: CorpusMaker, small_model: str) -> None:
    folder = make_corpus(rows_of(24), shard_rows=6)
    remote = copy_up(folder, "s3://data/corpus")
    Predict(corpus=folder, model=small_model, output="local", workers=0).run()
    Predict(corpus=remote, model=small_model, output="s3://data/out", workers=0).run()
    names = storage.files("s3://data/out", ".parquet")
    here = tree("local")
    assert names == sorted(name for name in here if name.endswith(".parquet"))
    assert all(storage.read(f"s3://data/out/{name}") == here[name] for name in names)
    assert list(problems(remote, lambda _line: None)) == []
    report = Evaluate(corpus=remote, model=small_model, output="s3://data/out", workers=0).run()
    assert report.metrics == Evaluate(predictions="local").run().metrics


@pytest.mark.slow
def test_a_server_that_goes_away_for_a_while_costs_time_and_nothing_else(
    s3_server: S3Server, make_corpus: CorpusMaker, small_model: str, tmp_path: Path
) -> None:
    remote = copy_up(make_corpus(rows_of(120), shard_rows=3), "s3://data/outage")

    def outage() -> None:
        time.sleep(1)
        s3_server.stop()
        time.sleep(4)
        s3_server.start()

    trouble = threading.Thread(target=outage)
    trouble.start()
    Predict(corpus=remote, model=small_model, output="s3://data/outage-out", workers=0).run()
    trouble.join()
    Predict(corpus=remote, model=small_model, output="quiet", workers=0).run()
    here = tree("quiet")
    for name in storage.files("s3://data/outage-out", ".parquet"):
        assert storage.read(f"s3://data/outage-out/{name}") == here[name]
