"""Gates over real predictions folders and over tables: verdicts, groups, several models, drift, causes."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pydantic
import pytest

from jobs.answers import Answers
from jobs.gates import Gate, Judgement, judge, judge_all
from jobs.spec import SpecError
from tests.answering import answer, rows_with
from tests.making import CorpusMaker
from vision.accumulator import Array
from vision.corpus import Corpus

N = 10_000
CAMERAS = np.array(["nikon", "leica", "fuji", "holga"], object)


def table(name: str, label: Array, predicted: Array, **columns: Array) -> Answers:
    """Answers in memory."""
    n = len(label)
    rows = {
        "id": [f"{number:06d}" for number in range(n)],
        "label": label,
        "predicted_label": predicted,
        "predicted_score": np.full(n, 0.9),
        "answered": np.ones(n, bool),
        **columns,
    }
    return Answers(name, Corpus(name=name), {}, table=pa.table(rows))


def world(seed: int = 0, n: int = N) -> tuple[np.random.Generator, Array, Array, Array]:
    """A generator, true labels, a champion's answers (80 % right) and cameras."""
    generator = np.random.default_rng(seed)
    label = generator.integers(0, 10, n)
    champion = np.where(generator.random(n) < 0.8, label, (label + 1) % 10)
    return generator, label, champion, CAMERAS[generator.choice(4, n, p=[0.5, 0.3, 0.19, 0.01])]


def spoiled(generator: np.random.Generator, label: Array, champion: Array, lost: Array, gained: Array) -> Array:
    """Answers of a candidate that loses and gains images with these chances of each."""
    right, chance = champion == label, generator.random(len(label))
    changed = np.where(right, chance < lost, chance < gained)
    return np.where(changed, np.where(right, (label + 2) % 10, label), champion)


def equal(seed: int, n: int = N) -> tuple[Answers, Answers]:
    """A champion and a candidate as good: 6.4 % of the images change."""
    generator, label, champion, camera = world(seed, n)
    other = spoiled(generator, label, champion, np.full(n, 0.04), np.full(n, 0.16))
    return table("champion", label, champion, camera=camera), table("other", label, other, camera=camera)


def test_a_drop_of_two_points_fails_on_the_first_night_and_says_so() -> None:
    for seed in range(10):
        generator, label, champion, _ = world(seed)
        worse = spoiled(generator, label, champion, np.full(N, 0.055), np.full(N, 0.115))  # 80 * 5.5 - 20 * 11.5 %
        found = judge([Gate(margin=0.005)], table("a", label, champion), table("b", label, worse), "classification")
        assert found.verdict == "fail"
    assert found.findings[0].sentence().startswith("top1 fell by 0.0")
    assert found.findings[0].sentence().endswith("10,000 images: worse than the margin 0.005")
    assert found.findings[0].needed == 0


def test_no_difference_is_no_alarm_and_a_better_one_passes() -> None:
    champion, other = equal(1)
    assert judge([Gate(margin=0.01)], champion, other, "classification").verdict == "pass"
    close = judge([Gate(margin=0.001)], champion, other, "classification")
    assert close.verdict == "undecided"
    assert close.findings[0].needed
    assert "more would decide" in close.findings[0].sentence()
    generator, label, answers, _ = world(2)
    better = spoiled(generator, label, answers, np.full(N, 0.01), np.full(N, 0.2))
    assert judge([Gate()], table("a", label, answers), table("b", label, better), "classification").verdict == "pass"


def test_a_gain_overall_cannot_hide_a_loss_in_one_group() -> None:
    generator, label, champion, camera = world(3)
    fuji = camera == "fuji"
    worse = spoiled(generator, label, champion, np.where(fuji, 0.15, 0.01), np.where(fuji, 0.05, 0.3))
    ours, theirs = table("a", label, champion, camera=camera), table("b", label, worse, camera=camera)
    assert judge([Gate()], ours, theirs, "classification").verdict == "pass"
    found = judge([Gate(margin=0.005, by=("camera",), min_group=300)], ours, theirs, "classification")
    assert found.verdict == "fail"
    first = found.findings[0]
    assert (first.verdict, dict(first.group), first.difference.n) == ("fail", {"camera": "fuji"}, int(fuji.sum()))
    assert "among camera=fuji" in first.sentence()
    by = {finding.where: finding.verdict for finding in found.findings}
    assert by == {"": "pass", "camera=nikon": "pass", "camera=leica": "pass", "camera=fuji": "fail",
                  "camera=holga": "insufficient"}  # fmt: skip
    few = found.findings[-1]
    assert few.needed == 300 - few.difference.n
    assert "not judged" in few.sentence()


