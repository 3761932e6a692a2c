"""Cells of a corpus on S3, written to S3: those of local files, and new shards alone are read there too."""

from __future__ import annotations

from pathlib import Path

from jobs import storage
from jobs.partition import Partition
from jobs.partitioning import output
from tests.geo import photos, split, write_corpus
from tests.making import copy_up
from tests.services.conftest import S3Server
from vision.corpus import Corpus


def test_cells_on_s3(s3_server: S3Server, tmp_path: Path) -> None:
    shards, remote = split(photos(), 5, 0), "s3://data/geotags"
    here = write_corpus(tmp_path / "geotags", shards[:3])
    copy_up(tmp_path / "geotags", remote)
    rule = {"t_max": 200, "t_min": 10}
    Partition(corpus=remote, output="s3://data/cells/first.parquet", workers=0, **rule).run()
    before = Corpus.from_json((tmp_path / "geotags/corpus.json").read_text())
    write_corpus(tmp_path / "geotags", shards[3:], version=2, before=before)
    copy_up(tmp_path / "geotags", remote)
    for shard in before.shards:
        storage.remove(storage.join(remote, shard.file))
    Partition(corpus=remote, output="s3://data/cells/first.parquet", workers=0, **rule).run()
    Partition(corpus=here, output="local.parquet", workers=0, **rule).run()
    found, wanted = output.read("s3://data/cells/first.parquet"), output.read("local.parquet")
    assert found.digest == wanted.digest
    assert found.about["corpus_version"] == "2"
    left = storage.files("s3://data/cells")
    assert left == ["first.parquet", *(f"first.parquet.state/all/part-{n:05d}.parquet.arrow" for n in range(5))]
