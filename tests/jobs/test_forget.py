"""Forgotten records are found nowhere: not in files, not inside Parquet, not in what MLflow keeps."""

from __future__ import annotations

import base64
import io
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from cluster.journal import Journal, pending
from cluster.settings import Settings, from_environment
from cluster.tracking import Watched, tracked
from jobs import storage
from jobs.engine import commit
from jobs.evaluate import Evaluate
from jobs.explain import Explain
from jobs.forget import Forget
from jobs.forgetting import shards
from jobs.forgetting.cells import LEFT
from jobs.ingest import Ingest
from jobs.intake.ids import STATES
from jobs.partition import Partition
from jobs.predict import Predict
from jobs.records import open_corpus
from jobs.spec import Job, JobFailed, Plain, Report, SpecError
from jobs.verifying import problems
from tests.making import CLASSES, picture, tree
from tests.placed import cells_of, places_of
from vision import names
from vision.geolocation import s2
from vision.geolocation.globe import Globe
from vision.model import Model, save
from vision.preprocessing import Preprocessing

LOST = ("disc/jane-doe.jpg", "square/00004.jpg", "stripes/broken.jpg")
MARK = b"a mark that only the forgotten pictures bear"


def marked(label: int, seed: int) -> bytes:
    """A picture with the mark in its bytes, as a JPEG comment."""
    buffer = io.BytesIO()
    Image.open(io.BytesIO(picture(label, seed))).save(buffer, "JPEG", quality=90, comment=MARK)
    return buffer.getvalue()


def make_source(folder: Path, count: int = 30) -> None:
    """Three classes; the records in `LOST` bear the mark, and one of them is broken."""
    files = {f"{CLASSES[n % 3]}/{n:05d}.jpg": picture(n % 3, n) for n in range(count)}
    files |= {LOST[0]: marked(2, 77), LOST[1]: marked(1, 4), LOST[2]: MARK}
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def ids_file(*ids: str) -> str:
    Path("../gone.txt").write_text("".join(f"{id_}\n" for id_ in ids))
    return str(Path("../gone.txt").resolve())


