"""Whole files, conditional writes and claims, on a local disk; `tests/services` does the same on S3."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from jobs import s3, storage
from jobs.spec import JobFailed


def test_a_file_appears_whole_or_not_at_all() -> None:
    storage.write("a/b.bin", b"first")

    def break_off() -> None:
        with storage.upload("a/b.bin") as stream:
            stream.write(b"second, half of")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    assert storage.read("a/b.bin") == b"first"
    assert [path.name for path in Path("a").iterdir()] == ["b.bin"], "no temporary file is left"


def test_a_manifest_changes_only_if_it_is_the_one_that_was_read() -> None:
    assert storage.read_versioned("m.json") == (None, None)
    storage.replace("m.json", b"1", None)
    data, token = storage.read_versioned("m.json")
    assert data == b"1"
    storage.replace("m.json", b"2", token)
    with pytest.raises(s3.Conflict, match="changed by someone else"):
        storage.replace("m.json", b"3", token)
    with pytest.raises(s3.Conflict):
        storage.replace("m.json", b"3", None)
    assert storage.read("m.json") == b"2"


def _try_to_claim(url: str) -> str:
    try:
        with storage.claim(url):
            return "claimed"
    except JobFailed as error:
        return str(error)


def test_a_claim_keeps_other_processes_out() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as other:
        place = str(Path("out").absolute())
        with storage.claim(place):
            assert "another job is writing there" in other.apply(_try_to_claim, (place,))
        assert other.apply(_try_to_claim, (place,)) == "claimed"


def test_listing_leaves_temporary_files_out() -> None:
    for name in ("x/2.parquet", "x/1.parquet", "x/y/3.parquet", "x/.4.parquet.tmp", "x/.5.parquet"):
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    assert storage.files("x", ".parquet") == ["1.parquet", "2.parquet", "y/3.parquet"]
    assert storage.files("nothing/there") == []


def test_only_known_kinds_of_address() -> None:
    with pytest.raises(ValueError, match="only local paths and s3://"):
        storage.absolute("gs://bucket/x")
    assert storage.absolute("s3://bucket/x/") == "s3://bucket/x"
