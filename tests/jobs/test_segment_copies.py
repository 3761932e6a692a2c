"""What is made of labels: surfaces and centrelines beside precomputed labels, and a state that neuroglancer opens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest

from jobs import tracing
from jobs.segment import Segment
from jobs.spec import Plain, SpecError
from jobs.volumes.opening import opened
from jobs.volumes.writing import Target
from tests import neurites
from tests.making import tree
from vision.accumulator import Array
from vision.connectomics.blocks import Box, Grid
from vision.connectomics.surfaces import nanometres, surfaces

for module in ("zarr", "bioimage_cpp", "skimage", "tensorstore"):
    pytest.importorskip(module)

BOX = Box((40, 7, 11), (72, 39, 51))
WHOLE = neurites.boundary(BOX, noise=100)
SIZE, OFFSET = (30.0, 5.0, 4.0), (60.0, 0.0, 8.0)


@pytest.fixture(autouse=True)
def _volumes() -> None:
    np.savez("v.npz", b=WHOLE, image=255 - WHOLE, truth=neurites.labels(BOX), voxel_nm=SIZE, offset_nm=OFFSET)


def job(**changed: Any) -> Segment:
    fields: dict[str, Any] = {
        "boundaries": "v.npz#b", "output": "out", "block": (20,), "halo": (8,), "workers": 0, "thresholds": (0.9,),
        "threshold": 0.9,
    }  # fmt: skip
    return Segment(**{**fields, **changed})


def voxels(url: str) -> Array:
    found = opened(url, "labels", labels=True)
    return found.read(Box((0, 0, 0), found.volume.shape))


def mesh(folder: str, id_: int) -> tuple[Array, Array]:
    """Corners and triangles of a segment, of all its files, as a browser puts them together."""
    corners, triangles, used = [], [], 0
    for name in json.loads(Path(folder, f"{id_}:0").read_text())["fragments"]:
        data = Path(folder, name).read_bytes()
        count = int(np.frombuffer(data, "<u4", 1)[0])
        corners.append(np.frombuffer(data, "<f4", 3 * count, 4).reshape(-1, 3))
        triangles.append(np.frombuffer(data, "<u4", offset=4 + 12 * count).reshape(-1, 3).astype(np.int64) + used)
        used += count
    return np.concatenate(corners), np.concatenate(triangles)


def welded(corners: Array, triangles: Array) -> tuple[Array, Array]:
    distinct, rows = np.unique(corners, axis=0, return_inverse=True)
    return distinct, rows.reshape(-1)[triangles]


def test_meshes_of_blocks_close_and_are_those_of_the_whole() -> None:
    job(meshes=True).run()
    labels, folder = voxels("out/labels/0.9"), "out/precomputed/0.9/mesh"
    assert json.loads(Path(folder, "info").read_text()) == {"@type": "neuroglancer_legacy_mesh"}
    assert json.loads(Path("out/precomputed/0.9/info").read_text())["mesh"] == "mesh"
    whole = dict(surfaces(labels, (0, 0, 0), ((True, True),) * 3))
    listed = {int(path.name[:-2]) for path in Path(folder).glob("*:0") if path.name.count(":") == 1}
    assert listed == set(whole) == set(np.unique(labels)) - {0}
    for id_, wanted in whole.items():
        corners, triangles = welded(*mesh(folder, id_))
        assert len(corners) == len(np.unique(wanted.corners, axis=0)) and len(triangles) == len(wanted.triangles)
        places = nanometres(wanted.corners / 2, SIZE, OFFSET)[:, ::-1].astype("<f4")
        np.testing.assert_array_equal(corners, np.unique(places, axis=0))
        ends = np.concatenate([triangles[:, [a, b]] for a, b in ((0, 1), (1, 2), (2, 0))])
        assert np.array_equal(np.unique(ends, axis=0), np.unique(ends[:, ::-1], axis=0)), "a crack between blocks"


def test_skeletons_follow_their_segments() -> None:
    report = job(centrelines=True).run()
    labels, traced = opened(str(report.output), "labels", labels=True), tracing.read("out/skeletons/0.9", 1.0)
    rows, at = traced.within(Box((0, 0, 0), labels.volume.shape), SIZE, OFFSET)
    ids = voxels(str(report.output))
    assert len(rows) == len(traced)
    np.testing.assert_array_equal(
        ids[tuple(at.T)], np.array([int(Path(n).stem) for n in traced.names])[traced.skeleton]
    )
    about = json.loads(Path("out/precomputed/0.9/skeletons/info").read_text())
    assert about["@type"] == "neuroglancer_skeletons" and len(about["transform"]) == 12
    nodes = np.frombuffer(Path("out/precomputed/0.9/skeletons/1").read_bytes(), "<u4", 1)[0]
    assert nodes == sum(int(Path(traced.names[n]).stem) == 1 for n in traced.skeleton.tolist())
    assert json.loads(Path("out/precomputed/0.9/info").read_text())["skeletons"] == "skeletons"


def test_what_is_lost_or_torn_is_made_again() -> None:
    first = job(meshes=True, centrelines=True).run()
    before = tree("out")
    named = sorted(path for folder in ("precomputed/0.9/mesh", "precomputed/0.9/skeletons", "skeletons", "state")
                   for path in Path("out", folder).rglob("*") if path.is_file() and path.suffix != ".json")  # fmt: skip
    for number, path in enumerate(named[:: len(named) // 12]):
        path.unlink() if number % 2 else path.write_bytes(path.read_bytes()[:20])
    again = job(meshes=True, centrelines=True).run()
    assert tree("out") == before
    made = {row["stage"]: row["count"] for row in again.tables["stages"].to_pylist() if row["what"] == "made now"}
    all_ = {row["stage"]: row["count"] for row in first.tables["stages"].to_pylist() if row["what"] == "made now"}
    assert 0 < made["meshes-0.9"] < all_["meshes-0.9"] and made["fragments"] == 0


def test_what_it_would_cost() -> None:
    plain, all_ = (job(**asked).estimate(Plain()) for asked in ({}, {"meshes": True, "centrelines": True}))
    assert "meshes-0.9" in all_["core-hours"] and "centrelines-0.9" in all_["core-hours"]
    assert "precomputed-0.9" in all_["core-hours"] and "meshes" not in plain["core-hours"]
    assert not Path("out").exists()


@pytest.mark.slow
def test_workers_do_not_show(ray_session: None) -> None:
    for name, count in (("alone", 0), ("shared", 2)):
        job(meshes=True, centrelines=True, output=name, workers=count).run()
    assert tree("shared") == tree("alone")


def state(name: str = "0.9") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(f"out/neuroglancer/{name}/state.json").read_text())
    return found


def source(name: str) -> str:
    found = next(layer["source"] for layer in state()["layers"] if layer["name"] == name)
    return str(found if isinstance(found, str) else found["url"])


def test_a_state_shows_labels_image_and_places() -> None:
    grid = Grid(WHOLE.shape, (20, 20, 20))
    target = Target("em.zarr", grid, "uint8", SIZE, OFFSET)
    target.begin()
    for block in grid:
        target.writer().write(block, 255 - WHOLE[block.write.slices])
    served = ("https://host/run", f"{Path.cwd()}=https://host/all")
    report = job(volume="em.zarr", candidates=40, serve_from=served, neuroglancer="https://ng.example").run()
    assert (
        source("image") == "zarr://https://host/all/em.zarr"
        and source("segments") == "zarr://https://host/run/labels/0.9"
    )
    found, labels = state(), voxels("out/fragments")
    listed, ids = report.tables["candidates"].to_pylist(), voxels("out/labels/0.9")
    points = next(layer["annotations"] for layer in found["layers"] if layer["name"] == "proofreading")
    assert len(points) == len(listed) == 40
    for row, point in zip(listed, points, strict=True):
        # Zarr's offset is the middle of a voxel: whole numbers of offset / size are middles.
        x, y, z = (int(p - o / s) for p, o, s in zip(point["point"], OFFSET[::-1], SIZE[::-1], strict=True))
        assert (z, y, x) == (row["z"], row["y"], row["x"]) and labels[z, y, x] in (row["first"], row["second"])
        assert ids[z, y, x] in (row["first_segment"], row["second_segment"])
        assert point["segments"] == [[str(id_) for id_ in dict.fromkeys((row["first_segment"], row["second_segment"]))]]
    link = next(note for note in report.notes if note.startswith("neuroglancer: "))
    told = json.loads(unquote(link.removeprefix("neuroglancer: https://ng.example#!")))
    assert told["layers"] == found["layers"][:2] and told["dimensions"] == found["dimensions"]
    told_of = "the same with 40 places to look at: https://ng.example#!https://host/run/neuroglancer/0.9/state.json"
    assert told_of in report.notes
    assert not any("served at" in note for note in report.notes)


def test_precomputed_labels_are_shown_where_there_are_some() -> None:
    report = job(precomputed=True, volume="v.npz#image").run()
    assert source("segments") == "precomputed://http://127.0.0.1:9000/precomputed/0.9"
    assert [layer["name"] for layer in state()["layers"]] == ["segments"]
    told = "\n".join(report.notes)
    assert "v.npz#image is not in the link" in told and "http-server" in told
    info = json.loads(Path("out/precomputed/0.9/info").read_text())
    middle = [n // 2 for n in info["scales"][0]["size"]]
    wanted = [m + o + 0.5 for m, o in zip(middle, info["scales"][0]["voxel_offset"], strict=True)]
    assert state()["position"] == wanted
    nm = [round(length * 1e9, 6) for length, _ in state()["dimensions"].values()]
    assert nm == info["scales"][0]["resolution"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("ftp://host",), r"serve_from: URL or FOLDER=URL is expected, with http, https, s3 or gs, got 'ftp://host'"),
        (("data",), r"serve_from: URL or FOLDER=URL is expected.*got 'data'"),
        (("https://a", "https://b"), r"serve_from: .*out is served twice: at https://a and at https://b"),
        (("elsewhere=https://a",), r"serve_from: it does not say where .*/out is served"),
    ],
)
def test_wrong_words_are_one_line(words: tuple[str, ...], line: str) -> None:
    with pytest.raises(SpecError, match=line):
        job(serve_from=words).run()
    assert not Path("out").exists()
