"""Raw files become a corpus: once, whole, resumable, and growing by versions."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs import storage
from jobs.ingest import Ingest
from jobs.probing import size_text
from jobs.spec import JobFailed, Report, SpecError
from tests.corpora import put
from vision.corpus import Corpus

FILES = {f"{name}/{n:02d}.jpg": f"{name}{n}".encode() * (n + 1) for name in ("cat", "dog") for n in range(8)}


def ingest(**words: Any) -> Report:
    return Ingest(**{"source": "raw", "layout": "imagefolder", "corpus": "made", "workers": 0, **words}).run()


def manifest(corpus: str = "made") -> Corpus:
    return Corpus.from_json(Path(corpus, "corpus.json").read_bytes())


def records(corpus: str = "made", split: str | None = None) -> list[dict[str, Any]]:
    """All rows of the version that stands, shard by shard."""
    return [row for s in manifest(corpus).present(split) for row in pq.read_table(Path(corpus, s.file)).to_pylist()]


def tree(corpus: str = "made") -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(Path(corpus).rglob("*.parquet"))}


@pytest.fixture(autouse=True)
def _raw() -> None:
    put(Path("raw"), FILES)


def test_records_hold_the_bytes_as_they_are() -> None:
    report = ingest(licence="CC0")
    rows = records()
    assert {row["id"]: row["image"] for row in rows} == FILES
    assert [row["label"] for row in rows] == [0] * 8 + [1] * 8
    found = manifest()
    assert (found.name, found.version, found.classes, found.licence) == ("made", 1, ("cat", "dog"), "CC0")
    assert (found.splits, found.rows, dict(found.columns)) == (("all",), 16, {"label": "int32"})
    (shard,) = found.shards
    data = Path("made", shard.file).read_bytes()
    assert (shard.file, shard.bytes, shard.sha256) == (
        "all/part-00000.parquet", len(data), hashlib.sha256(data).hexdigest(),
    )  # fmt: skip
    assert report.tags["corpus_digest"] == found.digest and report.metrics == {}
    assert report.tables["splits"].to_pylist() == [{"split": "all", "rows": 16, "shards": 1, "bytes": len(data)}]
    assert report.tables["labels"].to_pylist() == [
        {"split": "all", "label": 0, "class": "cat", "rows": 8},
        {"split": "all", "label": 1, "class": "dog", "rows": 8},
    ]


def test_images_are_stored_raw_in_row_groups() -> None:
    put(Path("raw"), {f"cat/x{n:03d}.jpg": b"z" * 50 for n in range(300)})
    ingest()
    found = pq.ParquetFile("made/all/part-00000.parquet")
    groups = [found.metadata.row_group(i) for i in range(found.num_row_groups)]
    assert [group.num_rows for group in groups] == [128, 128, 60]
    assert found.schema_arrow.names == ["id", "image", "label"]
    codecs = {groups[0].column(i).path_in_schema: groups[0].column(i).compression for i in range(3)}
    assert codecs == {"id": "ZSTD", "image": "UNCOMPRESSED", "label": "ZSTD"}
    assert not groups[0].column(1).is_stats_set


@settings(max_examples=12, deadline=None)
@given(rows=st.integers(1, 20))
def test_any_cut_holds_the_same_records(rows: int) -> None:
    ingest(corpus="whole")
    ingest(corpus=f"cut{rows}", shard_rows=rows)
    assert records(f"cut{rows}") == records("whole")
    shards = manifest(f"cut{rows}").shards
    assert [shard.rows for shard in shards[:-1]] == [rows] * (len(shards) - 1)


def test_shards_are_cut_by_bytes() -> None:
    put(Path("big"), {f"a/{n}.jpg": bytes([n]) * 700_000 for n in range(4)} | {"a/9.jpg": b"x" * 2**21})
    ingest(source="big", shard_mb=1)
    assert [shard.rows for shard in manifest().shards] == [1, 1, 1, 1, 1]
    ingest(source="big", corpus="other", shard_mb=2)
    assert [shard.rows for shard in manifest("other").shards] == [2, 2, 1]


def test_again_is_nothing_to_do() -> None:
    first = ingest(shard_rows=5)
    before = {**tree(), "m": Path("made/corpus.json").read_bytes()}
    times = {path: os.stat(path).st_mtime_ns for path in tree()}
    report = ingest(shard_rows=5)
    assert {**tree(), "m": Path("made/corpus.json").read_bytes()} == before
    assert {path: os.stat(path).st_mtime_ns for path in tree()} == times
    assert "nothing new: the corpus is as it was" in report.notes
    assert report.tags == first.tags
    ingest(shard_rows=3)
    assert tree() == {path: data for path, data in before.items() if path != "m"}, "another cut changes nothing"


def test_after_a_crash_only_what_is_missing_is_written() -> None:
    ingest(shard_rows=5)
    before, said = tree(), Path("made/corpus.json").read_bytes()
    os.unlink("made/corpus.json")
    os.unlink("made/all/part-00002.parquet")
    Path("made/all/part-00003.parquet").write_bytes(before["made/all/part-00003.parquet"])
    times = {path: os.stat(path).st_mtime_ns for path in tree()}
    report = ingest(shard_rows=5)
    assert tree() == before and Path("made/corpus.json").read_bytes() == said
    again = {path: os.stat(path).st_mtime_ns for path in tree()}
    assert {path for path in again if times.get(path) != again[path]} == {"made/all/part-00002.parquet"}
    assert "3 finished shards of an earlier attempt were kept" in report.notes


def test_shards_of_another_cut_do_not_stay_behind() -> None:
    ingest(shard_rows=2)
    os.unlink("made/corpus.json")
    put(Path("made/all"), {"mine.parquet": b"not ours", ".part-00001.parquet.k1ll3d.tmp": b"half"})
    ingest(shard_rows=10)
    assert not Path("made/all/.part-00001.parquet.k1ll3d.tmp").exists()
    assert sorted(tree()) == ["made/all/mine.parquet", "made/all/part-00000.parquet", "made/all/part-00001.parquet"]
    assert {row["id"]: row["image"] for row in records()} == FILES


def test_a_file_that_is_not_ours_is_never_overwritten() -> None:
    put(Path("made/all"), {"part-00000.parquet": b"precious"})
    with pytest.raises(JobFailed, match="is not a shard that ingest made"):
        ingest()
    assert Path("made/all/part-00000.parquet").read_bytes() == b"precious"
    assert not Path("made/corpus.json").exists()


def test_a_grown_source_adds_a_version_with_new_shards_only() -> None:
    ingest(shard_rows=5)
    before = tree()
    put(Path("raw"), {"cat/new.jpg": b"new", "dog/00a.jpg": b"between"})
    report = ingest(shard_rows=5)
    found = manifest()
    assert (found.version, found.rows, len(found.shards)) == (2, 18, 5)
    assert {path: data for path, data in tree().items() if path in before} == before
    assert [shard.added for shard in found.shards] == [1, 1, 1, 1, 2]
    assert [row["id"] for row in pq.read_table("made/all/part-00004.parquet").to_pylist()] == [
        "cat/new.jpg", "dog/00a.jpg",
    ]  # fmt: skip
    assert found.at(1).rows == 16 and found.at(1).digest != found.digest
    assert "16 records were there already" in report.notes


def test_another_source_is_added_and_its_doubles_are_refused() -> None:
    ingest()
    put(Path("more"), {"dog/more.jpg": b"more"})
    ingest(source="more")
    found = manifest()
    assert (found.version, found.rows) == (2, 17)
    assert found.source == f"{Path.cwd()}/raw, {Path.cwd()}/more"
    assert next(row["label"] for row in records() if row["id"] == "dog/more.jpg") == 1, "dog is 1 there, as before"
    put(Path("third"), {"dog/more.jpg": b"more", "cat/01.jpg": b"x", "cat/fresh.jpg": b"y"})
    with pytest.raises(JobFailed, match=r"2 ids of .*third are there already .*: cat/01\.jpg, dog/more\.jpg"):
        ingest(source="third")
    assert manifest() == found


def test_a_changed_file_or_label_is_refused_by_name() -> None:
    ingest()
    put(Path("raw"), {"cat/03.jpg": b"other"})
    with pytest.raises(JobFailed, match=r"1 records changed in .*raw .*: cat/03\.jpg"):
        ingest()
    put(Path("t"), {"1.jpg": b"1", "t.csv": b"p,label\n1.jpg,4\n"})
    table = {"source": "t/t.csv", "layout": "table", "path_column": "p", "label_column": "label", "corpus": "table"}
    ingest(**table)
    put(Path("t"), {"t.csv": b"p,label\n1.jpg,5\n"})
    with pytest.raises(JobFailed, match=r"1 records changed in .*t\.csv .*: 1\.jpg"):
        ingest(**table)


def test_ids_that_occur_twice_in_a_source_are_refused() -> None:
    put(Path("t"), {"1.jpg": b"1", "2.jpg": b"2", "t.csv": b"p\n1.jpg\n2.jpg\n1.jpg\n"})
    with pytest.raises(JobFailed, match=r"1 ids occur more than once in .*t\.csv: 1\.jpg"):
        ingest(source="t/t.csv", layout="table", path_column="p")
    assert not Path("made/corpus.json").exists()


def test_ids_whose_hashes_collide_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one bit of hash every id is suspected, and none may be lost or refused for it."""
    from jobs.intake import ids

    whole = ids._eight
    monkeypatch.setattr(ids, "hashes", lambda texts: ids.np.array([whole(t.encode()) & 1 for t in texts], "u8"))
    monkeypatch.setattr("jobs.intake.listing.hashes", ids.hashes)
    ingest(shard_rows=5)
    put(Path("raw"), {"cat/new.jpg": b"new"})
    ingest(shard_rows=5)
    assert {row["id"]: row["image"] for row in records()} == {**FILES, "cat/new.jpg": b"new"}
    assert "nothing new: the corpus is as it was" in ingest(shard_rows=5).notes


