"""`run partition`: the same cells for any sharding, order and crew; only new shards are read; bad input is one line."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import storage
from jobs.partition import Partition
from jobs.partitioning import output
from jobs.spec import JobFailed, Plain, Report, SpecError
from tests.geo import PHOTOS, clustered_places, photos, shared_geo, split, write_corpus
from vision.accumulator import Array
from vision.corpus import Corpus
from vision.geolocation import s2, stored
from vision.geolocation.cells import Rule, partition
from vision.geolocation.counts import Leaves
from vision.geolocation.means import means, sums
from vision.geolocation.stored import Cells
from vision.sphere import positions

RULE: dict[str, Any] = {"t_max": 200, "t_min": 10, "min_level": 1}


def run(**fields: Any) -> Report:
    return Partition(**{"workers": 0, **RULE, **fields}).run()


def data_bytes(path: str | Path) -> bytes:
    """The file of cells without what it says of its corpus."""
    buffer = io.BytesIO()
    pq.write_table(pq.read_table(path).replace_schema_metadata(None), buffer)
    return buffer.getvalue()


def expected(table: pa.Table, rule: Rule) -> Cells:
    """The same from the definition's own parts, in one piece."""
    latitude, longitude = (np.array(table[name].to_numpy(), float) for name in ("latitude", "longitude"))
    good = (np.abs(latitude) <= 90) & (np.abs(longitude) <= 180) & ~((latitude == 0) & (longitude == 0))
    leaves = Leaves.of(s2.ids(latitude[good], longitude[good]))
    found = partition(leaves, rule)
    return Cells(found.cells, found.counts, means(sums(leaves, found.cells), found.counts))


@pytest.mark.parametrize("parts", [1, 2, 7])
def test_any_sharding_in_any_order_gives_the_same_cells(parts: int, tmp_path: Path) -> None:
    whole = expected(photos(), Rule(200, 10, 1))
    for seed in (0, 1):
        corpus = write_corpus(tmp_path / f"{parts}-{seed}", split(photos(), parts, seed))
        report = run(corpus=corpus, output=str(tmp_path / f"{parts}-{seed}.parquet"))
        assert report.output is not None
        assert output.read(report.output).digest == whole.digest
        run(table=_as_table(tmp_path), output=str(tmp_path / "table.parquet"))
        assert data_bytes(report.output) == data_bytes(tmp_path / "table.parquet")
    assert len(whole) > 40
    assert s2.level(whole.ids).max() == 30, "one spot has too many photos for any cell"


def _as_table(tmp_path: Path) -> str:
    if not (tmp_path / "photos.parquet").exists():
        pq.write_table(photos(), tmp_path / "photos.parquet")
    return str(tmp_path / "photos.parquet")


def test_workers_on_ray_give_the_bytes_of_one_process(tmp_path: Path, ray_session: None) -> None:
    corpus = write_corpus(tmp_path / "corpus", split(photos(), 7, 3))
    for name, workers in (("one", 0), ("ray", 2)):
        (tmp_path / name).mkdir()
        run(corpus=corpus, output=str(tmp_path / name / "cells.parquet"), workers=workers)
    one, ray = (tmp_path / name / "cells.parquet" for name in ("one", "ray"))
    assert one.read_bytes() == ray.read_bytes()


def test_small_shards_are_asked_about_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from jobs.partitioning import worker

    asked: list[int] = []
    answer = worker.Surveyor.__call__

    def watched(self: worker.Surveyor, task: worker.Task) -> worker.Answer:
        asked.append(len(task.sources))
        return answer(self, task)

    monkeypatch.setattr(worker.Surveyor, "__call__", watched)
    corpus = write_corpus(tmp_path / "corpus", split(photos(), 50, 0))
    run(corpus=corpus, output="cells.parquet")
    assert output.read("cells.parquet").digest == expected(photos(), Rule(200, 10, 1)).digest
    assert set(asked) <= {13, 12, 11}, "four tasks for one worker"
    assert sum(asked) % 50 == 0
    # Level 10, 15, 20, 25, 30 (one spot is too full for any cell), and the sums.
    assert len(asked) == 4 * 6


