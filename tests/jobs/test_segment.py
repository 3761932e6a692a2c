"""A volume segmented block by block is the volume segmented whole: labels, scores, bytes; faults are mended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import ndimage

from jobs.page import render
from jobs.segment import Segment
from jobs.segmenting import graph
from jobs.spec import JobFailed, Plain, Report, SpecError
from jobs.volumes.opening import opened
from tests import neurites
from tests.em import SIZES, edges_by_block, renamed, same_edges, shared_em
from tests.making import tree
from vision.accumulator import Array, Estimate
from vision.connectomics.affinities import Nearest
from vision.connectomics.blocks import Box, Grid
from vision.connectomics.contingency import Contingency
from vision.connectomics.edges import Edges
from vision.connectomics.labelling import components
from vision.connectomics.scores import scores

for module in ("zarr", "bioimage_cpp", "skimage"):
    pytest.importorskip(module)

BOX = Box((40, 7, 11), (140, 77, 100))
WHOLE = neurites.boundary(BOX, noise=100)
TRUTH = neurites.labels(BOX)


@pytest.fixture(autouse=True)
def _volumes() -> None:
    np.savez("v.npz", b=WHOLE, truth=TRUTH, image=255 - WHOLE, voxel_nm=(30, 5, 5), offset_nm=(60, 0, 10))


def job(**changed: Any) -> Segment:
    fields: dict[str, Any] = {
        "boundaries": "v.npz#b", "output": "out", "block": (32,), "halo": (8,), "workers": 0, "thresholds": (0.3, 0.5),
    }  # fmt: skip
    return Segment(**{**fields, **changed})


def voxels(url: str | None) -> Array:
    found = opened(url or "", "labels", labels=True)
    return found.read(Box((0, 0, 0), found.volume.shape))


def values(estimates: Mapping[str, Estimate]) -> dict[str, float]:
    return {name: found.value for name, found in estimates.items()}


def made_now(report: Report) -> dict[str, int]:
    rows = report.tables["stages"].to_pylist()
    return {row["stage"]: row["count"] for row in rows if row["what"] == "made now"}


@pytest.mark.parametrize("size", SIZES)
def test_any_blocks_give_the_components_of_the_whole(size: tuple[int, int, int]) -> None:
    """Where boundaries are certain, what touches within one is one neuron, however it was cut."""
    report = job(block=size, method="threshold", fill=False, window=3).run()
    wanted = ndimage.label(WHOLE < 128)[0]
    assert renamed(wanted, voxels(report.output))
    assert len(np.unique(wanted)) < len(np.unique(voxels("out/fragments")))


def test_the_graph_is_that_of_the_whole() -> None:
    job(block=(33, 47, 29), quantile=0.75).run()
    fragments, grid = voxels("out/fragments"), Grid(WHOLE.shape, (33, 47, 29))
    held = graph.read_all(graph.files("out/edges", len(grid)))
    assert same_edges(held.edges, Edges.added(edges_by_block(fragments, WHOLE, Grid(WHOLE.shape, WHOLE.shape), 256)))
    ids, sizes = np.unique(fragments[fragments > 0], return_counts=True)
    np.testing.assert_array_equal(held.ids, ids)
    np.testing.assert_array_equal(held.sizes, sizes)


def test_scores_are_those_of_the_whole_volume() -> None:
    report = job(truth="v.npz#truth", volume="v.npz#image").run()
    wanted = scores(Contingency.of(TRUTH, voxels(report.output)))
    assert values(report.metrics) == pytest.approx(values(wanted), rel=1e-12)
    assert [example.id for example in report.examples] == [
        f"{what} z {z}" for what in ("section", "errors") for z in (25, 50, 75)
    ]
    sweep = report.tables["sweep"].to_pylist()
    assert {row["threshold"] for row in sweep} == {0.3, 0.5}
    assert any("chosen by the very truth" in note for note in report.notes)
    one = next(row for row in sweep if row["threshold"] == 0.3 and row["score"] == "vi_split")
    fixed = job(truth="v.npz#truth", volume="v.npz#image", threshold=0.3).run()
    assert fixed.metrics["vi_split"].value == one["value"]
    assert not any("chosen by the very truth" in note for note in fixed.notes)


def test_skeletons_choose_where_there_is_no_truth() -> None:
    """A skeleton along each of two neurons: runs are longest where its fragments are one and the neurons are not."""
    ids, counts = np.unique(TRUTH[TRUTH > 0], return_counts=True)
    Path("traced").mkdir()
    for name, id_ in zip("ab", ids[np.argsort(counts)[::-1]][:2], strict=True):
        places = [(z, *np.argwhere(TRUTH[z] == id_)[0]) for z in range(0, 100, 5) if (TRUTH[z] == id_).any()]
        lines = [
            f"{n} 0 {10 + 5 * (x + 0.5)} {5 * (y + 0.5)} {60 + 30 * (z + 0.5)} 1 {n - 1 or -1}"
            for n, (z, y, x) in enumerate(places, 1)
        ]
        Path(f"traced/{name}.swc").write_text("\n".join(lines))
    report = job(skeletons="traced", thresholds=(0.1, 0.3, 0.6)).run()
    swept = {row["threshold"]: row["value"] for row in report.tables["sweep_run_length"].to_pylist()}
    assert report.metrics["erl_nm"].value == max(swept.values()) > min(swept.values())
    assert report.tags["threshold"] == f"{max(swept, key=lambda t: swept[t]):g}"
    page = render(report, "segment", {})
    assert "<h2>Sweep run length</h2>" in page and "<svg" in page


def test_a_list_for_proofreaders_and_what_they_decided() -> None:
    fields = {"truth": "v.npz#truth", "threshold": 0.3}
    first = job(candidates=120, **fields).run()
    listed = pq.read_table("out/candidates/0.3.parquet")
    assert listed.equals(first.tables["candidates"]) and len(listed) == 120
    fragments = voxels("out/fragments")
    for row in listed.slice(0, 50).to_pylist():
        z, y, x = row["z"], row["y"], row["x"]
        beside = {int(fragments[z, y, x])} | {
            int(fragments[p]) for p in ((z + 1, y, x), (z, y + 1, x), (z, y, x + 1)) if all(np.less(p, WHOLE.shape))
        }
        assert {row["first"], row["second"]} <= beside
    curve = [row["value"] for row in first.tables["proofreading"].to_pylist() if row["score"] == "vi"]
    assert curve[-1] < curve[0]
    table = Contingency.of(TRUTH, fragments)
    order = np.argsort(table.counts)  # the neuron of most voxels comes last
    owners = dict(zip(table.segments[order].tolist(), table.truth[order].tolist(), strict=True))
    kinds = zip(listed["kind"].to_pylist(), listed["first"].to_pylist(), listed["second"].to_pylist(), strict=True)
    verdicts = ["yes" if (owners[a] == owners[b] != 0) == (kind == "join") else "no" for kind, a, b in kinds]
    verdicts[-3:] = [""] * 3
    pq.write_table(listed.append_column("verdict", pa.array(verdicts)), "decided.parquet")
    second = job(decisions="decided.parquet", **fields).run()
    assert second.metrics["vi"].value < first.metrics["vi"].value
    assert "/labels/0.3-decided-" in str(second.output)
    assert values(second.metrics) == pytest.approx(values(scores(Contingency.of(TRUTH, voxels(second.output)))))
    assert made_now(second)["fragments"] == made_now(second)["edges"] == 0


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("kind,first,second\njoin,1,2", r"decisions: d.csv has no column 'verdict'"),
        (
            "kind,first,second,verdict\njoin,1,2,maybe",
            r"decisions: d.csv, row 1: a verdict is yes, no or empty, got 'maybe'",
        ),
        ("kind,first,second,verdict\nglue,1,2,yes", r"row 1: a kind is .*, got 'glue'"),
        ("kind,first,second,verdict\njoin,1,x,yes", r"row 1: fragments are whole numbers, got 1 and 'x'"),
        ("kind,first,second,verdict\njoin,1,999999999,yes", r"decisions: id 999999999 is not among"),
    ],
)
def test_decisions_that_are_none(text: str, line: str) -> None:
    Path("d.csv").write_text(text)
    with pytest.raises(SpecError, match=line):
        job(decisions="d.csv", threshold=0.3).run()
    assert Path("out").exists() == ("not among" in line)


def test_voxel_size_and_offset_go_through() -> None:
    volume = opened(job().run().output or "", "labels").volume
    assert (volume.voxel_nm, volume.offset_nm, volume.dtype) == ((30, 5, 5), (60, 0, 10), "uint64")


@pytest.mark.parametrize(
    "workers", [pytest.param(1, marks=pytest.mark.slow), 2, pytest.param(3, marks=pytest.mark.slow)]
)
def test_workers_do_not_show(ray_session: None, workers: int) -> None:
    alone, shared = (
        job(truth="v.npz#truth", output=name, workers=count).run()
        for name, count in (("alone", 0), ("shared", workers))
    )
    assert tree("shared") == tree("alone")
    assert values(shared.metrics) == values(alone.metrics)


def test_a_new_threshold_costs_a_table_and_a_relabelling() -> None:
    job().run()
    before = tree("out")
    report = job(threshold=0.4).run()
    assert made_now(report) == {"fragments": 0, "edges": 0, "relabel-0.4": 36}
    after = tree("out")
    assert {name: after[name] for name in before} == before
    assert {name.split("/")[1] for name in after.keys() - before.keys()} <= {"0.4", "relabel-0.4", "lookup-0.4"}
    assert made_now(job(threshold=0.4).run())["relabel-0.4"] == 0


def test_what_is_lost_or_torn_is_made_again() -> None:
    first = job(truth="v.npz#truth").run()
    before, chance = tree("out"), np.random.default_rng(5)
    files = [
        path for path in Path("out").rglob("*") if path.is_file() and ("/c/" in str(path) or path.suffix == ".parquet")
    ]
    for number, path in enumerate(chance.choice(np.array(files, object), 12, replace=False)):
        path.unlink() if number % 2 else path.write_bytes(path.read_bytes()[:40])
    again = job(truth="v.npz#truth").run()
    assert tree("out") == before
    assert 0 < sum(made_now(again).values()) < sum(made_now(first).values())


def test_stages_may_be_run_one_by_one() -> None:
    job(output="whole").run()
    job(to_stage="fragments").run()
    assert not Path("out/edges").exists()
    job(from_stage="edges", to_stage="agglomerate").run()
    assert Path("out/joins.parquet").exists() and not Path("out/labels").exists()
    job(from_stage="relabel").run()
    assert tree("out") == tree("whole")
    with pytest.raises(JobFailed, match=r"fresh: the stage fragments is not complete: run it first"):
        job(output="fresh", from_stage="edges").run()
    with pytest.raises(SpecError, match=r"to: fragments comes before relabel"):
        job(output="fresh", from_stage="relabel", to_stage="fragments").run()


def test_a_box_and_a_mask_bound_what_is_segmented() -> None:
    mask = np.zeros(WHOLE.shape, np.uint8)
    mask[:, 20:60] = 1
    np.savez("mask.npz", m=mask)
    report = job(mask="mask.npz#m", roi="10:80,:,30:", truth="v.npz#truth").run()
    found, inside = voxels(report.output), np.zeros(WHOLE.shape, bool)
    inside[10:80, 20:60, 30:] = True
    assert not found[~inside].any() and found[inside].all()
    wanted = scores(Contingency.of(TRUTH[inside], found[inside]))
    assert values(report.metrics) == pytest.approx(values(wanted), rel=1e-12)


def test_fragments_that_are_given() -> None:
    """They keep their names, may cross blocks, and need not be dense."""
    pieces = ndimage.label(WHOLE < 128)[0].astype(np.uint64) * np.uint64(2**40 + 1)
    pieces[50:] += (pieces[50:] > 0).astype(np.uint64)
    np.savez("f.npz", f=pieces)
    report = job(fragments="f.npz#f", method="threshold").run()
    assert not Path("out/fragments").exists()
    assert renamed(ndimage.label(WHOLE < 128)[0], voxels(report.output))


def test_affinities_are_boundaries_turned_round() -> None:
    inside = WHOLE < 128
    affinities = np.zeros((4, *WHOLE.shape), np.float32)
    for channel in (0, 2, 3):
        affinities[channel] = inside
    np.savez("a.npz", a=affinities)
    offsets = "-1,0,0;-4,0,0;0,-1,0;0,0,-1"
    report = job(affinities="a.npz#a", boundaries=None, offsets=offsets, method="threshold", fill=False, window=3).run()
    assert renamed(ndimage.label(inside)[0], voxels(report.output))


def test_edges_pool_the_affinities_of_their_own_faces() -> None:
    """As a map of boundaries they would be smeared: the pooled edges are those of the whole volume's faces."""
    chance = np.random.default_rng(4)
    bytes_ = chance.integers(0, 256, (3, *WHOLE.shape)).astype(np.uint8)
    np.savez("a.npz", a=bytes_)
    job(affinities="a.npz#a", boundaries=None, offsets="1,0,0;0,-1,0;0,0,1", block=(33, 47, 29)).run()
    held = graph.read_all(graph.files("out/edges", 4 * 2 * 4))
    nearest = Nearest.of(((1, 0, 0), (0, -1, 0), (0, 0, 1)))
    assert same_edges(held.edges, nearest.edges_of(voxels("out/fragments"), bytes_))