def test_classes_keep_their_labels() -> None:
    ingest()
    put(Path("raw"), {"eel/1.jpg": b"e"})
    ingest()
    assert manifest().classes == ("cat", "dog", "eel")
    assert next(row["label"] for row in records() if row["id"] == "eel/1.jpg") == 2
    put(Path("raw"), {"ant/1.jpg": b"a"})
    with pytest.raises(JobFailed, match=r"has no class ant; .* labels never change"):
        ingest()
    assert manifest().version == 2


def test_other_columns_or_keeping_are_refused() -> None:
    ingest()
    put(Path("t"), {"1.jpg": b"1", "t.csv": b"p,n,age\n1.jpg,cat,3\n"})
    table = {"source": "t/t.csv", "layout": "table", "path_column": "p", "label_column": "n"}
    with pytest.raises(JobFailed, match="no column age, the source has int64"):
        ingest(**table)
    put(Path("flat"), {"1.jpg": b"1"})
    with pytest.raises(JobFailed, match=r"the column label \(int32\), the source has none"):
        ingest(source="flat")
    put(Path("more"), {"cat/9.jpg": b"1"})
    with pytest.raises(JobFailed, match="keeps its images by copy"):
        ingest(source="more", keep="reference")


def test_references_point_at_files_as_they_are() -> None:
    ingest(keep="reference")
    rows = records()
    assert [row["bytes"] for row in rows] == [len(data) for data in FILES.values()]
    assert all(storage.read(row["uri"]) == FILES[row["id"]] for row in rows)
    assert all(storage.mark(storage.info(row["uri"])) == row["etag"] for row in rows)
    assert pq.read_schema("made/all/part-00000.parquet").names == ["id", "uri", "bytes", "etag", "label"]
    assert "nothing new: the corpus is as it was" in ingest(keep="reference").notes
    put(Path("bins"), {"test_batch.bin": bytes(3073)})
    with pytest.raises(SpecError, match="cannot be referred to"):
        ingest(source="bins", layout="cifar10", keep="reference", corpus="x")