def test_rejected_positions_are_counted_by_reason(tmp_path: Path) -> None:
    report = run(corpus=write_corpus(tmp_path / "corpus", split(photos(), 3, 0)), output="cells.parquet")
    reasons = {row["reason"]: row["photos"] for row in report.tables["rejected"].to_pylist()}
    assert reasons == {
        "exactly 0, 0": 10,
        "not a finite number": 10,
        "latitude outside -90..90": 10,
        "longitude outside -180..180": 10,
        "missing": 10,
    }
    assert output.read("cells.parquet").about["rejected"] == reasons
    assert report.metrics["kept"].n == PHOTOS - 50
    assert "50 positions were rejected" in report.notes[1]
    levels = report.tables["levels"].to_pylist()
    assert sum(row["cells"] for row in levels) == len(output.read("cells.parquet"))


def test_new_shards_are_counted_without_the_old(tmp_path: Path) -> None:
    shards = split(photos(), 5, 4)
    corpus = write_corpus(tmp_path / "corpus", shards[:3])
    run(corpus=corpus, output="cells.parquet")
    first = Corpus.from_json((tmp_path / "corpus/corpus.json").read_text())
    write_corpus(tmp_path / "corpus", shards[3:], version=2, before=first)
    for shard in first.shards:
        (tmp_path / "corpus" / shard.file).unlink()  # whoever reads one of the old shards fails
    said: list[str] = []
    context = Plain()
    context.log = said.append  # type: ignore[method-assign]
    Partition(corpus=corpus, output="cells.parquet", workers=0, **RULE).run(context)
    assert output.read("cells.parquet").digest == expected(photos(), Rule(200, 10, 1)).digest
    assert output.read("cells.parquet").about["corpus_version"] == "2"
    assert said == ["3 of 5 shards were counted before"]