@pytest.mark.parametrize("size", SIZES)
def test_components_of_a_mask_and_of_ids(size: tuple[int, int, int]) -> None:
    np.savez("m.npz", mask=WHOLE < 128, ids=TRUTH // np.uint64(2))
    report = job(boundaries=None, components="m.npz#mask", block=size).run()
    assert renamed(ndimage.label(WHOLE < 128)[0], voxels(report.output)) and str(report.output).endswith("components")
    found = voxels(
        job(boundaries=None, components="m.npz#ids", block=size, output="ids", backend="skimage").run().output
    )
    assert renamed(components(TRUTH // np.uint64(2)), found)


def test_small_segments_join_their_neighbours() -> None:
    few, many = (len(np.unique(voxels(job(output=f"m{n}", min_size=n).run().output))) for n in (2000, 0))
    assert few < many


def test_precomputed_labels_are_the_labels() -> None:
    pytest.importorskip("tensorstore")
    report = job(precomputed=True).run()
    copy = opened("out/precomputed/0.5", "labels")
    assert (copy.volume.voxel_nm, copy.volume.offset_nm) == ((30, 5, 5), (60, 0, 10))
    np.testing.assert_array_equal(voxels("out/precomputed/0.5"), voxels(report.output))


def test_blank_blocks_are_skipped() -> None:
    image = (255 - WHOLE).copy()
    image[:32, :32, :32] = 0
    np.savez("i.npz", i=image)
    report = job(volume="i.npz#i").run()
    assert not voxels(report.output)[:32, :32, :32].any()
    assert not Path("out/fragments/0/c/0/0/0").exists()
    counted = {(row["stage"], row["what"]): row["count"] for row in report.tables["stages"].to_pylist()}
    assert counted["fragments", "blank_blocks"] == 1


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"boundaries": None}, r"segment takes one of --boundaries, --affinities, --components, got none"),
        ({"affinities": "v.npz#b"}, r"segment takes one of .*, got boundaries and affinities"),
        ({"offsets": "-1,0,0"}, r"offsets: they belong to --affinities"),
        ({"boundaries": "v.npz#bb"}, r"boundaries: .*v.npz#bb has no array 'bb'; did you mean b\?"),
        ({"boundaries": "none.zarr"}, r"boundaries: .*none.zarr: no such volume"),
        ({"boundaries": "odd.npz#words"}, r"boundaries: .* holds int32; probabilities are floats 0..1 or uint8"),
        ({"boundaries": "odd.npz#four"}, r"boundaries: .* has 2 channels; \(z, y, x\) is expected"),
        ({"affinities": "v.npz#b", "boundaries": None}, r"affinities: .* is \(z, y, x\); affinities have a channel"),
        (
            {"affinities": "odd.npz#four", "boundaries": None},
            r"offsets: 3 are given, and the affinities have 2 channels",
        ),
        (
            {"affinities": "odd.npz#four", "boundaries": None, "offsets": "-1,0,0;0,-2,0"},
            r"offsets: no offset is a nearest neighbour along y",
        ),
        (
            {"affinities": "odd.npz#four", "boundaries": None, "offsets": "-1,0"},
            r"offsets: offsets are Z,Y,X;Z,Y,X;... in voxels, got '-1,0'",
        ),
        ({"truth": "odd.npz#real"}, r"truth: .*odd.npz#real holds float32; labels are whole numbers"),
        ({"fragments": "odd.npz#real"}, r"fragments: .* holds float32; labels are whole numbers"),
        (
            {"truth": "odd.npz#short"},
            r"truth: --boundaries .* has \(100, 70, 89\) voxels and --truth .* \(99, 70, 89\)",
        ),
        ({"truth": "coarse.npz#t"}, r"truth: --boundaries .* of 30 x 5 x 5 nm and --truth .* of 60 x 5 x 5 nm"),
        ({"truth": "moved.npz#t"}, r"truth: --boundaries .* begins at 60 x 0 x 10 nm and --truth .* at 0 x 0 x 0 nm"),
        ({"thresholds": (0.5, 1.5)}, r"thresholds: a mean boundary is 0..1, got 1.5"),
        ({"roi": "0:4"}, r"roi: a box is Z0:Z1,Y0:Y1,X0:X1"),
        ({"scale": 2}, r"boundaries: .*v.npz#b is one array and has no scale 2"),
    ],
)
def test_wrong_words_are_one_line(fields: dict[str, Any], line: str) -> None:
    np.savez(
        "odd.npz", words=WHOLE.astype(np.int32), four=np.stack([WHOLE, WHOLE]), real=WHOLE.astype(np.float32),
        short=TRUTH[1:],
    )  # fmt: skip
    np.savez("coarse.npz", t=TRUTH, voxel_nm=(60, 5, 5))
    np.savez("moved.npz", t=TRUTH, voxel_nm=(30, 5, 5))
    with pytest.raises(SpecError, match=line) as told:
        job(**fields).run()
    assert "\n" not in str(told.value) and not Path("out").exists()


