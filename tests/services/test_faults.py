"""What goes wrong beside crashes: a full disk, a folder without rights, and what a resume costs."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.predict import Predict
from tests.making import CorpusMaker, picture, rows_of, tree, write_corpus

ROOT = Path(__file__).parents[2]


def predict(corpus: str, model: str, output: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cluster.cli", "run", "predict", "--corpus", corpus, "--model", model]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [*command, "--output", output, "--workers", "0"], capture_output=True, text=True, env=env, check=False
    )


@contextlib.contextmanager
def small_disk(folder: Path, size_kib: int) -> Iterator[None]:
    """A file system of its own for a folder; skips where one cannot be mounted."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size_kib}k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_one_line_and_what_is_there_is_whole(make_corpus: CorpusMaker, small_model: str) -> None:
    corpus = make_corpus(rows_of(200), shard_rows=5)
    Predict(corpus=corpus, model=small_model, output="quiet", workers=0).run()
    with small_disk(Path("disk"), 64):
        done = predict(corpus, small_model, "disk/out")
        assert done.returncode == 1
        assert "No space left on device" in done.stderr.strip().splitlines()[-1]
        quiet, there = tree("quiet"), tree("disk/out")
        shards = [name for name in there if name.endswith(".parquet")]
        assert 0 < len(shards) < 40
        assert all(there[name] == quiet[name] for name in shards)
        assert b'"complete": false' in there["predictions.json"]


def test_the_disk_has_room_again(make_corpus: CorpusMaker, small_model: str) -> None:
    corpus = make_corpus(rows_of(200), shard_rows=5)
    Predict(corpus=corpus, model=small_model, output="quiet", workers=0).run()
    with small_disk(Path("disk"), 64):
        assert predict(corpus, small_model, "disk/out").returncode == 1
        subprocess.run(["mount", "-o", "remount,size=4096k", "disk"], check=True)
        assert predict(corpus, small_model, "disk/out").returncode == 0
        assert tree("disk/out") == tree("quiet")


SLACK = 200_000
"""Bytes of the model and of Python's own files, whatever the size of the corpus."""


def bytes_read() -> int:
    """What this process has read from files so far."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["rchar"])


@pytest.fixture
def hundred_shards(tmp_path: Path) -> tuple[str, int]:
    """A corpus of 100 shards of large pictures, and its bytes."""
    rows = [(f"{n:04d}.jpg", picture(n % 3, n, side=300), n % 3) for n in range(200)]
    folder = write_corpus(tmp_path / "hundred", rows, shard_rows=2)
    return folder, sum(path.stat().st_size for path in Path(folder).rglob("*.parquet"))


def test_a_resume_reads_what_is_missing_and_no_more(hundred_shards: tuple[str, int], small_model: str) -> None:
    corpus, size = hundred_shards
    job = Predict(corpus=corpus, model=small_model, output="out", workers=0)
    job.run()
    before = bytes_read()
    job.run()
    nothing = bytes_read() - before  # manifests and footers
    for path in sorted(Path("out/test").glob("*.parquet"))[:50]:
        path.unlink()
    before = bytes_read()
    job.run()
    half = bytes_read() - before - nothing
    assert half <= 0.51 * size + SLACK
    (Path("out/test") / "part-00007.parquet").unlink()
    before = bytes_read()
    job.run()
    assert bytes_read() - before - nothing <= 0.01 * size + SLACK


def test_no_rights_is_one_line(make_corpus: CorpusMaker, small_model: str) -> None:
    if os.geteuid() == 0:
        pytest.skip("everything is allowed to root")
    Path("locked").mkdir(mode=0o500)
    done = predict(make_corpus(rows_of(4)), small_model, "locked/out")
    assert done.returncode == 1
    assert "Permission denied" in done.stderr
