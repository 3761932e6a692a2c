"""A net that proofreads: taught on one crop, it ranks the errors of another; the same list for any blocks' workers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from jobs.proofread import Proofread
from jobs.segment import Segment
from jobs.spec import SpecError
from tests import neurites
from tests.em import shared_em
from tests.making import tree
from vision.connectomics.blocks import Box
from vision.connectomics.labelling import components

for module in ("zarr", "bioimage_cpp", "skimage", "torch"):
    pytest.importorskip(module)

BOX = Box((0, 0, 0), (48, 60, 120))


@pytest.fixture(autouse=True)
def _volumes() -> None:
    np.savez("v.npz", b=neurites.boundary(BOX, noise=120), t=components(neurites.labels(BOX)))


def proofread(**changed: Any) -> Proofread:
    fields: dict[str, Any] = {
        "boundaries": "v.npz#b", "truth": "v.npz#t", "output": "model", "roi": ":,:,:60", "side": 9, "faces": 2,
        "epochs": 3, "windows": (8,), "seed_below": (0.5,),
    }  # fmt: skip
    return Proofread(**{**fields, **changed})


def segment(**changed: Any) -> Segment:
    fields: dict[str, Any] = {
        "boundaries": "v.npz#b", "truth": "v.npz#t", "output": "out", "roi": ":,:,60:", "block": (48, 60, 30),
        "halo": (8,), "workers": 0, "thresholds": (0.2,), "threshold": 0.2, "window": 8, "candidates": 80,
    }  # fmt: skip
    return Segment(**{**fields, **changed})


def test_a_taught_net_ranks_the_list_of_another_crop() -> None:
    taught = proofread().run()
    loss = [row["value"] for row in taught.tables["learning"].to_pylist() if row["what"] == "loss"]
    assert len(loss) == 3 and loss[-1] < loss[0] and taught.metrics["right_places"].value > 0.7
    plain, ranked = segment(output="plain").run(), segment(proofreader="model").run()
    lists = [pq.read_table(f"{name}/candidates/0.2.parquet") for name in ("plain", "out")]
    assert lists[0].num_rows == lists[1].num_rows == 80 and not lists[0].equals(lists[1])
    gain = np.array(lists[1]["chance"]) * np.array(lists[1]["voxels"])
    assert (np.diff(gain) <= 1e-9).all()
    curves: dict[str, list[tuple[int, float]]] = {}
    for row in ranked.tables["proofreading"].to_pylist():
        curves.setdefault(row["score"], []).append((row["questions"], row["value"]))
    assert set(curves) == {"vi, by the proofreader", "vi, by the boundary"}
    before = [
        (row["questions"], row["value"]) for row in plain.tables["proofreading"].to_pylist() if row["score"] == "vi"
    ]
    assert curves["vi, by the boundary"] == before
    assert all(points[-1][1] < points[0][1] for points in curves.values())


def test_borders_are_looked_at_once() -> None:
    proofread(epochs=1).run()
    segment(proofreader="model").run()
    before = tree("out")
    again = segment(proofreader="model", threshold=0.4).run()
    made = {row["stage"]: row["count"] for row in again.tables["stages"].to_pylist() if row["what"] == "made now"}
    assert [count for stage, count in made.items() if stage.startswith("borders-")] == [0]
    next(Path("out").glob("borders-*/part-000001.parquet")).write_bytes(b"torn")
    segment(proofreader="model").run()
    after = tree("out")
    assert {name: after[name] for name in before} == before


@pytest.mark.slow
def test_workers_do_not_show(ray_session: None) -> None:
    proofread(epochs=1).run()
    for name, count in (("alone", 0), ("shared", 2)):
        segment(proofreader="model", output=name, workers=count).run()
    assert tree("shared") == tree("alone")


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"proofreader": "model", "candidates": 0}, r"proofreader: it ranks --candidates N, and none are asked for"),
        ({"proofreader": "nowhere"}, r"proofreader: nowhere: no model.json there"),
        ({"proofreader": "nets.lenet:lenet5"}, r"proofreader: nets.lenet:lenet5 is no model of borders"),
    ],
)
def test_wrong_proofreaders_are_one_line(fields: dict[str, Any], line: str) -> None:
    with pytest.raises(SpecError, match=line):
        segment(**fields).run()
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"side": 8}, r"side: pictures of a border have an odd side"),
        ({"windows": (0,)}, r"windows, seed_below: window must be at least 1 voxel, got 0"),
        ({"roi": "0:1"}, r"roi: a box is"),
        ({"truth": "v.npz#one"}, r"truth: .* all have one answer: there is nothing to learn from"),
        ({"truth": "v.npz#short"}, r"truth: --boundaries .* has .* voxels and --truth"),
        ({"volume": "v.npz#t"}, r"volume: .* holds uint32; probabilities are floats 0..1 or uint8"),
        ({"output": "s3://bucket/model"}, r"output: a model is taught on this machine"),
    ],
)
def test_wrong_words_are_one_line(fields: dict[str, Any], line: str) -> None:
    held = dict(np.load("v.npz"))
    np.savez("v.npz", **held, one=np.ones_like(held["t"]), short=held["t"][1:])
    with pytest.raises(SpecError, match=line):
        proofread(**fields).run()
    assert not Path("model").exists()


@pytest.mark.slow
def test_the_gala_crop_is_proofread_by_what_its_other_half_taught() -> None:
    """The train half alone teaches. Over 300 questions 0.33 bits are wrong on the mean, and 0.48 by the boundary."""
    found = shared_em("fib_gala_train")
    np.savez("gala.npz", p=found["p1"], t=found["gt"])
    Proofread(boundaries="gala.npz#p", truth="gala.npz#t", output="taught", roi=":,:,:100").run()
    fields = {"boundaries": "gala.npz#p", "truth": "gala.npz#t", "roi": ":,:,100:", "block": (50, 50, 50)}
    report = segment(**fields, halo=(16,), window=10, threshold=0.5, proofreader="taught", candidates=300).run()
    area = {}
    for name in ("vi, by the proofreader", "vi, by the boundary"):
        rows = [row for row in report.tables["proofreading"].to_pylist() if row["score"] == name]
        at = np.searchsorted([row["questions"] for row in rows], np.arange(301), side="right") - 1
        curve = np.array([row["value"] for row in rows])[at]
        area[name] = curve.mean()
        after = {questions: round(float(curve[questions]), 3) for questions in (0, 20, 50, 100, 200, 300)}
        print(f"{name}: {curve.mean():.3f} bits on the mean, by questions {after}")
    assert area["vi, by the proofreader"] < area["vi, by the boundary"]
