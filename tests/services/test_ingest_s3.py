"""Ingest from and to a real S3 server."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import storage
from jobs.ingest import Ingest
from jobs.spec import JobFailed, Report, SpecError
from tests.corpora import tar
from vision.corpus import Corpus

IMAGES = {f"{name}/{n}.jpg": f"{name}{n}".encode() * 9 for name in ("cat", "dog") for n in range(6)}


@pytest.fixture
def bucket(s3_server: Any) -> str:
    """A place of the test's own, with raw images below `raw`."""
    url = f"s3://data/{uuid4().hex}"
    _put(url, {f"raw/{name}": data for name, data in IMAGES.items()})
    return url


def _put(url: str, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        storage.write(storage.join(url, name), data)


def _ingest(bucket: str, source: str, layout: str, **words: Any) -> Report:
    job = {"source": f"{bucket}/{source}", "corpus": f"{bucket}/made", "workers": 0, "layout": layout, **words}
    return Ingest(**job).run()


def _rows(bucket: str) -> list[dict[str, Any]]:
    corpus = Corpus.from_json(storage.read(f"{bucket}/made/corpus.json"))
    files = [pa.BufferReader(storage.read(f"{bucket}/made/{shard.file}")) for shard in corpus.present()]
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def test_a_folder_in_s3_becomes_a_corpus_in_s3_and_grows(bucket: str) -> None:
    _ingest(bucket, "raw", "imagefolder", shard_rows=5)
    assert {row["id"]: row["image"] for row in _rows(bucket)} == IMAGES
    assert "nothing new: the corpus is as it was" in _ingest(bucket, "raw", "imagefolder", shard_rows=5).notes
    _put(bucket, {"raw/dog/9.jpg": b"new"})
    report = _ingest(bucket, "raw", "imagefolder", shard_rows=5)
    assert report.tags["corpus_version"] == "2"
    assert {row["id"]: row["image"] for row in _rows(bucket)} == {**IMAGES, "dog/9.jpg": b"new"}


def test_a_crash_leaves_shards_that_are_kept(bucket: str) -> None:
    _ingest(bucket, "raw", "imagefolder", shard_rows=5)
    shard = storage.read(f"{bucket}/made/all/part-00001.parquet")
    storage.remove(f"{bucket}/made/corpus.json")
    storage.remove(f"{bucket}/made/all/part-00001.parquet")
    report = _ingest(bucket, "raw", "imagefolder", shard_rows=5)
    assert "2 finished shards of an earlier attempt were kept" in report.notes
    assert storage.read(f"{bucket}/made/all/part-00001.parquet") == shard


def test_references_and_a_table_of_urls(bucket: str) -> None:
    lines = [f"{bucket}/raw/{name},{name[:3]}" for name in IMAGES]
    _put(
        bucket, {"t/t.csv": "\n".join(["url,kind", *lines]).encode(), "t/odd.csv": b"url,kind\n../raw/cat/1.jpg,cat\n"}
    )
    table = {"layout": "table", "path_column": "url", "label_column": "kind", "keep": "reference"}
    _ingest(bucket, "t/t.csv", **table)
    rows = _rows(bucket)
    assert all(row["id"] == row["uri"] and storage.mark(storage.info(row["uri"])) == row["etag"] for row in rows)
    assert [storage.read(row["uri"]) for row in rows] == list(IMAGES.values())
    _ingest(bucket, "t/odd.csv", **table, corpus=f"{bucket}/odd")
    found = pq.read_table(pa.BufferReader(storage.read(f"{bucket}/odd/all/part-00000.parquet"))).to_pylist()
    assert found[0]["uri"] == f"{bucket}/raw/cat/1.jpg"


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_archives_in_s3(bucket: str, mode: str) -> None:
    name = "s.tar.gz" if mode == "w:gz" else "s.tar"
    _put(bucket, {f"tars/{name}": tar(IMAGES.items(), mode)})
    _ingest(bucket, "tars/*.tar*", "webdataset", shard_rows=5)
    assert {row["id"]: row["image"] for row in _rows(bucket)} == {
        f"{name}/{path.removesuffix('.jpg')}": data for path, data in IMAGES.items()
    }


def test_images_in_parquet_in_s3(bucket: str) -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"image": list(IMAGES.values()), "label": range(12)}), sink, row_group_size=4)
    _put(bucket, {"t.parquet": sink.getvalue()})
    _ingest(bucket, "t.parquet", "table", image_column="image", label_column="label", shard_rows=5)
    assert [(row["image"], row["label"]) for row in _rows(bucket)] == list(zip(IMAGES.values(), range(12), strict=True))


def test_what_is_not_there_is_one_line(bucket: str) -> None:
    for source in (f"{bucket}/nothing", "s3://no-such-bucket/raw"):
        with pytest.raises((JobFailed, SpecError)) as failed:
            Ingest(source=source, layout="imagefolder", corpus=f"{bucket}/made", workers=0).run()
        assert source in str(failed.value) and "\n" not in str(failed.value)
