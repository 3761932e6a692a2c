"""Copies planted among pictures are found, and no others; the same for any sharding and number of workers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from cluster.document import document, to_json
from jobs.audit import Audit
from jobs.auditing import pixels
from jobs.spec import JobFailed, Plain, Report, SpecError
from tests.making import CLASSES, Row, corpus_of, cut, table_of, write_corpus
from tests.photographs import COPIES, encoded, leaves
from vision.image import picture

EACH = 20


def planted(pictures: int = 400) -> tuple[list[Row], dict[str, str]]:
    """Pictures, and copies of some of them: so many of each kind, and as many with the same bytes."""
    rng = np.random.default_rng(0)
    originals = [leaves(seed, 160, 120) for seed in range(pictures)]
    rows: list[Row] = [(f"{n:05d}.jpg", encoded(one), 0) for n, one in enumerate(originals)]
    copies = {}
    for kind, copy in enumerate(COPIES.values()):
        for number in range(EACH * kind, EACH * (kind + 1)):
            name = f"copy-{number:05d}.jpg"
            rows.append((name, encoded(copy(originals[number], rng), 80), 0))
            copies[name] = f"{number:05d}.jpg"
    for number in range(100, 100 + EACH):
        rows.append((f"same-{number:05d}.jpg", rows[number][1], 0))
        copies[f"same-{number:05d}.jpg"] = f"{number:05d}.jpg"
    return rows, copies


def with_splits(folder: Path, rows: Sequence[Row], more: Sequence[Row], shard_rows: int) -> str:
    """A corpus of two splits."""
    parts = {"train": cut(table_of(more), shard_rows), "test": cut(table_of(rows), shard_rows)}
    return corpus_of(folder, parts, 4, classes=CLASSES)


def audit(corpus: str, **fields: Any) -> Report:
    return Audit(**{"corpus": corpus, "checks": ("duplicates",), "workers": 0, **fields}).run()


def figures(report: Report) -> str:
    found = document("audit", None, report, {})
    return to_json([found["metrics"], {n: t.to_pylist() for n, t in sorted(report.tables.items())}, report.notes])


def pairs(report: Report) -> set[tuple[str, str]]:
    """(first of a group, another of it)."""
    groups: dict[int, list[str]] = {}
    for row in report.tables["duplicates"].to_pylist():
        groups.setdefault(row["group"], []).append(row["id"])
    return {(names[0], other) for names in groups.values() for other in names[1:]}


def test_planted_copies_are_found_and_no_others(tmp_path: Path) -> None:
    rows, copies = planted()
    report = audit(write_corpus(tmp_path / "corpus", rows, 50))
    found = pairs(report)
    wanted = {(original, copy) for copy, original in copies.items()}
    exact = {pair for pair in wanted if pair[1].startswith("same")}
    assert len(found & exact) >= 0.99 * len(exact)
    assert len(found & wanted - exact) >= 0.95 * (3 * EACH)
    assert not found - wanted
    kinds = {row["id"]: row["kind"] for row in report.tables["duplicates"].to_pylist()}
    assert {kinds[name] for _, name in exact} == {"exact"}
    assert report.metrics["duplicates.exact"][::3] == (2 * EACH / len(rows), len(rows))
    near = report.metrics["duplicates.near"]
    assert near.low < near.value == 2 * len(found - exact) / len(rows) < near.high
    assert report.metrics["duplicates.extra"].value == len(found) / len(rows)
    assert "duplicates.across" not in report.metrics


def test_splits_are_held_against_each_other(tmp_path: Path) -> None:
    rows, _ = planted(150)
    test, train = rows[:60], [*rows[60:150], *rows[170:]]  # copies of 20..59, and the same as 100..119
    corpus = with_splits(tmp_path / "corpus", [*test, ("broken.jpg", b"no picture", 0)], train, 30)
    report = audit(corpus, split="test")
    assert 38 <= report.metrics["duplicates.across"].value * 60 <= 40
    assert report.metrics["duplicates.exact"].value == 0
    (row,) = report.tables["duplicates_across"].to_pylist()
    assert (row["split"], row["other"], row["pictures"]) == ("test", "train", 60)
    said = "\n".join(report.notes)
    assert f"{row['copied']} of 60 pictures of test have a copy in train" in said
    assert "1 pictures could not be decoded" in said
    alone = audit(corpus, split="test", against="test")
    assert "duplicates" not in alone.tables
    assert "no picture of test was found twice, of 60" in alone.notes
    few = audit(corpus, split="test", limit=30)  # train is looked at whole
    assert 9 <= few.metrics["duplicates.across"].value * 30 <= 10


def test_any_sharding_and_any_workers_find_the_same(tmp_path: Path, ray_session: None) -> None:
    rows, _ = planted(130)
    found = {figures(audit(write_corpus(tmp_path / str(n), rows, n))) for n in (7, 64, 1000)}
    found.add(figures(audit(str(tmp_path / "7"), workers=2)))
    assert len(found) == 1


def test_many_copies_of_one_picture_are_one_group(tmp_path: Path) -> None:
    plain = encoded(leaves(3))
    rows: list[Row] = [(f"{n:04d}.jpg", plain, 0) for n in range(300)]
    report = audit(write_corpus(tmp_path / "corpus", rows, 100))
    assert {row["group"] for row in report.tables["duplicates"].to_pylist()} == {0}
    assert report.metrics["duplicates.extra"].value == pytest.approx(299 / 300)


def test_pictures_are_decoded_once_for_all_checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = with_splits(tmp_path / "corpus", planted(120)[0][:30], planted(120)[0][60:100], 16)
    decoded: list[bytes] = []

    def counting(data: bytes, **words: Any) -> Any:
        decoded.append(data)
        return picture(data, **words)

    monkeypatch.setattr(pixels, "picture", counting)
    both = audit(corpus, split="test", checks=("duplicates", "properties"))
    assert len(decoded) == len(set(decoded)) == 70
    assert both.metrics["properties.width.median"].n == 30  # of the audited split alone
    assert both.metrics["duplicates.across"] == audit(corpus, split="test").metrics["duplicates.across"]


@pytest.mark.slow
def test_a_tenth_of_cifar_has_copies_across_its_splits(shared_images: Path, tmp_path: Path) -> None:
    """Barz & Denzler, "Do we train on test data?", J. Imaging 2020, found them for 3.3 % of all test pictures."""
    table = pq.read_table(shared_images / "cifar10" / "cifar10_subset.parquet")
    rows: dict[str, list[Row]] = {"train": [], "test": []}
    for number, row in enumerate(table.to_pylist()):
        rows[row["split"]].append((f"{number:05d}.jpg", row["image"], row["label"]))
    report = audit(with_splits(tmp_path / "cifar", rows["test"], rows["train"], 2000), split="test")
    assert 3 <= report.metrics["duplicates.across"].value * 1000 <= 8
    assert 40 <= len(report.tables["duplicates"]) <= 80
    assert report.metrics["duplicates.exact"].value == 0


def test_what_it_would_cost_is_told_beforehand(tmp_path: Path) -> None:
    corpus = with_splits(tmp_path / "corpus", planted(120)[0][:30], planted(120)[0][60:100], 16)
    job: Audit = Audit(corpus=corpus, split="test", checks=("duplicates",))
    assert job.estimate(Plain())["pictures to decode"] == "70, and again those that may be copies"
    assert "pictures to decode" not in Audit(corpus=corpus, split="test", by=("sex",)).estimate(Plain())


def test_wrong_words_are_one_line(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", planted(120)[0][:20], 10)
    with pytest.raises(SpecError, match=r"checks: no check 'duplicate'; did you mean duplicates\?"):
        audit(corpus, checks="duplicate")
    with pytest.raises(SpecError, match=r"against: no split 'tets'; did you mean test\? \(splits: test\)"):
        audit(corpus, against="tets")
    Path("rows.csv").write_text("a\n1\n")
    with pytest.raises(SpecError, match="checks: duplicates looks at pictures, and a table has none: give --corpus"):
        Audit(table="rows.csv", checks=("duplicates",)).run()
    with pytest.raises(SpecError, match="by: given rates are those of groups, and have no rows to check"):
        Audit(table="rows.csv", checks=("leakage",), columns=("rate=a",), by=("a",)).run()
    with pytest.raises(SpecError, match="by: the columns of the groups are needed"):
        Audit(corpus=corpus).run()
    (tmp_path / "corpus" / "test" / "part-00001.parquet").unlink()
    with pytest.raises(JobFailed, match=r"part-00001\.parquet is missing"):
        audit(corpus)
