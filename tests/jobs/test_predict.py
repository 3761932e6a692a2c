"""Bulk inference: every record once, resumed by shard, refused where it would mix."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from jobs.predict import Predict
from jobs.spec import JobFailed, Plain, SpecError
from tests.making import CorpusMaker, Row, rows_of, train_small, tree


def answers(output: str | Path) -> list[dict[str, object]]:
    return [row for path in sorted(Path(output).rglob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def test_one_row_for_each_record_in_the_same_order(make_corpus: CorpusMaker, small_model: str) -> None:
    rows = rows_of(23)
    report = Predict(corpus=make_corpus(rows), model=small_model, output="out", workers=0).run()
    found = answers("out")
    assert [row["id"] for row in found] == [id_ for id_, _, _ in rows]
    assert all(row["error"] is None and 0 < row["score"] <= 1 for row in found)
    assert report.errors == 0
    right = sum(row["label"] == label for row, (_, _, label) in zip(found, rows, strict=True))
    assert right > 15, "the small net knows discs from stripes"


def test_a_broken_image_is_a_row_that_says_why(make_corpus: CorpusMaker, small_model: str) -> None:
    rows: list[Row] = rows_of(12)
    rows[3] = ("broken.jpg", b"not an image", 0)
    rows[7] = ("empty.jpg", b"", 1)
    report = Predict(corpus=make_corpus(rows), model=small_model, output="out", workers=0, max_errors=0.5).run()
    found = {row["id"]: row for row in answers("out")}
    assert report.errors == 2
    assert found["broken.jpg"]["label"] is None
    assert found["broken.jpg"]["error"]
    assert "empty" in found["empty.jpg"]["error"] or "zero" in found["empty.jpg"]["error"]
    # Its neighbours answer as they do without it.
    alone = Predict(corpus=make_corpus(rows_of(12), "good"), model=small_model, output="alone", workers=0)
    alone.run()
    others = {row["id"]: row for row in answers("alone")}
    assert all(found[id_] == others[id_] for id_ in found if id_ in others)


def test_too_many_broken_images_fail_with_the_list_and_keep_what_is_done(
    make_corpus: CorpusMaker, small_model: str
) -> None:
    rows: list[Row] = [*rows_of(18), ("x.jpg", b"x", 0), ("y.jpg", b"", 0)]
    job = Predict(corpus=make_corpus(rows, shard_rows=5), model=small_model, output="out", workers=0)
    with pytest.raises(JobFailed, match="2 of 20 images are broken") as failed:
        job.run()
    assert [line.split(":")[0] for line in failed.value.details] == ["x.jpg", "y.jpg"]
    assert len(answers("out")) == 20
    manifest = json.loads(Path("out/predictions.json").read_text())
    assert manifest["complete"] is False
    job.model_copy(update={"max_errors": 0.2}).run()
    assert json.loads(Path("out/predictions.json").read_text())["complete"] is True


def test_a_rerun_does_only_what_is_missing(make_corpus: CorpusMaker, small_model: str) -> None:
    job = Predict(corpus=make_corpus(rows_of(40)), model=small_model, output="out", workers=0)
    job.run()
    whole = tree("out")
    missing = Path("out/test/part-00002.parquet")
    missing.unlink()
    kept = {path: path.stat().st_mtime_ns for path in Path("out/test").glob("*.parquet")}
    job.run()
    assert tree("out") == whole
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())


def test_a_half_written_shard_is_made_again(make_corpus: CorpusMaker, small_model: str) -> None:
    job = Predict(corpus=make_corpus(rows_of(20)), model=small_model, output="out", workers=0)
    job.run()
    whole = tree("out")
    shard = Path("out/test/part-00001.parquet")
    shard.write_bytes(shard.read_bytes()[:100])
    job.run()
    assert tree("out") == whole


def test_an_added_shard_costs_only_that_shard(make_corpus: CorpusMaker, small_model: str) -> None:
    folder = make_corpus(rows_of(20))
    job = Predict(corpus=folder, model=small_model, output="out", workers=0)
    job.run()
    before = {path: path.stat().st_mtime_ns for path in Path("out").rglob("*.parquet")}
    make_corpus(rows_of(30))  # the same two shards, and a third
    job.run()
    after = {path: path.stat().st_mtime_ns for path in Path("out").rglob("*.parquet")}
    assert len(after) == 3
    assert all(after[path] == when for path, when in before.items())


def test_another_model_never_fills_up_a_half_done_output(make_corpus: CorpusMaker, small_model: str) -> None:
    folder = make_corpus(rows_of(10))
    Predict(corpus=folder, model=small_model, output="out", workers=0).run()
    other = json.loads(Path(small_model, "model.json").read_text())
    assert other["digest"]
    with pytest.raises(SpecError, match=r"out holds other predictions: kernel is .*batch-4.* there and .*batch-2"):
        Predict(corpus=folder, model=small_model, output="out", workers=0, batch_size=2).run()
    with pytest.raises(SpecError, match="where is None there and 'label = 1' now"):
        Predict(corpus=folder, model=small_model, output="out", workers=0, where="label = 1").run()


def test_shards_and_batches_do_not_change_an_answer(make_corpus: CorpusMaker, small_model: str) -> None:
    rows = rows_of(30)
    found = []
    for shard_rows in (1, 7, 30):
        folder = make_corpus(rows, f"c{shard_rows}", shard_rows=shard_rows)
        Predict(corpus=folder, model=small_model, output=f"out{shard_rows}", workers=0).run()
        found.append(answers(f"out{shard_rows}"))
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_on_ray_give_the_same_files(
    make_corpus: CorpusMaker, small_model: str, ray_session: None, workers: int
) -> None:
    folder = make_corpus(rows_of(25), shard_rows=4)
    Predict(corpus=folder, model=small_model, output="here", workers=0).run()
    Predict(corpus=folder, model=small_model, output="there", workers=workers).run()
    assert tree("here") == tree("there")


def test_a_shard_shared_by_workers_is_the_shard_of_one(
    make_corpus: CorpusMaker, small_model: str, ray_session: None
) -> None:
    rows: list[Row] = [*rows_of(30), ("torn.jpg", b"", 0), *rows_of(10, start=31)]
    folder = make_corpus(rows, shard_rows=41)  # one shard of eleven row groups
    fields = {"corpus": folder, "model": small_model, "keep_logits": True, "embedding": "tanh4", "max_errors": 0.1}
    Predict(**fields, output="here", workers=0).run()
    Predict(**fields, output="there", workers=2).run()
    assert tree("here") == tree("there")
    assert not list(Path("there").rglob(".*")), "no piece, claim or temporary file is left"


def test_what_a_killed_job_left_is_swept(make_corpus: CorpusMaker, small_model: str) -> None:
    Path("out/test").mkdir(parents=True)
    Path("out/test/.part-00000.parquet.00003").write_bytes(b"answers of a row group")
    Path("out/test/.part-00000.parquet.abc.tmp").write_bytes(b"half a shard")
    Predict(corpus=make_corpus(rows_of(10)), model=small_model, output="out", workers=0).run()
    assert not list(Path("out").rglob(".*"))


def test_logits_and_embeddings_are_kept_when_asked(make_corpus: CorpusMaker, small_model: str) -> None:
    folder = make_corpus([*rows_of(5), ("z.jpg", b"", 0)])
    Predict(
        corpus=folder, model=small_model, output="out", workers=0, keep_logits=True, embedding="tanh4", max_errors=1.0
    ).run()
    found = answers("out")
    assert [len(row["logits"]) for row in found[:5]] == [3] * 5
    assert [len(row["embedding"]) for row in found[:5]] == [84] * 5
    assert found[5]["logits"] is None
    with pytest.raises(ValueError, match="no layer 'fc9'"):
        Predict(corpus=folder, model=small_model, output="other", workers=0, embedding="fc9").run()


def test_a_damaged_or_missing_shard_is_named(make_corpus: CorpusMaker, small_model: str) -> None:
    folder = Path(make_corpus(rows_of(20)))
    shard = folder / "test/part-00001.parquet"
    data = bytearray(shard.read_bytes())
    data[200] ^= 1
    shard.write_bytes(data)
    job = Predict(corpus=str(folder), model=small_model, output="out", workers=0)
    with pytest.raises(JobFailed, match=r"part-00001.parquet is damaged"):
        job.run()
    shard.unlink()
    with pytest.raises(JobFailed, match=r"part-00001.parquet is missing"):
        job.run()


def test_two_jobs_on_one_output(make_corpus: CorpusMaker, small_model: str) -> None:
    from jobs import storage

    folder = make_corpus(rows_of(4))
    with storage.claim("out"), pytest.raises(JobFailed, match="another job is writing there"):
        Predict(corpus=folder, model=small_model, output="out", workers=0).run()


def test_a_folder_of_something_else_is_left_alone(make_corpus: CorpusMaker, small_model: str) -> None:
    Path("out").mkdir()
    Path("out/thesis.tex").write_text("years of work")
    with pytest.raises(SpecError, match="not empty and holds no predictions"):
        Predict(corpus=make_corpus(rows_of(4)), model=small_model, output="out", workers=0).run()
    assert Path("out/thesis.tex").read_text() == "years of work"


def test_subsets(make_corpus: CorpusMaker, small_model: str) -> None:
    rows = rows_of(60)
    folder = make_corpus(rows)

    def ids(**subset: object) -> list[str]:
        name = "-".join(f"{k}{v}" for k, v in subset.items()).replace("/", "")
        job = Predict(corpus=folder, model=small_model, output=f"out-{name}", workers=0, **subset)
        job.run()
        return [str(row["id"]) for row in answers(job.output)]

    everything = [id_ for id_, _, _ in rows]
    assert ids(where="label = 1 AND sex = 'f'") == [i for n, i in enumerate(everything) if n % 3 == 1 and n % 2 == 0]
    assert ids(limit=13) == everything[:13]
    assert ids(where="label = 2", limit=5) == everything[2:15:3]
    drawn = ids(sample=12)
    assert len(drawn) == 12
    assert drawn == sorted(drawn) != ids(sample=12, seed=1)
    assert set(ids(sample=6)) < set(drawn), "a smaller sample lies within a larger one"
    even = ids(sample=12, stratify="label")
    assert sorted(int(i[:5]) % 3 for i in even) == [0] * 4 + [1] * 4 + [2] * 4
    with pytest.raises(SpecError, match=r"where: .*colour"):
        ids(where="colour = 'red'")
    with pytest.raises(SpecError, match=r"where: .*colour"):
        Predict(corpus=folder, model=small_model, output="red", workers=0, where="colour = 'red'").run()
    assert not Path("red").exists(), "nothing begins that cannot be read"


def test_a_sample_stays_when_the_corpus_grows(make_corpus: CorpusMaker, small_model: str) -> None:
    found = []
    for count in (60, 70):
        folder = make_corpus(rows_of(count), f"c{count}")
        Predict(corpus=folder, model=small_model, output=f"out{count}", workers=0, sample=20).run()
        found.append({row["id"] for row in answers(f"out{count}")})
    old = {id_ for id_ in found[1] if int(str(id_)[:5]) < 60}
    assert old <= found[0]
    assert len(found[0]) == len(found[1]) == 20


def test_a_sample_of_a_grown_corpus_is_made_anew_in_the_same_place(make_corpus: CorpusMaker, small_model: str) -> None:
    for count in (60, 90):
        job = Predict(corpus=make_corpus(rows_of(count)), model=small_model, output="out", workers=0, sample=20)
        job.run()
        assert len(answers("out")) == 20


def test_several_models_in_one_pass_answer_as_they_do_alone(
    make_corpus: CorpusMaker, small_model: str, tmp_path: Path
) -> None:
    folder, other = make_corpus([*rows_of(20), ("torn.jpg", b"", 0)], shard_rows=8), train_small(tmp_path / "other", 2)
    shared = {"corpus": folder, "workers": 0, "max_errors": 0.5}
    job = Predict(model=(small_model, other), output="together", **shared)
    parts = job.parts()
    assert [Path(part.output).name for part in parts] == ["small", "other"]
    reports = Predict.run_all(parts, [Plain(), Plain()])
    assert [report.errors for report in reports] == [1, 1]
    for model, name in ((small_model, "small"), (other, "other")):
        Predict(model=model, output=f"alone/{name}", **shared).run()
    assert tree("together") == tree("alone")
    with pytest.raises(SpecError, match="several models give several reports"):
        job.run()


def test_one_failing_model_does_not_stop_the_rest(make_corpus: CorpusMaker, small_model: str, tmp_path: Path) -> None:
    folder = make_corpus(rows_of(20), shard_rows=8)
    torn = train_small(tmp_path / "torn", 1)
    Path(torn, "weights.safetensors").write_bytes(b"torn")
    job = Predict(corpus=folder, model=(torn, small_model, "nowhere/at-all"), output="out", workers=0)
    reports = Predict.run_all(job.parts(), [Plain()] * 3)
    assert [type(report).__name__ for report in reports] == ["JobFailed", "Report", "ValueError"]
    assert "not a weights file" in str(reports[0])
    assert len(answers("out/small")) == 20
    assert json.loads(Path("out/torn/predictions.json").read_text())["complete"] is False


def test_models_need_names_of_their_own(make_corpus: CorpusMaker) -> None:
    with pytest.raises(SpecError, match="two of a/m, b/m have one name"):
        Predict(corpus="c", model=("a/m", "b/m"), output="out").parts()


def test_decoding_beside_a_gpu_gives_the_same_files(
    make_corpus: CorpusMaker, small_model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way a GPU is fed, threads that decode ahead, with the net on the CPU."""
    from jobs.engine.replica import Replica

    rows: list[Row] = [*rows_of(40), ("torn.jpg", b"", 0)]
    job = Predict(corpus=make_corpus(rows, shard_rows=20), model=small_model, output="plain", workers=0, max_errors=0.5)
    job.run()
    monkeypatch.setattr(Replica, "decoders", lambda _self: 3)
    job.model_copy(update={"output": "threads"}).run()
    assert tree("plain") == tree("threads")