def test_combinations_of_columns_are_groups_too() -> None:
    generator, label, champion, camera = world(4)
    flash = np.array(["on", "off"], object)[generator.integers(0, 2, N)]
    bad = (camera == "leica") & (flash == "on")
    worse = spoiled(generator, label, champion, np.where(bad, 0.2, 0.01), np.where(bad, 0.0, 0.05))
    ours, theirs = (table(n, label, p, camera=camera, flash=flash) for n, p in (("a", champion), ("b", worse)))
    found = judge([Gate(margin=0.05, by=("camera", "flash"), order=2)], ours, theirs, "classification")
    assert found.findings[0].where == "camera=leica, flash=on"
    assert len(found.findings) == 1 + 4 + 2 + 8


def test_the_more_is_asked_and_the_later_the_night_the_more_evidence_it_takes() -> None:
    champion, other = equal(5)
    gate = Gate(margin=0.005, by=("camera",))
    alone = judge([gate], champion, other, "classification").findings
    again = judge_all([gate], champion, {f"m{k}": replace(other, output=f"m{k}") for k in range(5)}, "classification")
    later = judge([gate], champion, other, "classification", night=365).findings
    assert set(again) == {f"m{k}" for k in range(5)}
    assert again["m3"].findings[0].level < alone[0].level / 5
    assert later[0].level < alone[0].level / 1000
    assert [f.p for f in later] == [f.p for f in alone] == [f.p for f in again["m0"].findings]


def test_a_loss_that_is_too_little_for_a_late_night_says_so() -> None:
    generator, label, champion, _ = world(6)
    worse = spoiled(generator, label, champion, np.full(N, 0.045), np.full(N, 0.14))
    ours, theirs = table("a", label, champion), table("b", label, worse)
    assert judge([Gate()], ours, theirs, "classification").verdict == "fail"
    found = judge([Gate()], ours, theirs, "classification", night=365)
    assert found.verdict == "undecided"
    assert "if asked alone and once" in found.findings[0].sentence()
    assert found.findings[0].needed


def test_the_table_and_the_document_are_plain_and_worst_first() -> None:
    champion, other = equal(7)
    found = judge([Gate(margin=0.004, by=("camera",)), Gate(metric="macro_recall", margin=0.02)], champion, other,
                  "classification")  # fmt: skip
    rows = found.table().to_pylist()
    assert len(rows) == 6
    assert set(rows[0]) >= {"metric", "margin", "kind", "group", "baseline", "candidate", "difference",
                            "difference_low", "difference_high", "n", "p", "verdict", "needed", "cause"}  # fmt: skip
    document = json.loads(json.dumps(found.document(), allow_nan=False))
    assert document["findings"] == rows
    order = ["fail", "undecided", "pass", "insufficient"]
    places = [order.index(row["verdict"]) for row in rows]
    assert places == sorted(places)


@pytest.mark.parametrize("metric", ["top1", "macro_f1", "calibration_error"])
def test_swapped_the_difference_turns_its_sign(metric: str) -> None:
    champion, other = equal(8, 2000)
    there, back = (
        judge([Gate(metric=metric, margin=0.01)], *pair, "classification").findings[0].difference
        for pair in ((champion, other), (other, champion))
    )
    assert there.value == pytest.approx(-back.value)
    assert there.low == pytest.approx(-back.high)


def test_losses_are_worse_when_they_rise() -> None:
    generator, label, champion, _ = world(9)
    log_scores = -generator.gamma(1.0, 1.0, N)
    ours = table("a", label, champion, predicted_truth_log_score=log_scores)
    theirs = table("b", label, champion, predicted_truth_log_score=log_scores - generator.normal(0.1, 0.3, N))
    gate = Gate(metric="cross_entropy", margin=0.02)
    assert judge([gate], ours, theirs, "classification").verdict == "fail"
    assert judge([gate], theirs, ours, "classification").verdict == "pass"


