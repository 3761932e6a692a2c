"""What a segmentation has stored is looked after: chunks changed in place, copies for others, what kills left."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.segment import Segment
from jobs.spec import JobFailed, Report
from tests import neurites
from tests.making import tree
from vision.connectomics.blocks import Box

for module in ("zarr", "bioimage_cpp", "skimage"):
    pytest.importorskip(module)

BOX = Box((0, 0, 0), (32, 60, 64))


@pytest.fixture(autouse=True)
def _volumes() -> None:
    np.savez("v.npz", b=neurites.boundary(BOX, noise=100), t=neurites.labels(BOX))


def job(**changed: Any) -> Segment:
    fields: dict[str, Any] = {
        "boundaries": "v.npz#b", "truth": "v.npz#t", "output": "out", "block": (32,), "halo": (4,), "workers": 0,
        "thresholds": (0.3, 0.5),
    }  # fmt: skip
    return Segment(**{**fields, **changed})


def made_now(report: Report) -> dict[str, int]:
    rows = report.tables["stages"].to_pylist()
    return {row["stage"]: row["count"] for row in rows if row["what"] == "made now"}


def change(path: Path) -> None:
    """Other bytes of the same length at the same time, as a disk would: nothing but the voxels tells."""
    found, when = bytearray(path.read_bytes()), path.stat()
    found[len(found) // 3] ^= 1
    path.write_bytes(found)
    os.utime(path, ns=(when.st_atime_ns, when.st_mtime_ns))


def chunks(folder: str) -> list[Path]:
    return sorted(path for path in Path("out", folder).rglob("*") if path.is_file() and "json" not in path.name)


@pytest.mark.parametrize("folder", ["fragments", "edges", "labels", "state/fragments"])
def test_what_was_changed_in_place_is_found_and_made_again(folder: str) -> None:
    first = job().run()
    before = tree("out")
    if folder.startswith("state"):
        Path("out", folder, "part-000000.json").write_text("{}")
    else:
        change(chunks(folder)[1])
    again = job().run()
    assert sum(made_now(again).values()) == 1 and sum(made_now(first).values()) > 4
    assert tree("out") == before


def test_a_later_stage_does_not_build_on_what_was_changed() -> None:
    job().run()
    before = tree("out")
    assert sum(made_now(job(from_stage="relabel").run()).values()) == 0
    change(chunks("fragments")[2])
    with pytest.raises(JobFailed, match=r"1 of 4 blocks of fragments are not as they were made: run without --from"):
        job(from_stage="agglomerate").run()
    job().run()
    assert tree("out") == before
    chunks("edges")[0].unlink()
    with pytest.raises(JobFailed, match=r"1 of 4 blocks of edges are not as they were made"):
        job(from_stage="agglomerate").run()


@pytest.mark.parametrize("fault", ["changed", "gone"])
def test_copies_for_neuroglancer_are_held_against_their_marks(fault: str) -> None:
    pytest.importorskip("tensorstore")
    np.savez("v.npz", b=neurites.boundary(BOX, noise=100), t=neurites.labels(BOX), offset_nm=(3, 1, 2))
    job(precomputed=True).run()
    before = tree("out")
    copied = [path for path in chunks("precomputed") if path.name != "info"]
    assert len(copied) == 4, "32 x 60 x 64 in blocks of 32, each of one chunk"
    change(copied[3]) if fault == "changed" else copied[3].unlink()
    again = made_now(job(precomputed=True).run())
    assert again["precomputed-0.5"] == 1 and sum(again.values()) == 1
    assert tree("out") == before
    assert sum(made_now(job(precomputed=True).run()).values()) == 0


def test_what_a_kill_left_goes_when_the_work_is_done_again() -> None:
    job().run()
    places = ("", "state/fragments", "state/edges", "edges", "fragments", "fragments/0")
    left = [Path("out", place, ".stage.json.x1y2.tmp") for place in places]
    torn = chunks("fragments")[1]
    left.append(torn.with_name(f".{torn.name}.x1y2.tmp"))
    for path in left:
        path.write_bytes(b"half")
    torn.unlink()
    before = tree("out")
    job().run()
    assert [path for path in left if path.exists()] == []
    assert len(tree("out")) == len(before) + 1
