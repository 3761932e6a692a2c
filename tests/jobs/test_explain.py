"""`run explain`: a map beside every answer, exactly once, that shows what was planted; one photo with its places."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from jobs import page
from jobs.evaluate import Evaluate
from jobs.explain import Explain
from jobs.spec import Plain, SpecError
from tests.making import CLASSES, CorpusMaker, Row
from tests.placed import cells_of, places_of, write_corpus
from vision.geolocation.globe import Globe
from vision.model import Model, save
from vision.nets.chain import chain
from vision.occlusion import Occlusion, share_within
from vision.preprocessing import Preprocessing

LOOK = Preprocessing(resize=(32, 32), crop=None, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
CUE = (20, 8, 28, 16)
"""x0, y0, x1, y1: where red stands for the last class, in 32 x 32 pixels."""


def photos(count: int) -> list[Row]:
    """Noise of class 0; in every second photo a red square, which makes it class 2."""
    rows: list[Row] = []
    for number in range(count):
        pixels = np.random.default_rng(number).integers(60, 120, (32, 32, 3))
        pixels[CUE[1] : CUE[3], CUE[0] : CUE[2], 0] += 120 * (number % 2)
        buffer = io.BytesIO()
        Image.fromarray(pixels.astype(np.uint8)).save(buffer, "PNG")
        rows.append((f"{number:05d}.png", buffer.getvalue(), number % 2 * 2))
    return rows


def model(folder: str, classes: int = 3, weight: float = 30.0, **about: Any) -> str:
    """A net made by hand: the red within the cue, and nothing else, moves its last class up and the others down."""
    import torch

    net = chain(1, classes)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        first, last = (module for module in net.modules() if isinstance(module, torch.nn.Linear))
        # The net averages to 8 x 8: the cue is four of the red channel's places.
        for row, column in ((2, 5), (2, 6), (3, 5), (3, 6)):
            first.weight[0, row * 8 + column] = 0.25
        last.weight[-1, 0], last.bias[-1] = weight, -weight * 0.5
    names = CLASSES if classes == 3 else None
    save(
        Model("nets.chain:chain", LOOK, "", {"depth": 1, "classes": classes}, classes=names, **about),
        Path(folder),
        net=net,
    )
    return folder


def explained(corpus: str, **changed: Any) -> Explain:
    fields: dict[str, Any] = {
        "corpus": corpus,
        "model": ("red",),
        "output": "out",
        "square": 8,
        "stride": 4,
        "workers": 0,
        "kernel": "torch",
    }
    return Explain(**{**fields, **changed})


def maps(folder: str) -> dict[str, Any]:
    tables = [pq.read_table(file) for file in sorted(Path(folder).rglob("*.parquet"))]
    return {row["id"]: row for table in tables for row in table.to_pylist()}


def test_every_answer_has_a_map_and_the_planted_cue_is_in_it(make_corpus: CorpusMaker) -> None:
    model("red")
    report = explained(make_corpus(photos(23))).run()
    rows, method = maps("out"), Occlusion(8, 4)
    assert len(rows) == 23 and all(len(row["map"]) == 7 * 7 for row in rows.values())
    area = (CUE[2] - CUE[0]) * (CUE[3] - CUE[1]) / 32**2
    for number in range(1, 23, 2):
        row = rows[f"{number:05d}.png"]
        assert row["label"] == row["explained"] == 2
        assert share_within(method.heat(np.array(row["map"]), (32, 32)), CUE) > 0.4 > 6 * area
    assert report.metrics["mapped"].value == 1.0 and report.metrics["largest_drop"].value > 1
    mean = report.tables["mean_map"].to_pylist()
    best = max(mean, key=lambda row: row["drop"])
    assert (best["top"], best["left"], best["n"]) == (8, 20, 23) and best["low"] < best["drop"] < best["high"]
    assert report.examples[0].id[-5] in "13579" and len(report.examples) == 12
    html = page.render(report, "explain", {})
    assert "nats the log-probability" in html and html.count("data:image/jpeg") == 12


def test_a_second_run_does_nothing_and_evaluate_takes_the_answers(make_corpus: CorpusMaker) -> None:
    model("red")
    corpus = make_corpus(photos(20))
    first = explained(corpus).run()
    times = {file: file.stat().st_mtime_ns for file in Path("out").rglob("*.parquet")}
    again = explained(corpus).run()
    assert times == {file: file.stat().st_mtime_ns for file in Path("out").rglob("*.parquet")}
    assert again.metrics == first.metrics and again.tables["mean_map"].equals(first.tables["mean_map"])
    assert Evaluate(predictions="out").run().metrics["top1"].value == 1.0
    with pytest.raises(SpecError, match="out holds other predictions: stride is 4 there and 8 now"):
        explained(corpus, stride=8).run()


def test_shards_and_batches_do_not_matter(make_corpus: CorpusMaker) -> None:
    model("red")
    explained(make_corpus(photos(20), "a", shard_rows=20), output="one").run()
    explained(make_corpus(photos(20), "b", shard_rows=3), output="two").run()
    assert maps("one") == maps("two")


@pytest.mark.slow
def test_workers_do_not_matter(make_corpus: CorpusMaker, ray_session: None) -> None:
    model("red")
    corpus = make_corpus(photos(24))
    net = (str(Path("red").resolve()),)  # workers have working folders of their own
    explained(corpus, output="one", model=net).run()
    explained(corpus, output="two", model=net, workers=2).run()
    assert maps("one") == maps("two")


def test_a_dry_run_writes_nothing(make_corpus: CorpusMaker) -> None:
    model("red")
    facts = explained(make_corpus(photos(24))).estimate(Plain())
    assert facts["images"] == "24 of 24" and "images/s each" in facts["hours"] and not Path("out").exists()


def test_the_truth_can_be_explained_where_it_is_known(make_corpus: CorpusMaker) -> None:
    model("red")
    rows = [
        (id_, data, None if n == 3 else 2 - label)
        for n, (id_, data, label) in enumerate(photos(6))
        for label in [n % 2 * 2]
    ]
    explained(make_corpus(rows), explains="truth").run()
    found = maps("out")
    assert found["00003.png"]["map"] is None and found["00003.png"]["explained"] is None
    # A red photo that is said to be plain: covering the red makes that likelier.
    assert found["00001.png"]["explained"] == 0 and min(found["00001.png"]["map"]) < -1


def test_a_broken_photo_is_a_row_without_a_map(make_corpus: CorpusMaker) -> None:
    model("red")
    report = explained(make_corpus([*photos(5), ("broken.png", b"\x89PNG nothing", 1)]), max_errors=0.5).run()
    row = maps("out")["broken.png"]
    assert row["map"] is None and row["error"] and report.errors == 1
    assert (report.metrics["mapped"].value, report.metrics["mapped"].n) == (5 / 6, 6)


def test_one_photo(make_corpus: CorpusMaker) -> None:
    model("red")
    corpus = make_corpus(photos(25))
    report = explained(corpus, id="00017.png").run()
    assert list(maps("out")) == ["00017.png"] and [one.id for one in report.examples] == ["00017.png"]
    assert report.tables["map"].num_rows == 49 and "mean_map" not in report.tables
    for field, value in (
        ("id", "nobody's.png"),
        ("where", "label = 1"),
        ("geojson", "maps"),
        ("crops", "5"),
        ("square", 33),
    ):
        asked = {"id": "00017.png", field: value} if field != "square" else {field: value}
        with pytest.raises(SpecError, match=f"^{field}|does not fit into 32 x 32"):
            explained(corpus, output="other", **asked).run()
    assert not Path("other").exists()
    with pytest.raises(SpecError, match="geojson: the map of cells is one photo's: give its --id"):
        explained(corpus, output="other", geojson="maps").run()


def test_a_photo_of_a_place_has_a_map_of_its_cells() -> None:
    cells = cells_of(places_of(2000, 77), 600)
    globe = Globe.of([("cells", cells)])
    model("red", globe.outputs, weight=3.0, task="geolocation", decoding=globe.to_dict())
    corpus = write_corpus(Path("photos"), {"test": 45})
    whole = explained(corpus, explains="truth").run()
    rows = maps("out")
    assert whole.metrics["mapped"].value > 0.9 and {row["explained"] for row in rows.values()} > {0, 1}
    report = explained(corpus, output="one", id="test-00021.png", geojson="maps").run()
    table = report.tables["map_probability"]
    assert sum(table["probability"].to_pylist()) > 0.99
    answer = maps("one")["test-00021.png"]
    assert table["token"][0].as_py() == answer["cell"]
    marks = json.loads(Path("maps/map_probability.geojson").read_text())["features"][:2]
    assert [one["properties"]["mark"] for one in marks] == ["taken here", "answered"]
    html = page.render(report, "explain", {})
    assert "Map probability" in html and "taken here" in html