def drift(metric: str, before: Answers, after: Answers, margin: float = 0.02, by: tuple[str, ...] = ()) -> Judgement:
    return judge([Gate(metric=metric, kind="drift", margin=margin, by=by)], before, after, "classification")


def test_drift_tells_a_change_of_mix_from_a_change_within_groups() -> None:
    generator, label, champion, camera = world(10)
    harder = camera == "leica"
    champion = np.where(harder & (generator.random(N) < 0.3), (label + 3) % 10, champion)
    chosen = np.flatnonzero(~harder | (generator.random(N) < 0.3))
    before = table("a", label[chosen], champion[chosen], camera=camera[chosen])
    found = drift("top1", before, table("b", label, champion, camera=camera), by=("camera",))
    by = {finding.where: finding for finding in found.findings}
    assert by["change=mix"].verdict == "fail"
    assert by["change=within"].verdict == "pass"
    assert "by change of mix" in by["change=mix"].sentence()
    whole = by[""].difference.value
    assert by["change=mix"].difference.value + by["change=within"].difference.value == pytest.approx(whole)
    assert by["camera=leica"].verdict != "fail"


def test_drift_without_labels_is_seen_in_the_answers() -> None:
    generator, _, champion, _ = world(11)
    unknown = np.full(N, -1)
    moved = np.where(generator.random(N) < 0.3, 0, champion)
    before, after = table("a", unknown, champion), table("b", unknown, moved)
    for metric in ("prediction_shift", "prediction_stability"):
        assert drift(metric, before, after, margin=0.05).verdict == "fail"
    assert drift("score_shift", before, after, margin=0.05).verdict == "pass"
    with pytest.raises(SpecError, match="prediction_shift"):
        drift("top1", before, after)


def test_drift_needs_a_mean_over_images() -> None:
    champion, other = equal(12, 500)
    with pytest.raises(SpecError, match="no mean over images"):
        drift("macro_f1", champion, other)


CHANGED = [
    ({"model": "other"}, "model"),
    ({"decoder": "2"}, "code"),
    ({"kernel": "openvino"}, "code"),
    ({"model": "other", "code_sha256": "ab"}, "model and code"),
]


@pytest.mark.parametrize(("identity", "expected"), CHANGED)
def test_the_cause_is_what_differs(
    make_corpus: CorpusMaker, tmp_path: Path, identity: dict[str, str], expected: str
) -> None:
    labels = np.arange(40) % 3
    corpus = make_corpus(rows_with(labels))
    champion = answer(tmp_path / "champion", corpus, labels)
    other = answer(tmp_path / "other", corpus, np.where(np.arange(40) < 5, 0, labels), **identity)
    assert judge([Gate()], champion, other, "classification").findings[0].cause == expected


def test_other_bytes_or_other_images_are_other_data(make_corpus: CorpusMaker, tmp_path: Path) -> None:
    labels = np.arange(40) % 3
    first, second = make_corpus(rows_with(labels)), make_corpus(rows_with((labels + (labels == 1)) % 3), "relabelled")
    champion = answer(tmp_path / "champion", first, labels)
    again = answer(tmp_path / "again", second, labels)
    assert judge([Gate()], champion, again, "classification").findings[0].cause == "data"
    assert drift("prediction_shift", champion, again).findings[0].cause == "data"


def test_a_corpus_that_grew_is_other_data_for_two_sets_only(make_corpus: CorpusMaker, tmp_path: Path) -> None:
    labels = np.arange(60) % 3
    corpus = make_corpus(rows_with(labels[:40]))
    champion = answer(tmp_path / "champion", corpus, labels[:40])
    make_corpus(rows_with(labels))  # the same folder, two shards more
    wrong = np.where(np.arange(60) < 5, 0, labels)
    again, other = (answer(tmp_path / m, corpus, wrong, model=m) for m in ("champion-again", "other"))
    assert judge([Gate()], champion, other, "classification").findings[0].cause == "model"
    assert drift("top1", champion, again).findings[0].cause == "model and data"


def test_the_same_model_on_the_same_images_is_refused(make_corpus: CorpusMaker, tmp_path: Path) -> None:
    labels = np.arange(40) % 3
    corpus = make_corpus(rows_with(labels))
    champion, again = (answer(tmp_path / name, corpus, labels) for name in ("champion", "again"))
    for kind in ("paired", "drift"):
        with pytest.raises(SpecError, match="same model on the same images"):
            judge([Gate(kind=kind)], champion, again, "classification")  # type: ignore[arg-type]