def test_floats_beyond_probabilities_are_told_with_their_block() -> None:
    np.savez("f.npz", b=WHOLE.astype(np.float32))
    with pytest.raises(JobFailed, match=r"fragments: block 0: .*f.npz#b holds 0 to 255; probabilities are 0..1"):
        job(boundaries="f.npz#b").run()


def test_other_work_is_not_mixed() -> None:
    job().run()
    for changed, name in (({"halo": (4,)}, "halo"), ({"window": 5}, "window"), ({"block": (16,)}, "block")):
        with pytest.raises(
            SpecError, match=rf"out holds another fragments: {name} is .* there and .* now; choose another"
        ):
            job(**changed).run()


def test_what_it_would_cost() -> None:
    facts = job(truth="v.npz#truth").estimate(Plain())
    assert facts["blocks"].startswith("36 of 32 x 32 x 32 in 36 groups")
    assert {"voxels", "bytes to read", "peak disk", "memory", "core-hours", "hours"} <= set(facts)
    assert not Path("out").exists()


def test_a_petabyte_is_planned_from_metadata_alone() -> None:
    """1 mm^3 at 30 x 5 x 5 nm: 1.3e15 voxels; no chunk of it exists."""
    import zarr

    from vision.corpora import ngff

    group = zarr.create_group("mm3.zarr", attributes=ngff.written("mm3", (30, 5, 5), (0, 0, 0)))
    group.create_array("0", shape=(33_334, 200_000, 200_000), dtype="uint8", chunks=(64, 512, 512))
    facts = job(boundaries="mm3.zarr", block=(32, 256, 256), halo=(4, 16, 16)).estimate(Plain())
    assert facts["voxels"].startswith("1,333,360,000,000,000 of") and "in 155,569 groups" in facts["blocks"]
    assert "by speeds measured before" in facts["core-hours"]


def gala(names: Sequence[str], **changed: Any) -> Report:
    found = shared_em("fib_gala_train")
    np.savez("gala.npz", **{name: found[name] for name in names})
    return Segment(
        boundaries="gala.npz#p1", truth="gala.npz#gt", block=(50, 50, 50), workers=0, halo=(16,), **changed
    ).run()


def test_the_gala_crop_with_a_threshold_from_its_other_half() -> None:
    """VI of the test half at least 40 % below that of the over-segmentation it comes with, and no more Rand error."""
    names, half = ("p1", "gt", "ws"), {"train": ":,:,:100", "test": ":,:,100:"}
    train = gala(names, roi=half["train"], output="train")
    chosen = float(train.tags["threshold"])
    test = gala(names, roi=half["test"], output="test", threshold=chosen)
    given = np.load("gala.npz")
    over = scores(Contingency.of(given["gt"][:, :, 100:], given["ws"][:, :, 100:]))
    assert test.metrics["vi"].value < 0.6 * over["vi"].value
    assert test.metrics["adapted_rand_skimage"].value <= over["adapted_rand_skimage"].value