def test_splits_of_the_source_one_of_them_or_a_given_one() -> None:
    put(Path("s"), {"train/a/1.jpg": b"1", "test/a/2.jpg": b"2"})
    ingest(source="s")
    assert manifest().splits == ("test", "train")
    assert [row["id"] for row in records(split="test")] == ["test/a/2.jpg"]
    ingest(source="s", corpus="one", split="train")
    assert manifest("one").splits == ("train",) and manifest("one").rows == 1
    with pytest.raises(SpecError, match=r"split: .* has test, train, not 'val'"):
        ingest(source="s", corpus="none", split="val")
    ingest(corpus="given", split="day=1")
    assert manifest("given").splits == ("day=1",)


@pytest.mark.parametrize("split", ["../up", "a/b", "a b", ".", "", "é", "x" * 101, "a..b"])
def test_odd_names_of_splits_are_refused(split: str) -> None:
    put(Path("t"), {"1.jpg": b"1", "t.csv": f'p,s\n1.jpg,"{split or "/"}"\n'.encode()})
    with pytest.raises(JobFailed, match="cannot be the name of a folder"):
        ingest(source="t/t.csv", layout="table", path_column="p", split_column="s")
    assert list(Path("made").rglob("*.parquet")) == []


GROUPS = "sex: {female: [f, F], male: [m]}\nage: [1, 2]\n"