def test_any_sharding_gives_the_same_judgement(make_corpus: CorpusMaker, tmp_path: Path) -> None:
    generator = np.random.default_rng(13)
    labels = generator.integers(0, 3, 300)
    ours = np.where(generator.random(300) < 0.8, labels, (labels + 1) % 3)
    theirs = np.where(generator.random(300) < 0.1, generator.integers(-1, 3, 300), ours)
    gates = [
        Gate(margin=0.02, by=("sex",), min_group=10),
        Gate(metric="macro_f1", margin=0.02, by=("sex",), min_group=10),
        Gate(metric="calibration_error", margin=0.02),
    ]
    drifts = [Gate(kind="drift", by=("sex",)), Gate(kind="drift", metric="prediction_shift", by=("sex",))]
    found = set()
    for rows in (300, 37, 10):
        corpus = make_corpus(rows_with(labels), f"in-{rows}", rows)
        first = answer(tmp_path / f"champion-{rows}", corpus, ours)
        second = answer(tmp_path / f"candidate-{rows}", corpus, theirs, model="candidate")
        found.add(json.dumps(judge(gates + drifts, first, second, "classification").document()))
    assert len(found) == 1


def test_several_candidates_are_read_beside_one_baseline(make_corpus: CorpusMaker, tmp_path: Path) -> None:
    labels = np.arange(200) % 3
    corpus = make_corpus(rows_with(labels), shard_rows=50)
    champion = answer(tmp_path / "champion", corpus, labels)
    worse = answer(tmp_path / "worse", corpus, np.where(np.arange(200) % 4 == 0, (labels + 1) % 3, labels), model="w")
    odd = answer(tmp_path / "odd", corpus, np.where(np.arange(200) == 7, -1, labels), model="o")
    found = judge_all([Gate(margin=0.05, by=("sex",))], champion, {"worse": worse, "odd": odd}, "classification")
    assert found["worse"].verdict == "fail"
    assert found["odd"].verdict == "pass"
    assert {f.difference.n for f in found["odd"].findings} == {199, 100, 99}


@pytest.mark.parametrize(
    ("gates", "night", "message"),
    [
        ([Gate(metric="top9")], 1, "top9"),
        ([Gate(by=("camra",))], 1, "camera"),
        ([Gate(kind="drift", by=("camra",))], 1, "camera"),
        ([Gate()], 0, "night"),
        ([], 1, "no gate"),
    ],
)
def test_wrong_words_are_one_line(gates: list[Gate], night: int, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        judge(gates, *equal(14, 300), "classification", night=night)


@pytest.mark.parametrize("field", [{"margin": -0.1}, {"confidence": 1.0}, {"kind": "sideways"}, {"marign": 0.1}])
def test_an_impossible_gate_is_refused(field: dict[str, object]) -> None:
    with pytest.raises(pydantic.ValidationError):
        Gate(**field)  # type: ignore[arg-type]


def test_nothing_in_common_is_refused() -> None:
    champion, other = equal(15, 300)
    assert other.table is not None
    ids = pa.array([f"else-{n}" for n in range(300)])
    elsewhere = replace(other, table=other.table.set_column(0, "id", ids))
    with pytest.raises(SpecError, match="answered by both"):
        judge([Gate()], champion, elsewhere, "classification")


def test_five_models_on_fifty_thousand_images_take_seconds() -> None:
    generator, label, champion, _ = world(16, 50_000)
    camera = np.array([f"camera {n}" for n in range(20)], object)[generator.integers(0, 20, 50_000)]
    ours = table("champion", label, champion, camera=camera)
    candidates = {
        f"m{k}": table(f"m{k}", label, np.where(generator.random(50_000) < 0.05, label, champion), camera=camera)
        for k in range(5)
    }
    start = time.perf_counter()
    found = judge_all([Gate(margin=0.05, by=("camera",))], ours, candidates, "classification")
    assert time.perf_counter() - start < 10  # 0.2 s on a quiet core
    assert all(judgement.verdict == "pass" and len(judgement.findings) == 21 for judgement in found.values())
