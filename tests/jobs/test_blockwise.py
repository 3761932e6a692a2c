"""A function of one's own on every block: what it computes, on how many workers, after faults, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.blockwise import Blockwise
from jobs.spec import JobFailed, Plain, SpecError
from jobs.volumes.opening import opened
from tests.making import tree
from vision.accumulator import Array
from vision.connectomics.blocks import Box

pytest.importorskip("zarr")

WHOLE = np.random.default_rng(3).integers(1, 250, (50, 61, 73)).astype(np.uint8)
CODE = """
from pathlib import Path
import numpy as np
from scipy.ndimage import uniform_filter

def mean(voxels, block, width=3):
    return uniform_filter(voxels, width)

def numbered(voxels, block):
    return np.full(block.write.shape, block.number + 1, np.uint32)

def inverted(voxels):
    return 255 - voxels

def once(voxels, block):
    flag = Path("failed")
    if block.number == 7 and not flag.exists():
        flag.write_text("")
        raise KeyError("a bad day")
    return voxels

def slab(voxels):
    return voxels[:3]

def real(voxels):
    return voxels * 0.5
"""


@pytest.fixture
def code(monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder with a module that no other test has loaded."""
    Path("mine").mkdir()
    name = f"blocks_{abs(hash(str(Path.cwd()))) % 10**9}"
    Path(f"mine/{name}.py").write_text(CODE)
    np.savez("v.npz", raw=WHOLE, voxel_nm=(40, 4, 4), offset_nm=(80, 0, 12))
    return name


def job(function: str, **changed: Any) -> Blockwise:
    fields = {"volume": "v.npz#raw", "output": "out", "code": "mine", "block": (16, 20, 24), "workers": 0}
    return Blockwise(**{**fields, "function": function, **changed})


def result(output: str = "out") -> Array:
    found = opened(f"{output}/volume", "volume")
    return found.read(Box((0, 0, 0), found.volume.shape))


def test_a_halo_makes_blocks_invisible(code: str) -> None:
    from scipy.ndimage import uniform_filter

    report = job(f"{code}:mean", halo=(2,), arguments='{"width": 5}').run()
    np.testing.assert_array_equal(result(), uniform_filter(WHOLE, 5))
    volume = opened(report.output or "", "volume").volume
    assert (volume.voxel_nm, volume.offset_nm) == ((40, 4, 4), (80, 0, 12))
    assert (volume.chunk, volume.attributes and volume.attributes["codecs"]) == ((16, 20, 24), "BloscCodec")


def test_the_block_says_where_it_is(code: str) -> None:
    job(f"{code}:numbered", dtype="uint32", block=(25, 61, 73)).run()
    assert (result()[:25] == 1).all() and (result()[25:] == 2).all()


def test_only_the_box_is_written_and_blank_blocks_are_skipped(code: str) -> None:
    values = WHOLE.copy()
    values[:16, :20] = 0
    np.savez("v.npz", raw=values)
    report = job(f"{code}:inverted", roi="3:40,10:,:70").run()
    wanted = np.zeros_like(values)
    wanted[3:40, 10:, :70] = 255 - values[3:40, 10:, :70]
    wanted[:16, :20] = 0
    np.testing.assert_array_equal(result(), wanted)
    assert report.notes == ("3 of 36 blocks are blank and were skipped",)
    job(f"{code}:inverted", roi="3:40,10:,:70", skip_blank=False, output="all").run()
    assert (result("all")[3:16, 10:20, :70] == 255).all()


@pytest.mark.parametrize(
    "workers", [pytest.param(1, marks=pytest.mark.slow), 2, pytest.param(3, marks=pytest.mark.slow)]
)
def test_workers_do_not_show(code: str, ray_session: None, workers: int) -> None:
    job(f"{code}:inverted", output="alone").run()
    job(f"{code}:inverted", output="shared", workers=workers, code=str(Path("mine").absolute())).run()
    assert tree("shared/volume") == tree("alone/volume")
    np.testing.assert_array_equal(result("shared"), 255 - WHOLE)


def test_what_failed_goes_on_where_it_stopped(code: str) -> None:
    job(f"{code}:inverted", output="quiet").run()
    with pytest.raises(JobFailed, match=r"blockwise: block 7 \(0:16,20:40,72:73\) failed: KeyError: 'a bad day'"):
        job(f"{code}:once").run()
    assert len(list(Path("out/state/blockwise").glob("part-*"))) == 7
    assert json.loads(Path("out/state/blockwise/stage.json").read_text())["complete"] is False
    told: list[str] = []
    job(f"{code}:once").run(Heard(told))
    assert told[-1] == "57 of 64 blocks were done now"
    np.testing.assert_array_equal(result(), WHOLE)


