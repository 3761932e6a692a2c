"""A volume on S3, segmented to S3: the labels of local files; what is lost there is made again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs import s3, storage
from jobs.blockwise import Blockwise
from jobs.evaluate import Evaluate
from jobs.segment import Segment
from jobs.spec import Report, SpecError
from jobs.volumes.opening import opened
from jobs.volumes.writing import Target
from tests import neurites
from tests.making import tree
from tests.services.conftest import S3Server
from vision.accumulator import Array
from vision.connectomics.blocks import Box, Grid

pytest.importorskip("zarr")
pytest.importorskip("bioimage_cpp")

BOX = Box((0, 0, 0), (60, 70, 80))
WHOLE = neurites.boundary(BOX, noise=100)


def voxels(url: str | None) -> Array:
    return opened(url or "", "labels").read(BOX)


def segment(place: str, output: str, **changed: Any) -> Report:
    fields: dict[str, Any] = {"block": (32,), "halo": (8,), "workers": 0, "thresholds": (0.5,), **changed}
    return Segment(boundaries=f"{place}/b", truth=f"{place}/truth.npz#t", output=output, **fields).run()


def put(place: str) -> None:
    """A boundary map as zarr and the truth as npz, at a URL."""
    target = Target(f"{place}/b", Grid(WHOLE.shape, (32, 40, 48)), "uint8", (30, 5, 5), (60, 0, 10))
    target.begin()
    writer = target.writer()
    for block in target.grid:
        writer.write(block, WHOLE[block.write.slices])
    np.savez("truth.npz", t=neurites.labels(BOX))
    storage.write(f"{place}/truth.npz", Path("truth.npz").read_bytes())


def test_segmentation_on_s3(s3_server: S3Server) -> None:
    put("s3://data/volume")
    put("volume")
    there, here = segment("s3://data/volume", "s3://data/out"), segment("volume", "out")
    np.testing.assert_array_equal(voxels(there.output), voxels(here.output))
    assert str(there.metrics) == str(here.metrics)
    local = {name: data for name, data in tree("out").items() if not name.startswith("state/")}
    kept = [name for name in storage.files("s3://data/out") if not name.startswith("state/")]
    # Names of overlaps hold a digest of where the truth lies.
    assert sorted(local) == sorted(name if "overlaps" not in name else _like(name, local) for name in kept)
    # And what neuroglancer is told says where it reads.
    same = [name for name in kept if "overlaps" not in name and "neuroglancer" not in name]
    assert all(storage.read(f"s3://data/out/{name}") == local[name] for name in same)
    state = storage.read("s3://data/out/neuroglancer/0.5/state.json").decode()
    assert '"zarr://s3://data/out/labels/0.5"' in state
    lost = "s3://data/out/labels/0.5/0/c/1/1/1"
    before = storage.read(lost)
    storage.remove(lost)
    s3.put("s3://data/out/fragments/0/c/0/0/1", b"torn")
    again = segment("s3://data/volume", "s3://data/out")
    made = {row["stage"]: row["count"] for row in again.tables["stages"].to_pylist() if row["what"] == "made now"}
    assert made["relabel-0.5"] == made["fragments"] == 1 and made["edges"] == 0
    assert storage.read(lost) == before


def test_surfaces_and_centrelines_on_s3(s3_server: S3Server) -> None:
    pytest.importorskip("tensorstore")
    put("s3://data/volume")
    put("volume")
    asked: dict[str, Any] = {"meshes": True, "centrelines": True, "threshold": 0.9, "roi": "0:32,0:40,0:40"}
    segment("s3://data/volume", "s3://data/copies", **asked)
    segment("volume", "copies", **asked)
    for folder in ("precomputed/0.9/mesh", "precomputed/0.9/skeletons", "skeletons/0.9"):
        local = {name.removeprefix(f"{folder}/"): data for name, data in tree("copies").items() if folder in name}
        place = f"s3://data/copies/{folder}"
        assert local and {name: storage.read(f"{place}/{name}") for name in storage.files(place)} == local


def _like(name: str, local: dict[str, bytes]) -> str:
    return next(other for other in local if "overlaps" in other and other.rsplit("/", 1)[1] == name.rsplit("/", 1)[1])


def test_scores_of_volumes_on_s3(s3_server: S3Server) -> None:
    put("s3://data/volume")
    truth = "s3://data/volume/truth.npz#t"
    report = Evaluate(task="connectomics", truth=truth, predictions=truth, workers=0).run()
    assert report.metrics["vi"].value == 0


def test_a_function_on_s3(s3_server: S3Server) -> None:
    put("s3://data/volume")
    Path("mine").mkdir()
    Path("mine/on_s3.py").write_text("def inverted(voxels):\n    return 255 - voxels\n")
    report = Blockwise(
        volume="s3://data/volume/b", function="on_s3:inverted", code="mine", output="s3://data/inverted", block=(32,),
        workers=0,
    ).run()  # fmt: skip
    np.testing.assert_array_equal(voxels(report.output), 255 - WHOLE)
    assert opened(report.output or "", "volume").volume.offset_nm == (60, 0, 10)


def test_neuroglancer_reads_and_writes_s3(s3_server: S3Server) -> None:
    pytest.importorskip("tensorstore")
    put("s3://data/volume")
    report = segment("s3://data/volume", "s3://data/seen", precomputed=True)
    np.testing.assert_array_equal(voxels("s3://data/seen/precomputed/0.5"), voxels(report.output))


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("s3://data/volume/nothing", r"boundaries: s3://data/volume/nothing: no such volume"),
        ("s3://data/volume/truth.npz#q", r"boundaries: s3://data/volume/truth.npz#q has no array 'q'"),
        ("s3://nowhere/b", r"boundaries: s3://nowhere/b: no such volume"),
    ],
)
def test_what_is_not_there_is_one_line(s3_server: S3Server, name: str, line: str) -> None:
    put("s3://data/volume")
    with pytest.raises(SpecError, match=line):
        Segment(boundaries=name, output="out", workers=0).run()
