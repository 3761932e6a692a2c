"""Rows whose person or album is also in another split: of a corpus, of folds, of a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from jobs.audit import Audit
from jobs.auditing import checked, leakage
from jobs.spec import Report, SpecError
from tests.jobs.auditing.test_duplicates import figures, with_splits
from tests.making import rows_of


def audit(**fields: Any) -> Report:
    return Audit(**{"checks": ("leakage",), "workers": 0, **fields}).run()


def people(n: int, seed: int, first: int, last: int) -> list[str | None]:
    rng = np.random.default_rng(seed)
    return [None if rng.random() < 0.1 else f"p{number}" for number in rng.integers(first, last, n)]


@pytest.fixture
def joined(tmp_path: Path) -> tuple[dict[str, Any], dict[str, str | None], dict[str, str | None]]:
    """A corpus of 60 test and 90 training records, and a table of persons that came later."""
    test, train = rows_of(60), rows_of(90, start=60)
    corpus = with_splits(tmp_path / "corpus", test, train, 25)
    owners = dict(zip([r[0] for r in test + train], people(60, 1, 0, 30) + people(90, 2, 20, 60), strict=True))
    pacsv.write_csv(pa.table({"id": list(owners), "person": list(owners.values())}), "people.csv")
    fields = {"corpus": corpus, "split": "test", "join": "people.csv", "same": ("person",)}
    names = [r[0] for r in test]
    return fields, {n: owners[n] for n in names}, {n: p for n, p in owners.items() if n not in names}


def test_rows_of_a_split_that_share_a_person_with_another(joined: Any) -> None:
    fields, test, train = joined
    report = audit(**fields)
    known = {name: p for name, p in test.items() if p}
    leaked = {name for name, p in known.items() if p in set(train.values())}
    assert 5 < len(leaked) < 40
    share = report.metrics["leakage.person"]
    assert (share.value, share.n) == (len(leaked) / len(known), len(known))
    assert 0 < share.low < share.value < share.high
    assert set(report.tables["leaked"]["id"].to_pylist()) == leaked
    assert report.tables["leaked"].column_names == ["id", "split", "same_person"]
    (row,) = report.tables["leakage"].to_pylist()
    assert (row["split"], row["other"], row["shared"], row["without_value"]) == (
        "test",
        "train",
        len(leaked),
        60 - len(known),
    )
    said = f"{len(leaked)} of {len(known)} rows of test share their person with rows of train"
    assert any(note.startswith(said) for note in report.notes)


def test_what_leaks_can_be_joined_again(joined: Any) -> None:
    fields, _, _ = joined
    report = audit(**fields)
    pacsv.write_csv(report.tables["leaked"].select(["id", "same_person"]), "leaked.csv")
    again = Audit(corpus=fields["corpus"], split="test", join="leaked.csv", by=("same_person",), workers=0).run()
    counts = {dict(cell)["same_person"]: values["share"].n for cell, values in again.groups}
    assert counts["true"] == len(report.tables["leaked"])


def test_folds_of_a_table_are_held_against_each_other() -> None:
    folds = ["a", "a", "b", "b", "c", None]
    table = pa.table(
        {"fold": folds, "who": ["x", "y", "x", "z", "w", "x"], "album": list("123456"), "n": list("uvwxyz")}
    )
    pacsv.write_csv(table, "rows.csv")
    report = audit(table="rows.csv", columns=("id=n",), same=("who", "album"), split_by="fold")
    assert report.metrics["leakage.who"][::3] == (0.4, 5)
    assert report.metrics["leakage.album"].value == 0
    assert report.tables["leaked"]["id"].to_pylist() == ["u", "w"]
    assert len(report.tables["leakage"]) == 12
    Path("many").mkdir()
    for number in range(3):
        pq.write_table(table.slice(2 * number, 2), f"many/{number}.parquet")
    many = audit(table="many", columns=("id=n",), same=("who", "album"), split_by="fold")
    assert figures(many) == figures(report)
    without = audit(table="rows.csv", same=("who",), split_by="fold")
    assert "leaked" not in without.tables


def test_a_corpus_may_have_folds_of_its_own(joined: Any) -> None:
    fields, _, _ = joined
    report = audit(**fields, split_by="sex")
    assert {row["split"] for row in report.tables["leakage"].to_pylist()} == {"f", "m"}
    assert report.metrics["leakage.person"].n < 60


def test_any_sharding_gives_the_same(tmp_path: Path) -> None:
    found = set()
    for shard_rows in (4, 30, 200):
        corpus = with_splits(tmp_path / str(shard_rows), rows_of(60), rows_of(90, start=60), shard_rows)
        found.add(figures(audit(corpus=corpus, split="test", same=("label", "sex"))))
    assert len(found) == 1


def test_long_lists_are_cut_and_say_so(joined: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = audit(**joined[0]).tables["leaked"]
    for module in (checked, leakage):
        monkeypatch.setattr(module, "MOST_ROWS", 3)
    report = audit(**joined[0])
    assert report.tables["leaked"] == whole.slice(0, 3)
    assert f"the table lists the first 3 of {len(whole)} rows that leak" in report.notes


def test_wrong_words_are_one_line(joined: Any) -> None:
    fields, _, _ = joined
    with pytest.raises(SpecError, match="same: leakage needs columns"):
        audit(**fields | {"same": ()})
    with pytest.raises(SpecError, match=r"split test has no column 'persn'; did you mean person\?"):
        audit(**fields | {"same": ("persn",)})
    Path("rows.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SpecError, match="split_by: leakage in a table needs the column"):
        audit(table="rows.csv", same=("a",))
    with pytest.raises(SpecError, match=r"the table has no column 'c'"):
        audit(table="rows.csv", same=("a",), split_by="c")
    alone = audit(**fields, against="test")
    assert "nothing can be said of leakage by person: there is no other split" in alone.notes
