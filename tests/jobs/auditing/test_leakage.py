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
from tests.making import corpus_of, cut, rows_of
from vision.geolocation.leakage import marked
from vision.sphere import great_circle_km


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


def photos(folder: Path, shard_rows: int = 9) -> tuple[str, pa.Table]:
    """Photos in the splits train and test, round two towns, by six people over some days; some know nothing."""
    rng = np.random.default_rng(3)
    splits, n = np.repeat(["train", "test"], (50, 40)), 90
    latitude = np.where(rng.random(n) < 0.5, 48.4, 59.9) + rng.normal(0, 0.05, n)
    when = np.datetime64("2020-05-01T08:00:00") + rng.integers(0, 20 * 86_400, n).astype("timedelta64[s]")
    table = pa.table({
        "id": [f"{number}.jpg" for number in range(n)], "split": splits,
        "author": [None if rng.random() < 0.1 else f"author {who}" for who in rng.integers(0, 6, n)],
        "latitude": np.where(rng.random(n) < 0.1, np.nan, latitude), "longitude": rng.normal(179.99, 0.05, n) % 360,
        "time": [None if rng.random() < 0.1 else str(moment) for moment in when],
    })  # fmt: skip
    east = np.asarray(table["longitude"])
    table = table.set_column(4, "longitude", pa.array(np.where(east > 180, east - 360, east)))
    parts = {split: table.filter(pa.array(splits == split)).drop_columns("split") for split in ("train", "test")}
    return corpus_of(folder, {split: cut(rows, shard_rows) for split, rows in parts.items()}, 4), table


def by_pairs(table: pa.Table, near: Any) -> dict[str, bool | None]:
    """For the photos of test whether any of train is near; None where it cannot be known."""
    rows = table.to_pylist()
    train = [row for row in rows if row["split"] == "train"]
    found: dict[str, bool | None] = {}
    for row in (row for row in rows if row["split"] == "test"):
        said = [near(row, other) for other in train]
        found[row["id"]] = None if near(row, row) is None else any(one is True for one in said)
    return found


def within_km(km: float) -> Any:
    def near(one: dict[str, Any], other: dict[str, Any]) -> bool | None:
        places = np.array([[row["latitude"], row["longitude"]] for row in (one, other)])
        if np.isnan(places).any():
            return None
        return bool(great_circle_km(places[:1], places[1:])[0] <= km)

    return near


def within_hours(hours: float) -> Any:
    def near(one: dict[str, Any], other: dict[str, Any]) -> bool | None:
        if None in (one["author"], other["author"], one["time"], other["time"]):
            return None
        apart = np.datetime64(one["time"]) - np.datetime64(other["time"])
        return bool(one["author"] == other["author"] and abs(apart) <= np.timedelta64(int(hours * 3600), "s"))

    return near


def test_photos_of_one_place_and_of_one_evening_are_found_across_splits(tmp_path: Path) -> None:
    corpus, table = photos(tmp_path / "photos")
    report = audit(corpus=corpus, split="test", same=("author",), same_km=2.0, same_hours=12.0)
    listed = {row["id"]: row for row in report.tables["leaked"].to_pylist()}
    for name, near in (("place", within_km(2.0)), ("author_12h", within_hours(12.0))):
        wanted = by_pairs(table, near)
        known = {id_: said for id_, said in wanted.items() if said is not None}
        share = report.metrics[f"leakage.{name}"]
        assert (share.value, share.n) == (sum(known.values()) / len(known), len(known))
        assert 0.1 < share.value < 0.9 and share.low < share.value < share.high and len(known) < 40
        assert {id_ for id_, row in listed.items() if row[f"same_{name}"]} == {i for i, said in known.items() if said}
        row = next(row for row in report.tables["leakage"].to_pylist() if row["column"] == name)
        assert (row["shared"], row["without_value"]) == (sum(known.values()), 40 - len(known))
    assert report.metrics["leakage.author"].value > report.metrics["leakage.author_12h"].value
    said = " ".join(report.notes)
    assert "rows of test were taken within 2 km of rows of train: a share of" in said
    assert "rows of test share their author with rows of train taken within 12 hours of them: a share of" in said
    assert "rows of test do not say their author or their time" in said


def test_places_and_moments_are_the_same_for_any_sharding_and_as_a_table_with_names_of_its_own(tmp_path: Path) -> None:
    asked: dict[str, Any] = {"same": ("author",), "same_km": 2.0, "same_hours": 12.0}
    corpora = [photos(tmp_path / str(rows), rows)[0] for rows in (4, 100)]
    reports = [audit(corpus=corpus, split="test", **asked) for corpus in corpora]
    assert figures(reports[0]) == figures(reports[1])
    names = {"latitude": "LAT", "longitude": "LON", "time": "taken"}
    table = photos(tmp_path / "more")[1]
    pq.write_table(table.rename_columns([names.get(name, name) for name in table.column_names]), "rows.parquet")
    roles = ("id=id", "latitude=LAT", "longitude=LON")
    found = audit(table="rows.parquet", columns=roles, split_by="split", time="taken", **asked)
    rows = [row for row in found.tables["leakage"].to_pylist() if row["split"] == "test"]
    assert rows == reports[0].tables["leakage"].to_pylist()


def test_places_agree_with_those_that_evaluate_marks(tmp_path: Path) -> None:
    corpus, table = photos(tmp_path / "photos")
    sides = [table.filter(pa.array(np.asarray(table["split"]) == split)) for split in ("train", "test")]
    marks = marked(*sides, (), 2.0)["same_place"].to_pylist()
    share = audit(corpus=corpus, split="test", same_km=2.0).metrics["leakage.place"]
    assert (round(share.value * share.n), share.n) == (marks.count(True), len(marks) - marks.count(None))


def test_wrong_words_of_places_and_moments_are_one_line(tmp_path: Path, joined: Any) -> None:
    corpus = photos(tmp_path / "photos")[0]
    for words, wrong in (
        ({"same_hours": 1.0}, "same_hours: whose moments"),
        ({"same": ("author",), "same_hours": 1.0, "time": "tim"}, r"has no column 'tim'; did you mean time\?"),
        ({"checks": ("duplicates",), "same_km": 1.0}, "same_km: relatives in other splits are looked for by"),
        ({"corpus": joined[0]["corpus"], "same_km": 1.0}, "split test has no column 'latitude'"),
    ):
        with pytest.raises(SpecError, match=wrong):
            audit(**{"corpus": corpus, "split": "test", **words})
    Path("rows.csv").write_text("latitude,longitude,s\nx,1,a\n")
    with pytest.raises(SpecError, match="columns: latitude holds string and not degrees"):
        audit(table="rows.csv", split_by="s", same_km=1.0)