def test_deleted_and_torn_blocks_are_made_again(code: str) -> None:
    job(f"{code}:inverted").run()
    before, chance = tree("out"), np.random.default_rng(1)
    shards = sorted(path for path in Path("out/volume/0/c").rglob("*") if path.is_file())
    lost, torn = chance.choice(len(shards), 2, replace=False)
    shards[lost].unlink()
    shards[torn].write_bytes(shards[torn].read_bytes()[:-9])
    Path("out/state/blockwise/part-000005.json").write_text("{")
    told: list[str] = []
    job(f"{code}:inverted").run(Heard(told))
    assert told[-1] == "3 of 64 blocks were done now"
    assert tree("out") == before


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"function": "M:nothing"}, r"function: .* has no 'nothing'"),
        ({"function": "nowhere:f"}, r"function: nowhere:f: nowhere is not in vision"),
        (
            {"function": "M:mean", "arguments": '{"high": 3}'},
            r"function: .*cannot be called with voxels and \['high'\]",
        ),
        ({"function": "M:np"}, r"function: M:np is no function|no function that can be called with voxels"),
        ({"function": "M:mean", "arguments": "[3]"}, r"arguments: not a JSON object"),
        ({"function": "M:mean", "block": (16, 20)}, r"block: one number or three \(Z,Y,X\) are expected, got 16,20"),
        ({"function": "M:mean", "halo": (1, 2)}, r"halo: one number or three"),
        ({"function": "M:mean", "block": (0,)}, r"block: size of a grid must be three whole numbers from 1"),
        ({"function": "M:mean", "roi": "0:10,5"}, r"roi: a box is Z0:Z1,Y0:Y1,X0:X1 in voxels, got '0:10,5'"),
        ({"function": "M:mean", "roi": "0:99,:,:"}, r"roi: the box '0:99,:,:' is empty or reaches beyond the volume"),
        ({"function": "M:mean", "dtype": "uint9"}, r"dtype: 'uint9' is no type of numbers"),
        ({"function": "M:mean", "volume": "v.npz#row"}, r"volume: .* has no array 'row'; did you mean raw\?"),
        ({"function": "M:mean", "scale": 1}, r"volume: .*v.npz#raw.* has no scale 1"),
    ],
)
def test_wrong_words_are_one_line(code: str, fields: dict[str, Any], line: str) -> None:
    fields = {**fields, "function": fields["function"].replace("M", code)}
    with pytest.raises(SpecError, match=line.replace("M", code)) as told:
        job(**fields).run()
    assert "\n" not in str(told.value) and not Path("out").exists()


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (
            "slab",
            r"block 0: the function must return the read box \(16, 20, 24\) or the write box .*, got \(3, 20, 24\)",
        ),
        ("real", r"block 0 must hold uint8, got float64"),
    ],
)
def test_what_does_not_fit_is_refused(code: str, name: str, line: str) -> None:
    with pytest.raises(JobFailed, match=line):
        job(f"{code}:{name}").run()


def test_other_work_is_not_mixed(code: str) -> None:
    job(f"{code}:inverted").run()
    with pytest.raises(SpecError, match=r"out holds another blockwise: halo is \[0, 0, 0\] there and \[1, 1, 1\] now"):
        job(f"{code}:inverted", halo=(1,)).run()
    Path("full").mkdir()
    Path("full/volume").mkdir()
    Path("full/volume/x").write_text("")
    with pytest.raises(SpecError, match=r"full/volume is not empty and holds no volume"):
        job(f"{code}:inverted", output="full").run()


def test_what_it_would_cost(code: str) -> None:
    facts = job(f"{code}:mean", halo=(2,)).estimate(Plain())
    assert facts["voxels"] == "222,650 of 222,650" and facts["blocks"].startswith("64 of 16 x 20 x 24 in 64 groups")
    assert "a worker, whatever the size" in facts["memory"] and not Path("out").exists()


class Heard(Plain):
    """Keeps what was said."""

    def __init__(self, said: list[str]) -> None:
        self._said = said

    def log(self, message: str) -> None:
        self._said.append(message)