def everything(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Every file with its bytes; of Parquet also all metadata and columns, decompressed."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        yield path, path.read_bytes()
        if path.suffix == ".parquet":
            shard = pq.ParquetFile(path)
            yield path, repr((shard.schema_arrow.metadata, shard.metadata.metadata)).encode()
            for column in shard.read().to_pydict().values():
                for value in column:
                    yield path, value if isinstance(value, bytes) else str(value).encode()


def traces(folder: Path, *ids: str) -> set[str]:
    """Where an id or the mark still is."""
    words = [id_.encode() for id_ in ids] + [MARK]
    return {f"{path.relative_to(folder)}: {w!r}" for path, data in everything(folder) for w in words if w in data}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A working folder with the source beside it, so that what is left in the folder is all ours."""
    make_source(tmp_path / "source")
    folder = tmp_path / "place"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return from_environment({}, folder)


def run(job: Job, here: Settings) -> tuple[Report, str]:
    report, run_id = tracked(job, lambda _: None, lambda _: None, here)
    assert run_id is not None
    return report, run_id


def ingest(here: Settings | None = None, **words: Any) -> Report:
    job = Ingest(
        **{"source": "../source", "layout": "imagefolder", "corpus": "c", "shard_rows": 8, "workers": 0, **words}
    )
    return job.run() if here is None else run(job, here)[0]


def forget(*ids: str, **words: Any) -> Report:
    return Forget(**{"corpus": "c", "ids": ids_file(*ids), **words}).run()


def rows(folder: str | Path, corpus: str = "c") -> dict[str, Any]:
    url, manifest = open_corpus(corpus)
    return {row["id"]: row for s in manifest.present() for row in pq.read_table(Path(url) / s.file).to_pylist()}


def whole(corpus: str = "c") -> bool:
    return not list(problems(corpus, lambda _: None))


def test_nothing_is_left_anywhere(here: Settings, small_model: str) -> None:
    ingest(here)
    words = {"corpus": "c", "model": small_model, "workers": 0, "max_errors": 0.5}
    _, scored = run(Evaluate(**words), here)
    run(Predict(**words, output="elsewhere/out", embedding="tanh4", where=f"id <> '{LOST[0]}'"), here)
    with pytest.raises(JobFailed):
        run(Predict(**words | {"max_errors": 0.0}, output="failed"), here)
    failing = next(iter((here.home / "mlruns").rglob("log.txt")), here.home / "mlruns" / scored / "artifacts/log.txt")
    failing.write_text(f"looked at {LOST[0]}, and at {LOST[1]}: well\n")
    assert len(traces(here.home, *LOST)) > 8, "there is something to be found"
    page = here.home / "mlruns" / scored / "artifacts/report.html"
    figures = page.read_text().count("<img ")

    report, _ = run(Forget(corpus="c", ids=ids_file(*LOST)), here)
    assert traces(here.home, *LOST) == set()
    assert whole()
    assert 0 < page.read_text().count("<img ") <= figures
    assert "3 records are forgotten: version 2" in report.notes
    touched = report.tables["touched"].to_pylist()
    assert {row["what"] for row in touched} >= {"records", "answers", "file", "param"}
    assert sum(row["rows"] for row in touched if row["what"] == "records") == 3


def test_pictures_and_rows_leave_the_page_of_a_report(here: Settings, small_model: str) -> None:
    ingest(here)
    _, scored = run(Evaluate(corpus="c", model=small_model, workers=0, max_errors=0.5), here)
    page = here.home / "mlruns" / scored / "artifacts/report.html"
    before = page.read_text()
    assert f'alt="{LOST[0]}"' in before, "stripes that lie among the discs are called wrong"
    assert "<td>stripes/broken.jpg</td>" in before
    run(Forget(corpus="c", ids=ids_file(*LOST)), here)
    after = page.read_text()
    assert after.count("<img ") == before.count("<img ") - sum(before.count(f'alt="{id_}"') for id_ in LOST)
    assert "(forgotten)" not in after, "whole figures and rows went, and not only names"
    assert pq.read_table(page.parent / "tables/errors.parquet").num_rows == 0


def test_answers_that_stay_are_those_that_predict_would_make(here: Settings, small_model: str) -> None:
    ingest()
    words = {"model": small_model, "workers": 0, "max_errors": 0.5}
    Predict(corpus="c", output="out", **words).run()
    forget(*LOST, outputs=("out",))
    left = tree("out")
    Predict(corpus="c", output="fresh", **words).run()
    assert {n: d for n, d in left.items() if n.endswith("parquet")} == {
        n: d for n, d in tree("fresh").items() if n.endswith("parquet")
    }
    times = {path: path.stat().st_mtime_ns for path in Path("out").rglob("*.parquet")}
    Predict(corpus="c", output="out", **words).run()
    assert {path: path.stat().st_mtime_ns for path in Path("out").rglob("*.parquet")} == times, "nothing was made again"
    assert tree("out") == tree("fresh")


def test_finished_predictions_can_be_scored_before_and_after_the_next_predict(
    here: Settings, small_model: str, caplog: pytest.LogCaptureFixture
) -> None:
    ingest()
    words = {"model": small_model, "workers": 0, "max_errors": 0.5}
    Predict(corpus="c", output="out", **words).run()
    forget(*LOST, outputs=("out",))
    scored = Evaluate(predictions="out").run().metrics["top1"]
    assert scored.n == 29, "32 records, less three of which one was broken"
    assert "held records that were forgotten since" in caplog.text
    again = Evaluate(corpus="c", output="out", **words).run().metrics["top1"]
    assert scored == again


@pytest.mark.parametrize("subset", [{"limit": 20}, {"sample": 20}, {"where": "label = 1"}])
def test_answers_to_a_subset_stay_right(here: Settings, small_model: str, subset: dict[str, Any]) -> None:
    ingest()
    words = {"corpus": "c", "model": small_model, "workers": 0, "max_errors": 0.5, **subset}
    Predict(output="out", **words).run()
    forget(*LOST, outputs=("out",))
    assert traces(here.home, *LOST) == set()
    assert Evaluate(predictions="out", **subset).run().metrics["top1"].n > 5
    Predict(output="out", **words).run()
    Predict(output="fresh", **words).run()
    if "sample" not in subset:
        assert tree("out") == tree("fresh")


def test_every_version_loses_them_and_says_so(here: Settings, caplog: pytest.LogCaptureFixture) -> None:
    ingest()
    before = rows("c")
    (Path("../source") / "disc" / "later.jpg").write_bytes(picture(0, 99))
    ingest()
    forget(LOST[0])
    forget(LOST[1])
    assert open_corpus("c")[1].version == 4
    caplog.clear()
    past = rows("c", "c@1")
    assert past == {id_: row for id_, row in before.items() if id_ not in LOST[:2]}
    assert [record.getMessage() for record in caplog.records] == [
        f"{here.home}/c@1: {record.getMessage().split(': ')[1].split(' ')[0]} of its shards held records that were "
        "forgotten since; they are withdrawn, and the rest is read"
        for record in caplog.records
    ]
    assert set(rows("c", "c@2")) == {*past, "disc/later.jpg"}
    caplog.clear()
    assert set(rows("c", "c@4")) == {*past, "disc/later.jpg"}
    assert not caplog.records
    assert whole() and whole("c@1")


def test_they_do_not_come_back(here: Settings) -> None:
    ingest()
    forget(*LOST)
    notes = ingest().notes
    assert "3 records were forgotten before and stay out" in notes
    assert "nothing new: the corpus is as it was" in notes
    (Path("../source") / "disc" / "later.jpg").write_bytes(picture(0, 99))
    ingest()
    assert "disc/later.jpg" in rows("c")
    assert not set(rows("c")) & set(LOST)
    assert traces(here.home, *LOST) == set()
    manifest = json.loads(Path("c/corpus.json").read_text())
    assert len(manifest["forgotten"]["marks"]) == 3


def test_footers_know_the_records_that_stay_and_no_others(here: Settings) -> None:
    ingest()
    old = {hit.shard.file for hit in shards.holding(str(Path("c").resolve()), open_corpus("c")[1], _ids(*LOST))}
    states = [pq.read_metadata(Path("c", file)).metadata[STATES] for file in old]
    forget(*LOST)
    assert states
    for data in tree("c").values():
        assert not any(state in data for state in states), "hashes of forgotten records"
    new = [shard for shard in open_corpus("c")[1].present() if shard.replaces]
    for shard in new:
        assert len(base64.b64decode(pq.read_metadata(Path("c", shard.file)).metadata[STATES])) == 8 * shard.rows
    kept = pq.read_table(Path("c", new[0].file))["id"][0].as_py()
    Path("../source", kept).write_bytes(b"another picture")
    with pytest.raises(JobFailed, match="1 records changed"):
        ingest()


def test_the_command(here: Settings, small_model: str) -> None:
    """In a process of its own, where MLflow is not imported yet."""

    def safelight(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cluster.cli", *words]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    ingest()
    Predict(corpus="c", model=small_model, output="c.predictions/p", workers=0, max_errors=0.5).run()
    command = ("run", "forget", "--corpus", "c", "--ids", ids_file(*LOST))
    done = safelight(*command)
    assert done.returncode == 0, done.stderr
    assert "3 records are forgotten: version 2" in done.stdout
    assert traces(here.home, *LOST) == set()
    assert safelight(*command).returncode == 0
    unknown = safelight("run", "forget", "--corpus", "c", "--ids", ids_file("nobody-knows.jpg"))
    assert unknown.returncode == 1
    assert unknown.stderr.startswith("safelight: none of the 1 ids in ")
    past = safelight("show", "c@1")
    assert past.returncode == 0
    assert "c@1: 2 of its shards held records that were forgotten since" in past.stderr


def test_again_is_harmless(here: Settings) -> None:
    ingest()
    forget(*LOST)
    held = tree("c")
    report = forget(*LOST)
    assert tree("c") == held
    assert "3 ids were forgotten before" in report.notes
    assert report.tables["touched"].num_rows == 0


def test_what_is_not_there_is_told_by_its_line(here: Settings) -> None:
    ingest()
    report = forget("nobody-knows.jpg", LOST[0], "nor-this-one.jpg")
    assert any(note.startswith("2 ids were not found (line 1, 3 of ") for note in report.notes)
    assert "nobody" not in str(report)
    held = tree("c")
    with pytest.raises(JobFailed, match=r"none of the 1 ids in .*gone\.txt is or was in"):
        forget("nobody-knows.jpg")
    assert tree("c") == held


def test_a_shard_of_which_nothing_is_left_goes(here: Settings, small_model: str) -> None:
    ingest()
    Predict(corpus="c", model=small_model, output="out", workers=0, max_errors=0.5).run()
    first = open_corpus("c")[1].present()[0]
    lost = pq.read_table(Path("c") / first.file)["id"].to_pylist()
    forget(*lost, outputs=("out",))
    assert set(lost).isdisjoint(rows("c"))
    assert not Path("c", first.file).exists() and not Path("out", first.file).exists()
    assert whole()
    assert Evaluate(predictions="out").run().metrics["top1"].n == 32 - len(lost) - 1


@pytest.mark.parametrize("dies_at", ["upload", "replace", "remove", "purge"])
def test_a_crash_and_the_same_again_end_in_the_same_state(
    here: Settings, small_model: str, monkeypatch: pytest.MonkeyPatch, dies_at: str
) -> None:
    ingest()
    Predict(corpus="c", model=small_model, output="c.predictions/p", workers=0, max_errors=0.5).run()
    wanted = set(rows("c")) - set(LOST)
    with monkeypatch.context() as broken:
        if dies_at == "purge":
            broken.setattr(commit, "read_manifest", _dies)
        else:
            broken.setattr(storage, dies_at, _second_dies(getattr(storage, dies_at)) if dies_at == "upload" else _dies)
        with pytest.raises(RuntimeError, match="killed here"):
            forget(*LOST)
    assert set(rows("c")) in (wanted, wanted | set(LOST)), "a record is wholly there or gone"
    forget(*LOST)
    assert set(rows("c")) == wanted
    assert whole()
    assert traces(here.home, *LOST) == set()
    assert Evaluate(predictions="c.predictions/p").run().metrics["top1"].n == 29


def _dies(*_: Any, **__: Any) -> Any:
    raise RuntimeError("killed here")


def _second_dies(real: Any) -> Any:
    calls: list[str] = []

    def upload(url: str) -> Any:
        calls.append(url)
        return real(url) if len(calls) == 1 else _dies()

    return upload


def test_two_at_once_are_refused(here: Settings, small_model: str) -> None:
    ingest()
    Predict(corpus="c", model=small_model, output="out", workers=0, max_errors=0.5).run()
    held = tree("c")
    for place in ("c", "out"):
        with storage.claim(place), pytest.raises(JobFailed, match="another job is writing there"):
            forget(*LOST, outputs=("out",))
    assert tree("c") == held


def test_a_damaged_shard_is_not_made_good(here: Settings) -> None:
    ingest()
    hits = shards.holding(str(Path("c").resolve()), open_corpus("c")[1], _ids(LOST[0]))
    path = Path("c", hits[0].shard.file)
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    with pytest.raises(JobFailed, match="is damaged"):
        forget(LOST[0])


def _ids(*ids: str) -> Any:
    from jobs.forgetting.ids import Ids

    return Ids({id_: n for n, id_ in enumerate(ids)})


def test_references_go_and_their_files_stay_and_a_file_that_went_is_gone(here: Settings, small_model: str) -> None:
    ingest(keep="reference")
    lost = Path("../source/square/00007.jpg")
    lost.unlink()
    Predict(corpus="c", model=small_model, output="out", workers=0, max_errors=0.5).run()
    found = {
        row["id"]: row["error"] for path in Path("out").rglob("*.parquet") for row in pq.read_table(path).to_pylist()
    }
    assert found["square/00007.jpg"] == f"gone: {lost.resolve()}"
    report = forget(*LOST, outputs=("out",))
    assert any("are still there" in note for note in report.notes)
    assert Path("../source", LOST[0]).exists()
    assert traces(here.home, *LOST) == set()
    assert whole()


def test_ids_come_as_lines_or_tables(here: Settings) -> None:
    from jobs.forgetting.ids import Ids

    Path("a.txt").write_text("\ufeffone\n\ntwo words \none\n")
    Path("a.csv").write_text("id,why\n007,asked\n8,moved\n")
    pq.write_table(pa.table({"id": [7, 8]}), "a.parquet")
    assert Ids.read("a.txt").lines == {"one": 1, "two words": 3}
    assert list(Ids.read("a.csv").lines) == ["007", "8"]
    assert list(Ids.read("a.parquet").lines) == ["7", "8"]
    Path("b.csv").write_text("name\nx\n")
    Path("empty.txt").write_text("\n")
    Path("b.txt").write_bytes(b"\xff\xfe\x00")
    for file, why in [
        ("b.csv", "no column 'id'"),
        ("empty.txt", "no ids"),
        ("b.txt", "UTF-8"),
        ("no.txt", "cannot be read"),
    ]:
        with pytest.raises(SpecError, match=why):
            Ids.read(file)


def test_text_is_changed_where_an_id_cannot_be_taken_for_a_word() -> None:
    ids = _ids("17", "disc", "cat/1.jpg", "jane-doe")
    text = "17 of 20 disc images; cat/1.jpg, cat/11.jpg, (jane-doe) and mary-jane-doe-smith2 jane-doe2"
    assert ids.scrubbed(text) == (
        "17 of 20 disc images; (forgotten), cat/11.jpg, ((forgotten)) and mary-(forgotten)-smith2 jane-doe2"
    )


def test_records_that_wait_on_disk_are_cleaned(here: Settings) -> None:
    ingest()
    journal = Journal.create(here.state, "predict", here.tracking_uri)
    head = json.loads((journal.folder / "head.json").read_text()) | {"started_ms": 0}
    (journal.folder / "head.json").write_text(json.dumps(head))  # of a process that is no more
    journal.append({"kind": "params", "values": {"corpus": "c"}})
    journal.append({"kind": "tags", "values": {"safelight.error": f"{LOST[0]} changed"}})
    sent = journal.unsent()[0][1]
    journal.acknowledge(sent)
    journal.file("log.txt").write_text(f"looked at {LOST[0]}")
    Forget(corpus="c", ids=ids_file(*LOST)).run(Watched(here, lambda _: None, lambda _: None))
    assert traces(here.home, *LOST) == set()
    (left,) = pending(here.state)
    assert [event["values"] for event, _ in left.unsent()] == [{"safelight.error": "(forgotten) changed"}]


def test_runs_of_other_corpora_are_left_alone(here: Settings, small_model: str) -> None:
    ingest(here)
    ingest(here, corpus="other")
    _, theirs = run(Evaluate(corpus="other", model=small_model, workers=0, max_errors=0.5), here)
    folder = here.home / "mlruns" / theirs
    before = tree(folder)
    run(Forget(corpus="c", ids=ids_file(*LOST)), here)
    assert tree(folder) == before
    assert LOST[0] in rows("other", "other")


def test_the_database_keeps_nothing_in_its_free_space(here: Settings) -> None:
    ingest(here)
    (Path("../source") / LOST[0]).write_bytes(picture(0, 5) + b"longer")
    with pytest.raises(JobFailed, match="changed"):
        ingest(here)
    assert LOST[0].encode() in (here.home / "mlflow.db").read_bytes()
    run(Forget(corpus="c", ids=ids_file(*LOST)), here)
    assert traces(here.home, *LOST) == set()
    with sqlite3.connect(here.home / "mlflow.db") as database:
        assert database.execute("SELECT count(*) FROM tags WHERE value LIKE '%(forgotten)%'").fetchone()[0] == 1


def test_dry_run_says_what_would_be_rewritten(here: Settings) -> None:
    ingest()
    job = Forget(corpus="c", ids=ids_file(*LOST, "unknown.jpg"))
    held = tree("c")
    facts = job.estimate(Watched(here, lambda _: None, lambda _: None))
    assert facts["records"] == "3 of 4 ids are there"
    assert tree("c") == held


def test_a_version_cannot_be_named(here: Settings) -> None:
    ingest()
    with pytest.raises(SpecError, match="all versions"):
        forget(LOST[0], corpus="c@1")


def placed(count: int) -> None:
    """Photos in towns of their own, half a degree from each other, in a table beside the working folder."""
    lines = ["file,lat,lon,author"]
    for number in range(count):
        Path(f"../source/{number:05d}.jpg").write_bytes(picture(number % 3, number))
        lines.append(f"{number:05d}.jpg,{40 + number / 2},{10 + number / 2},jane-{number:05d}")
    Path("../source/photos.csv").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("recorded", [True, False])
def test_positions_beside_cells_go_too(here: Settings, recorded: bool) -> None:
    placed(30)
    words = {"source": "../source/photos.csv", "layout": "geotagged", "path_column": "file"}
    cells = Partition(corpus="c", output="cells.parquet", t_max=10, t_min=1, workers=0)
    gone = ("00003.jpg", "00017.jpg", "00018.jpg")
    ingest(here if recorded else None, **words)
    (run(cells, here)) if recorded else cells.run()
    leaves = [s2.ids(np.array([40 + n / 2]), np.array([10 + n / 2]))[0].tobytes() for n in (3, 17, 18)]
    kept = {path: path.read_bytes() for path in Path("cells.parquet.state").rglob("*.arrow")}
    assert len(kept) == 4 and all(any(leaf in data for data in kept.values()) for leaf in leaves)
    job = Forget(corpus="c", ids=ids_file(*gone), outputs=() if recorded else ("cells.parquet",))
    report = run(job, here)[0] if recorded else job.run()
    touched = [row["place"] for row in report.tables["touched"].to_pylist() if row["what"] == "positions of a shard"]
    assert sorted(touched) == sorted(
        str(path.resolve()) for path, data in kept.items() if any(x in data for x in leaves)
    )
    left = [path.read_bytes() for path in Path("cells.parquet.state").rglob("*.arrow")]
    assert len(left) == len(kept) - len(touched) and not any(leaf in data for leaf in leaves for data in left)
    assert not traces(Path(), *gone, "jane-00003", "jane-00017", "jane-00018")
    assert sum(pq.read_table("cells.parquet")["count"].to_pylist()) == 30
    told = [row for row in report.tables["touched"].to_pylist() if row["what"] == LEFT]
    assert told == [{"place": str(Path("cells.parquet").resolve()), "what": LEFT, "rows": 0}]
    Partition(corpus="c", output="again.parquet", t_max=10, t_min=1, workers=0).run()
    cells.run()
    more = Forget(corpus="c", ids=ids_file("00003.jpg", "00017.jpg"), outputs=("cells.parquet", "again.parquet"))
    assert not [row for row in more.run().tables["touched"].to_pylist() if row["what"] == LEFT], "counted again since"
    assert pq.read_table("cells.parquet").equals(pq.read_table("again.parquet"))
    assert sum(pq.read_table("cells.parquet")["count"].to_pylist()) == 27


def test_cells_without_positions_beside_them_are_named_until_they_are_partitioned_again(here: Settings) -> None:
    placed(30)
    ingest(source="../source/photos.csv", layout="geotagged", path_column="file")
    bare = Partition(corpus="c", output="cells.parquet", t_max=10, t_min=1, workers=0, keep_state=False)
    bare.run()
    job = Forget(corpus="c", ids=ids_file("00003.jpg"), outputs=("cells.parquet",))
    assert job.estimate(Plain())["cells to partition again"] == str(Path("cells.parquet").resolve())
    for _ in range(2):  # told again by the next attempt, as long as it is so
        found = job.run().tables["touched"].to_pylist()
        assert [row["place"] for row in found if row["what"] == LEFT] == [str(Path("cells.parquet").resolve())]
    bare.run()
    assert LEFT not in job.run().tables["touched"]["what"].to_pylist()


def test_positions_of_other_corpora_are_left_alone(here: Settings) -> None:
    placed(20)
    words = {"source": "../source/photos.csv", "layout": "geotagged", "path_column": "file"}
    for name in ("c", "d"):
        ingest(corpus=name, **words)
        Partition(corpus=name, output=f"{name}.parquet", t_max=10, t_min=1, workers=0).run()
    before = sorted(Path("d.parquet.state").rglob("*.arrow"))
    forget("00003.jpg", outputs=("d.parquet", "c.parquet"))
    assert sorted(Path("d.parquet.state").rglob("*.arrow")) == before
    assert len(list(Path("c.parquet.state").rglob("*.arrow"))) == len(before) - 1
    with pytest.raises(SpecError, match=r"nowhere\.parquet: no predictions there"):
        forget("00004.jpg", outputs=("nowhere.parquet",))


def test_maps_lose_them_too(here: Settings) -> None:
    cells = cells_of(places_of(2000, 77), 600)
    globe = Globe.of([("cells", cells)])
    arguments = {"depth": 1, "classes": globe.outputs}
    look = Preprocessing(resize=(32, 32), crop=None)
    net = Model("nets.chain:chain", look, "", arguments, task="geolocation", decoding=globe.to_dict())
    save(net, Path("net"), net=names.net(net.net, arguments))
    placed(12)
    ingest(here, source="../source/photos.csv", layout="geotagged", path_column="file")
    words: dict[str, Any] = {"corpus": "c", "model": "net", "workers": 0, "kernel": "torch"}
    _, scored = run(Evaluate(**words), here)
    _, one = run(Explain(**words, square=16, id="00003.jpg"), here)
    _, other = run(Explain(**words, square=16, id="00004.jpg"), here)
    before = [(here.home / "mlruns" / run_id / "artifacts/report.html").read_text() for run_id in (scored, one, other)]
    assert [text.count("data-id=") for text in before] == [12, 2, 2]
    run(Forget(corpus="c", ids=ids_file("00003.jpg")), here)
    after = [(here.home / "mlruns" / run_id / "artifacts/report.html").read_text() for run_id in (scored, one, other)]
    assert [text.count("data-id=") for text in after] == [11, 0, 2] and [text.count("<svg") for text in after][1] < 4
    tables = here.home / "mlruns" / one / "artifacts/tables"
    assert {pq.read_table(tables / f"{name}.parquet").num_rows for name in ("map", "map_probability")} == {0}
    assert not traces(Path(), "00003.jpg", "jane-00003")