def people(rows: str, **words: Any) -> Report:
    put(Path("t"), {**{f"{n}.jpg": b"x" for n in range(5)}, "t.csv": f"p,sex,age\n{rows}".encode()})
    return ingest(source="t/t.csv", layout="table", path_column="p", **words)


def test_groups_are_spelt_as_declared() -> None:
    put(Path(), {"groups.yaml": GROUPS.encode()})
    people("0.jpg,f,1\n1.jpg,male,2\n2.jpg,,1\n3.jpg,F,2\n", groups="groups.yaml")
    assert [(row["sex"], row["age"]) for row in records()] == [
        ("female", "1"), ("male", "2"), (None, "1"), ("female", "2"),
    ]  # fmt: skip
    found = manifest()
    assert dict(found.groups) == {"sex": ("female", "male"), "age": ("1", "2")}
    assert dict(found.columns) == {"sex": "string", "age": "string"}
    with pytest.raises(JobFailed, match="undeclared value 'f'"):
        put(Path("u"), {"9.jpg": b"x", "t.csv": b"p,sex,age\n9.jpg,f,1\n"})
        ingest(source="u/t.csv", layout="table", path_column="p")


def test_undeclared_values_and_columns_are_refused_with_the_nearest() -> None:
    put(Path(), {"groups.yaml": GROUPS.encode()})
    with pytest.raises(
        JobFailed, match=r"column sex has the undeclared value 'femal', first at 1\.jpg; did you mean fem"
    ):
        people("0.jpg,f,1\n1.jpg,femal,2\n", groups="groups.yaml")
    put(Path(), {"groups.yaml": b"sexx: [f]\n"})
    with pytest.raises(SpecError, match="groups: no column 'sexx'; did you mean sex"):
        people("0.jpg,f,1\n", groups="groups.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sex: {f: [x], m: [x]}", "spells both f and m as 'x'"), ("sex: [yes, no]", "put it in quotes"),
        ("[sex]", "must map columns"), ("sex: 3", "must be a list"), ("sex: [", "cannot be read"), ("", "must map"),
    ],
)  # fmt: skip
def test_group_files_that_say_nothing_are_refused(text: str, message: str) -> None:
    put(Path(), {"groups.yaml": text.encode()})
    with pytest.raises(SpecError, match=message):
        people("0.jpg,f,1\n", groups="groups.yaml")


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        ({"source": "nowhere"}, SpecError, "source: there is nothing at nowhere"),
        ({"source": "raw/cat/00.jpg"}, SpecError, "is not a folder"),
        ({"layout": "imagefoldr"}, SpecError, "layout: .* did you mean imagefolder"),
        ({"label_column": "x"}, SpecError, "label_column: the layout imagefolder does not read it"),
        ({"layout": "table", "source": "raw"}, SpecError, "is not a file"),
        ({"groups": "none.yaml"}, SpecError, r"groups: none\.yaml cannot be read"),
        ({"layout": "imagenet"}, JobFailed, "not laid out as ImageNet"),
    ],
)
def test_wrong_words_are_one_line(words: Mapping[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as failed:
        ingest(**words)
    assert "\n" not in str(failed.value)
    assert not Path("made/corpus.json").exists()


def test_an_empty_folder_says_what_it_saw() -> None:
    put(Path("bare"), {"a/readme.txt": b"x"})
    with pytest.raises(JobFailed, match=r"bare holds no images .*1 file left out: .*a/readme\.txt"):
        ingest(source="bare")


def test_a_file_that_vanishes_stops_the_job_and_the_rest_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    from jobs.intake import drive

    spread = drive.pool.spread

    def losing(tasks: Any, make: Any, workers: int) -> Any:
        for number, found in enumerate(spread(tasks, make, workers)):
            if number == 1:
                os.unlink("raw/dog/07.jpg")
            yield found

    with monkeypatch.context() as patch:
        patch.setattr(drive.pool, "spread", losing)
        with pytest.raises(JobFailed, match=r"part-00003\.parquet: .*dog/07\.jpg"):
            ingest(shard_rows=5)
    assert not Path("made/corpus.json").exists() and len(tree()) == 3
    put(Path("raw"), {"dog/07.jpg": FILES["dog/07.jpg"]})
    assert "3 finished shards of an earlier attempt were kept" in ingest(shard_rows=5).notes


def test_a_second_job_on_one_corpus_stops() -> None:
    with storage.claim("made"), pytest.raises(JobFailed, match="another job is writing there"):
        ingest()


def test_a_damaged_manifest_is_refused_and_kept() -> None:
    put(Path("made"), {"corpus.json": b'{"name": "cut'})
    with pytest.raises(JobFailed, match=r"corpus\.json cannot be read"):
        ingest()
    assert Path("made/corpus.json").read_bytes() == b'{"name": "cut'


def test_name_and_licence_can_be_set_later() -> None:
    ingest()
    ingest(licence="MIT", name="pets")
    found = manifest()
    assert (found.name, found.licence, found.version, found.rows) == ("pets", "MIT", 2, 16)


def test_the_estimate_writes_nothing() -> None:
    found = Ingest(source="raw", layout="imagefolder", corpus="made", shard_rows=5).estimate(None)  # type: ignore[arg-type]
    assert found["images"] == "16"
    assert found["bytes to read"] == size_text(sum(map(len, FILES.values())))
    assert found["output size"].endswith("in 4 shards")
    assert not Path("made").exists()


def test_a_layout_of_the_users_own() -> None:
    code = (
        "import pyarrow as pa\nfrom vision.layout import ENTRY, Layout, Listing\n"
        "def scan(source, options):\n"
        "    row = {'id': 'x', 'split': None, 'file': 'cat/00.jpg', 'offset': 1, 'length': 2, 'modified': ''}\n"
        "    return Listing(pa.schema([]), [pa.Table.from_pylist([row], ENTRY)])\n"
        "SLICES = Layout('slices', scan)\n"
    )
    put(Path("mine"), {"my_slices.py": code.encode()})
    ingest(layout="my_slices:SLICES", code="mine")
    assert records() == [{"id": "x", "image": b"at"}]
    with pytest.raises(SpecError, match="keep: images inside"):
        ingest(layout="my_slices:SLICES", code="mine", keep="reference", corpus="other")


def test_real_collections(shared_images: Path) -> None:
    report = ingest(
        source=str(shared_images / "imagenet/labels.csv"), layout="table", path_column="file",
        label_column="class_index", split="test", shard_rows=100,
    )  # fmt: skip
    assert report.tables["splits"].to_pylist()[0]["rows"] == 300
    wanted = {row["id"]: row["sha256"] for row in records()}
    assert all(hashlib.sha256(row["image"]).hexdigest() == wanted[row["id"]] for row in records())
    ingest(
        source=str(shared_images / "cifar10/cifar10_subset.parquet"), layout="table", image_column="image",
        label_column="label", split_column="split", corpus="cifar", shard_mb=2,
    )  # fmt: skip
    assert {split: sum(s.rows for s in manifest("cifar").present(split)) for split in ("test", "train")} == {
        "test": 1000, "train": 10000,
    }  # fmt: skip


def test_two_workers_write_what_one_process_writes(ray_session: None) -> None:
    put(Path("raw"), {f"cat/x{n:03d}.jpg": os.urandom(n) for n in range(60)})
    ingest(shard_rows=7, corpus="one")
    ingest(shard_rows=7, corpus="two", workers=2)
    ours = {Path(path).relative_to("one"): data for path, data in tree("one").items()}
    assert {Path(path).relative_to("two"): data for path, data in tree("two").items()} == ours
    assert manifest("one").digest == manifest("two").digest
    said = json.loads(Path("one/corpus.json").read_text())
    assert {**json.loads(Path("two/corpus.json").read_text()), "name": "one"} == said
