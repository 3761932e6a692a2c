"""A net applied by the job: the same bytes for any blocks and workers, resumed, refused, and on into a segmentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from jobs import storage
from jobs.infer import Infer
from jobs.segment import Segment
from jobs.spec import JobFailed, Plain, SpecError
from jobs.volumes.opening import opened
from tests.making import tree
from tests.neurites import Array
from tests.neurites import boundary as drawn
from vision import model as models
from vision import names
from vision.connectomics.blocks import Box
from vision.connectomics.grey import Grey
from vision.model import Model
from vision.preprocessing import Preprocessing

SHAPE = (6, 60, 52)
IMAGE = (200 - drawn(Box((0, 0, 0), SHAPE), 3, 90) // 2).astype(np.uint8)
OFFSETS = [[-1, 0, 0], [0, -1, 0], [0, 0, -1]]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("v.npz", image=IMAGE, voxel_nm=np.array([40.0, 4.0, 4.0]))
    net(Path("flat"), 2, [])
    net(Path("solid"), 3, OFFSETS)


def net(folder: Path, dimensions: int, offsets: list[list[int]]) -> None:
    """A model folder with weights drawn at random, and norms that have seen something."""
    torch.manual_seed(1)
    arguments = {"classes": len(offsets) or 1, "width": 4, "depth": 2, "dimensions": dimensions}
    crop = (4, 32, 32) if dimensions == 3 else (1, 32, 32)
    built = names.net("nets.unet:unet", arguments)
    for _ in range(3):
        built.train()(torch.randn((2, 1, *crop[3 - dimensions :])))
    decoding = {
        "targets": "affinities" if offsets else "boundaries", "offsets": offsets, "normalise": "section",
        "crop": list(crop),
    }  # fmt: skip
    look = Preprocessing(resize=(32, 32), crop=None)
    models.save(Model("nets.unet:unet", look, "", arguments, None, "connectomics", decoding=decoding), folder, built)


def job(**changed: Any) -> Infer:
    fields: dict[str, Any] = {
        "volume": "v.npz#image", "model": "flat", "output": "out", "block": (3, 32, 32), "workers": 0,
    }  # fmt: skip
    return Infer(**{**fields, **changed})


def voxels(place: str | None, shape: tuple[int, int, int] = SHAPE) -> Array:
    return opened(place or "", "found").read(Box((0, 0, 0), shape))


def made_now(report: Any) -> dict[str, int]:
    return {row["stage"]: row["count"] for row in report.tables["stages"].to_pylist() if row["what"] == "made now"}


@pytest.mark.parametrize("model", ["flat", "solid"])
def test_any_blocks_give_the_same_bytes(model: str) -> None:
    whole = voxels(job(model=model, block=SHAPE).run().output)
    assert whole.dtype == np.uint8 and whole.std() > 1
    for number, block in enumerate(((3, 32, 32), (2, 17, 52), (6, 60, 11))):
        assert np.array_equal(voxels(job(model=model, block=block, output=f"out{number}").run().output), whole)


def test_affinities_are_kept_where_asked_and_give_the_boundaries() -> None:
    boundaries = voxels(job(model="solid", flips=True).run().output)
    kept = job(model="solid", flips=True, keep="affinities", output="kept").run()
    volume = opened(kept.output or "", "found").volume
    assert (volume.channels, volume.shape, volume.voxel_nm) == (3, SHAPE, (40.0, 4.0, 4.0))
    total = voxels(kept.output).sum(axis=0, dtype=np.int64)
    assert np.array_equal(255 - (total + 1) // 3, boundaries)
    about = (volume.attributes or {})["own"]
    assert about["offsets"] == OFFSETS and about["targets"] == "affinities", "the file says what its channels are"


def test_what_is_lost_is_made_again_and_nothing_else() -> None:
    first = job().run()
    assert made_now(first) == {"greys": 8, "infer": 8}
    before = tree("out")
    shards = sorted(path for path in Path("out/boundaries/0/c").rglob("*") if path.is_file())
    shards[2].unlink()
    shards[5].write_bytes(b"torn")
    again = job().run()
    assert made_now(again) == {"greys": 0, "infer": 2}
    assert tree("out") == before


def test_workers_do_not_show(ray_session: None) -> None:
    job(output="alone").run()
    job(output="shared", workers=2).run()
    assert tree("shared") == tree("alone")


@pytest.mark.parametrize("how", [{"batch_size": 5}, {"precision": "bf16", "batch_size": 4}])
def test_batches_on_a_device_give_the_same_bytes_for_any_blocks(how: dict[str, Any]) -> None:
    """The way of a GPU, on the CPU: near to what single patches say, and another work than theirs."""
    alone = voxels(job(model="solid").run().output)
    one = voxels(job(model="solid", output="one", **how).run().output)
    two = voxels(job(model="solid", output="two", block=(6, 60, 11), **how).run().output)
    assert np.array_equal(one, two)
    assert np.abs(one.astype(int) - alone).max() <= (8 if "precision" in how else 1)
    with pytest.raises(SpecError, match=r"out holds another infer: kernel is None there and 'torch-.* cpu batch-\d'"):
        job(model="solid", **how).run()


def test_a_gpu_is_asked_for_and_missed() -> None:
    from jobs.segmenting.inferring import Inferring

    asked = job(gpus_per_worker=0.5)
    stage = Inferring.of(asked, "v.npz#image", storage.absolute("out"), Plain()).stage(Grey.of(IMAGE, 0, SHAPE[0]))
    assert stage.gpus == 0.5
    assert stage.facts["kernel"].endswith("bf16 cuda batch-4096"), "4M voxels of patches of 1 x 32 x 32"
    assert asked.estimate(Plain())["device"] == "hours are those of a CPU; no GPU was tried"
    if not torch.cuda.is_available():
        with pytest.raises(JobFailed, match="infer: no GPU is to be had here for cuda"):
            asked.run()


@pytest.mark.parametrize("field", ["gpus_per_worker", "batch_size"])
def test_words_about_a_net_need_one(field: str) -> None:
    with pytest.raises(SpecError, match=f"{field}: it says how a net computes, and there is no --model"):
        Segment.parse({"boundaries": "v.npz#image", "output": "out", field: 1})


def test_a_box_has_its_own_answers_whatever_the_blocks() -> None:
    one = voxels(job(model="solid", roi="1:5,10:50,5:").run().output)
    two = voxels(job(model="solid", roi="1:5,10:50,5:", block=(2, 60, 20), output="two").run().output)
    assert np.array_equal(one, two)
    inside = np.zeros(SHAPE, bool)
    inside[1:5, 10:50, 5:] = True
    assert one[inside].any() and not one[~inside].any()


def test_grey_levels_are_summed_exactly() -> None:
    from jobs.segmenting.inferring import Inferring

    inferring = Inferring.of(job(), "v.npz#image", storage.absolute("out"), Plain())
    job().run()
    assert np.array_equal(inferring.grey().sums, Grey.of(IMAGE, 0, SHAPE[0]).sums)
    levels = inferring.grey().levels("section")
    assert np.allclose(levels.mean, IMAGE.mean(axis=(1, 2))) and np.allclose(levels.spread, IMAGE.std(axis=(1, 2)))


def test_segment_takes_a_model_in_place_of_boundaries() -> None:
    given = job().run()
    apart = Segment(boundaries=given.output, output="apart", block=(3, 32, 32), halo=(0, 4, 4), workers=0)
    apart.run()
    fields: dict[str, Any] = {"model": "flat", "volume": "v.npz#image", "block": (3, 32, 32), "halo": (0, 4, 4)}
    report = Segment(**fields, output="joint", workers=0).run()
    assert made_now(report)["infer"] == 8
    for name in ("fragments", "labels/0.5"):
        assert np.array_equal(voxels(f"joint/{name}"), voxels(f"apart/{name}"))
    again = Segment(**fields, output="joint", workers=0, threshold=0.7).run()
    assert made_now(again) == {"greys": 0, "infer": 0, "fragments": 0, "edges": 0, "relabel-0.7": 8}
    with pytest.raises(SpecError, match=r"joint holds another greys|joint holds another infer: model is"):
        Segment(**{**fields, "model": "solid"}, output="joint", workers=0).run()


def test_segment_reads_from_the_file_what_its_channels_are() -> None:
    kept = job(model="solid", keep="affinities").run().output
    fields: dict[str, Any] = {"affinities": kept, "block": (3, 32, 32), "halo": (0, 4, 4), "workers": 0}
    told, given = (
        Segment(**fields, output="told").run(),
        Segment(**fields, output="given", offsets="-1,0,0;0,-1,0;0,0,-1").run(),
    )
    assert np.array_equal(voxels(told.output), voxels(given.output))
    with pytest.raises(
        SpecError, match=r"says that its channels have -1,0,0;0,-1,0;0,0,-1, and 0,0,-1;0,-1,0;-1,0,0 are"
    ):
        Segment(**fields, output="turned", offsets="0,0,-1;0,-1,0;-1,0,0").run()


def test_a_dry_run_says_what_it_costs() -> None:
    facts = job().estimate(Plain())
    assert facts["blocks"].startswith("8 of 3 x 32 x 32")
    assert "core-hours" in facts and not Path("out").exists()
    fields: dict[str, Any] = {"model": "flat", "volume": "v.npz#image", "output": "out", "block": (3, 32, 32)}
    assert "core-hours of the net" in Segment(**fields).estimate(Plain())


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"model": None}, "model: a net needs both --model and --volume"),
        ({"model": "nets.lenet:lenet5"}, "model: nets.lenet:lenet5 says nothing of volumes"),
        ({"keep": "affinities"}, "keep: flat answers with boundaries, and has no affinities to keep"),
        ({"patch": (1, 32, 32), "margin": (0, 16, 16)}, "patch: along y a patch of 32 leaves nothing new"),
        ({"volume": "dark.npz#image"}, "volume: the volume has no voxel above 0"),
        ({"volume": "real.npz#image"}, "holds float32; a net takes uint8 or uint16"),
    ],
)
def test_wrong_words_are_refused(changed: dict[str, Any], says: str) -> None:
    np.savez("dark.npz", image=np.zeros(SHAPE, np.uint8))
    np.savez("real.npz", image=IMAGE.astype(np.float32))
    with pytest.raises(SpecError, match=says):
        job(**changed).run()


def test_segment_takes_boundaries_or_a_model() -> None:
    with pytest.raises(SpecError, match=r"boundaries: a --model says where boundaries are; give one of the two"):
        Segment(model="flat", volume="v.npz#image", boundaries="v.npz#image", output="out").run()