def test_what_was_counted_before_a_failure_is_not_counted_again(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", split(photos(), 5, 4))
    last = tmp_path / "corpus/all/part-00004.parquet"
    data = last.read_bytes()
    last.unlink()
    with pytest.raises(JobFailed, match=r"part-00004.parquet is missing"):
        run(corpus=corpus, output="cells.parquet")
    last.write_bytes(data)
    for number in range(4):
        (tmp_path / f"corpus/all/part-{number:05d}.parquet").unlink()
    run(corpus=corpus, output="cells.parquet")
    assert output.read("cells.parquet").digest == expected(photos(), Rule(200, 10, 1)).digest


def test_other_cells_of_the_same_photos_are_made_of_what_is_kept(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", split(photos(), 3, 5))
    run(corpus=corpus, output="cells.parquet")
    for file in (tmp_path / "corpus/all").iterdir():
        file.unlink()
    with pytest.raises(SpecError, match=r"holds other cells: t_max is 200 there and 50 now; choose another --output"):
        run(corpus=corpus, output="cells.parquet", t_max=50)
    Path("cells.parquet").unlink()
    run(corpus=corpus, output="cells.parquet", t_max=50)
    assert output.read("cells.parquet").digest == expected(photos(), Rule(50, 10, 1)).digest


def test_a_withdrawn_shard_leaves_nothing(tmp_path: Path) -> None:
    shards = split(photos(), 3, 6)
    corpus = write_corpus(tmp_path / "corpus", shards)
    run(corpus=corpus, output="cells.parquet")
    assert len(storage.files("cells.parquet.state")) == 3
    write_corpus(tmp_path / "corpus", shards[:2])
    run(corpus=corpus, output="cells.parquet")
    assert len(storage.files("cells.parquet.state")) == 2
    assert output.read("cells.parquet").digest == expected(pa.concat_tables(shards[:2]), Rule(200, 10, 1)).digest


def test_nothing_is_kept_where_that_is_asked_for(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", split(photos(), 3, 6))
    run(corpus=corpus, output="cells.parquet", keep_state=False)
    assert storage.files("cells.parquet.state") == []
    assert output.read("cells.parquet").digest == expected(photos(), Rule(200, 10, 1)).digest


def test_kept_ids_that_are_damaged_or_of_another_shard_are_made_again(tmp_path: Path) -> None:
    shards = split(photos(), 3, 7)
    corpus = write_corpus(tmp_path / "corpus", shards)
    run(corpus=corpus, output="cells.parquet")
    kept = sorted(Path("cells.parquet.state/all").iterdir())
    kept[0].write_bytes(kept[0].read_bytes()[:500])
    kept[1].write_bytes(kept[2].read_bytes())
    run(corpus=corpus, output="cells.parquet")
    assert output.read("cells.parquet").digest == expected(photos(), Rule(200, 10, 1)).digest


@pytest.mark.parametrize(
    "subset",
    [{"where": "author IN ('a1', 'a2')"}, {"limit": 1234}, {"sample": 2000, "seed": 3}, {"sample": 900, "limit": 400}],
)
def test_subsets_are_those_of_every_reader(subset: dict[str, Any], tmp_path: Path) -> None:
    shards = [photos().slice(0, 3000), photos().slice(3000)]
    corpus = write_corpus(tmp_path / "corpus", shards)
    run(corpus=corpus, output="corpus.parquet", **subset)
    run(table=_as_table(tmp_path), output="table.parquet", **subset)
    assert data_bytes("corpus.parquet") == data_bytes("table.parquet")
    about = output.read("corpus.parquet").about
    assert {name: about[name] for name in subset} == subset
    if "where" in subset:
        authors = np.array(photos()["author"].to_pylist())
        chosen = photos().filter(pa.array(np.isin(authors, ["a1", "a2"])))
        assert output.read("corpus.parquet").digest == expected(chosen, Rule(200, 10, 1)).digest
    with pytest.raises(SpecError, match="holds other cells"):
        run(corpus=corpus, output="corpus.parquet")


def test_positions_that_came_later(tmp_path: Path) -> None:
    bare = photos().drop_columns(["latitude", "longitude"])
    corpus = write_corpus(tmp_path / "corpus", split(bare, 3, 8))
    run(corpus=corpus, output="joined.parquet", join=_as_table(tmp_path))
    assert output.read("joined.parquet").digest == expected(photos(), Rule(200, 10, 1)).digest
    with pytest.raises(SpecError, match="has no column 'latitude' for latitude"):
        run(corpus=corpus, output="other.parquet")


def test_a_table_with_names_of_its_own_and_counts(tmp_path: Path) -> None:
    latitude, longitude = clustered_places(3000)
    count = np.random.default_rng(0).integers(0, 4, 3000)
    with open("mine.csv", "w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["LAT", "LON", "n", "file"])
        rows.writerows(zip(latitude.tolist(), longitude.tolist(), count.tolist(), range(3000), strict=True))
    run(table="mine.csv", columns=("latitude=LAT", "longitude=LON", "count=n"), output="cells.parquet")
    table = pa.table({"latitude": latitude, "longitude": longitude}).take(pa.array(np.repeat(np.arange(3000), count)))
    assert output.read("cells.parquet").digest == expected(table, Rule(200, 10, 1)).digest


def test_outlines_are_written_beside(tmp_path: Path) -> None:
    run(table=_as_table(tmp_path), output="cells.parquet", geojson="cells.geojson")
    found = json.loads(Path("cells.geojson").read_text())
    assert len(found["features"]) == len(output.read("cells.parquet"))


def test_a_published_table_is_checked_and_kept(tmp_path: Path) -> None:
    cells = expected(photos(), Rule(200, 10, 1))
    latitude, longitude = positions(cells.means)
    tokens = s2.tokens(cells.ids).tolist()
    lines = [f"{n},{tokens[n]},{cells.counts[n]},{latitude[n]},{longitude[n]}" for n in range(len(cells))][::-1]
    header = "class_label,s2,imgs_per_cell,latitude_mean,longitude_mean"
    Path("published.csv").write_text("\n".join([header, *lines]))
    report = run(published="published.csv", columns=("token=s2",), output="cells.parquet")
    found = output.read("cells.parquet")
    assert np.array_equal(found.ids, cells.ids)
    assert found.labels is None, "classes are the rows"
    assert report.metrics == {}
    damaged = [lines[0].replace(tokens[-1], "4.7E+064"), *lines[1:]]
    Path("damaged.csv").write_text("\n".join([header, *damaged]))
    with pytest.raises(JobFailed, match=rf"damaged\.csv: 1 of {len(cells)} tokens are damaged .* in lines 2") as caught:
        run(published="damaged.csv", columns=("token=s2",), output="other.parquet")
    assert caught.value.details == ("line 2: '4.7E+064'",)
    assert not Path("other.parquet").exists()


def test_two_jobs_on_one_output(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", split(photos(), 2, 6))
    with storage.claim("cells.parquet.state"), pytest.raises(JobFailed, match="another job is writing there"):
        run(corpus=corpus, output="cells.parquet")


def test_no_photos_are_no_cells(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", [photos().slice(0, 0), photos().slice(5, 1)])
    report = run(corpus=corpus, output="cells.parquet")
    assert len(output.read("cells.parquet")) == 0
    assert report.metrics["kept"].n == 0
    assert report.notes[0] == "0 cells hold 0 photos with a position"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "takes one of --corpus, --table and --published, got none"),
        ({"table": "t.csv", "corpus": "c"}, "got corpus and table"),
        ({"table": "none.csv"}, "no such table"),
        ({"table": "t.csv"}, "has no column 'latitude' for latitude; did you mean Latitude?"),
        ({"table": "t.csv", "columns": ("latitude=Latitude", "longitude=Place")}, "Place holds string and not numbers"),
        ({"table": "t.csv", "columns": ("lat=Latitude",)}, "no role 'lat'; did you mean latitude?"),
        ({"table": "t.csv", "columns": ("latitude=",)}, "latitude=NAME is expected"),
        ({"table": "t.csv", "columns": ("latitude=Latitude", "longitude=Latitude", "count=Place")}, "whole number"),
        ({"table": "t.csv", "columns": ("latitude=Latitude", "longitude=Latitude", "count=Less")}, "holds -3, which"),
        ({"table": "t.csv", "t_min": 500}, "0 <= t_min <= t_max"),
        ({"table": "t.csv", "min_level": 7, "max_level": 3}, "got 7 and 3"),
        ({"table": "t.csv", "output": "t.csv"}, "is there and holds no cells"),
        ({"published": "none.csv"}, "no such table"),
        ({"published": "t.csv", "where": "true"}, "where: nothing is chosen from --published"),
        ({"table": "t.csv", "split": "test"}, "split: nothing is chosen from --table"),
        ({"corpus": "c", "columns": ("count=n",)}, "count and id are roles in a table"),
        ({"published": "t.csv", "columns": ("place=Place",)}, "no role 'place'"),
    ],
)
def test_wrong_words_are_one_line(fields: dict[str, Any], message: str) -> None:
    Path("t.csv").write_text("Latitude,Place,Less\n1.5,here,-3\n2.5,there,2\n")
    with pytest.raises(SpecError) as caught:
        run(**{"output": "cells.parquet", **fields})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not Path("cells.parquet").exists()


def test_a_missing_and_a_damaged_shard(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", split(photos(), 2, 6))
    shard = tmp_path / "corpus/all/part-00001.parquet"
    shard.write_bytes(shard.read_bytes()[:3000])
    with pytest.raises(JobFailed, match=r"part-00001.parquet cannot be read"):
        run(corpus=corpus, output="cells.parquet")
    shard.unlink()
    with pytest.raises(JobFailed, match=r"part-00001.parquet is missing: the corpus is not whole"):
        run(corpus=corpus, output="cells.parquet")
    assert not Path("cells.parquet").exists()


def test_what_a_run_would_cost(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", split(photos(), 2, 6))
    facts = Partition(corpus=corpus, output="cells.parquet").estimate(Plain())
    assert facts["photos"] == "5,000 in 2 shards"
    assert facts["state"].startswith("39.1 KiB in ")


def test_golden_cells_through_the_job() -> None:
    folder = shared_geo()
    fields = {"table": str(folder / "photo_coords_60k.csv"), "columns": ("latitude=LAT", "longitude=LON")}
    run(**fields, t_max=500, t_min=50, min_level=2, drop="at-most", output="cells.parquet")
    cells = output.read("cells.parquet")
    lines = sorted(f"{a},{b}" for a, b in zip(s2.tokens(cells.ids).tolist(), cells.counts.tolist(), strict=True))
    assert (len(cells), int(cells.counts.sum())) == (267, 56692)
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16] == "af1a24f98b37a417"
    run(published=str(folder / "cells_50_5000.csv"), output="published.parquet")
    assert len(output.read("published.parquet")) == 3298
    with pytest.raises(JobFailed, match="121 of 3,298 tokens") as caught:
        run(published=str(folder / "cells_50_5000_translocator.csv"), output="damaged.parquet")
    assert len(caught.value.details) == 121


def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", split(photos(), 2, 6))
    run(corpus=corpus, output="cells.parquet")
    about = stored.about(pq.read_schema("cells.parquet"))
    digest: Array | str = Corpus.from_json((tmp_path / "corpus/corpus.json").read_text()).digest
    assert about["corpus_digest"] == digest
    assert (about["t_max"], about["t_min"], about["min_level"], about["drop"]) == (200, 10, 1, "below")
    assert about["split"] == "all"
