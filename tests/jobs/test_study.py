"""Studies: grids that go on where they stopped, tables with an interval on every number, and specs that load."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pyarrow.csv as pacsv
import pytest
import yaml

import jobs
from cluster.commands import Jobs
from jobs import page
from jobs.ingest import Ingest
from jobs.predict import Predict
from jobs.probe import Probe
from jobs.spec import JobFailed, Plain, SpecError
from jobs.study import Study
from jobs.studying import grid, running
from jobs.studying.grid import cells
from jobs.studying.kind import Row, Sheet, Trial, plain
from jobs.studying.table import combined, label, lines, table
from jobs.train import Train
from tests.making import train_and_val
from vision.accumulator import Estimate
from vision.preprocessing import Preprocessing

SPECS = sorted(Path(jobs.__path__[0], "studies").glob("*.yaml"))
LOOK = Preprocessing(resize=(28, 28), crop=None, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


class Heard(Plain):
    """A context that keeps what it is told."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.numbers: set[str] = set()

    def log(self, message: str) -> None:
        self.words.append(message)

    def metric(self, name: str, value: float, step: int = 0) -> None:
        self.numbers.add(name)


@pytest.fixture
def corpus(tmp_path: Path) -> str:
    """60 records to learn from and 30 to validate on."""
    (tmp_path / "look.json").write_text(json.dumps(LOOK.to_dict()))
    return train_and_val(tmp_path / "shapes", 60)


def trainings(corpus: str, **changed: Any) -> Study:
    fields: dict[str, Any] = {
        "kind": "train", "corpus": corpus, "split": "train", "val_split": "val", "nets": "nets.lenet:lenet5",
        "arguments": '{"channels": 3}', "preprocess": "look.json", "epochs": 2, "batch_size": 20, "micro_batch": 20,
        "optimizer": "adamw", "learning_rate": 3e-3, "output": "out", "seeds": "0,1",
    }  # fmt: skip
    return Study(**{**fields, **changed})


def files_of(folder: str) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in Path(folder, "trials").rglob("*") if path.is_file()}


def test_a_grid_of_trainings_is_one_table_and_one_plot(corpus: str) -> None:
    context = Heard()
    study = trainings(corpus, fractions="0.5,1", freeze="none,conv1", stratify="label")
    report = study.run(context)
    found = report.tables["study"].to_pylist()
    assert [(row["freeze"], row["fraction"], row["trials"]) for row in found] == [
        ("none", 0.5, 2), ("none", 1.0, 2), ("conv1", 0.5, 2), ("conv1", 1.0, 2)
    ]  # fmt: skip
    assert {row["trained"] for row in found} == {61411, 61411 - 456}, "3 x 6 x 25 weights and 6 biases are frozen"
    for row in found:
        for name in ("train_error", "error"):
            assert 0 <= row[f"{name}_low"] <= row[name] <= row[f"{name}_high"] <= 1
    assert pacsv.read_csv("out/study.csv").num_rows == 4
    assert Path("out/study.png").read_bytes().startswith(b"\x89PNG") and Path("out/curves.png").exists()
    assert report.groups[0][0] == {"freeze": "none", "fraction": "0.5"}
    assert report.metrics["train_error.none_fraction_0.5"] == report.groups[0][1]["train_error"]
    assert report.tables["curves"].num_rows == 2 * (2 * 2 + 2 * 3), "an epoch of 30 rows has 2 steps, one of 60 has 3"
    drawn = page.render(report, "study", {})
    assert "train_error by fraction" in drawn and drawn.count("<polyline") >= 2
    assert not context.numbers, "a training's own numbers stay its own"
    assert report.tags["trials"] == "8" and any("t intervals" in note for note in report.notes)


def test_a_trial_is_the_training_of_its_fields(corpus: str) -> None:
    report = trainings(corpus, seeds="3").run()
    (row,) = report.tables["study"].to_pylist()
    alone = Train(
        corpus=corpus, split="train", val_split="val", net="nets.lenet:lenet5", arguments='{"channels": 3}', epochs=2,
        preprocess="look.json", batch_size=20, micro_batch=20, optimizer="adamw", learning_rate=3e-3, output="alone",
        workers=0, seed=3,
    ).run()  # fmt: skip
    assert row["train_error"] == pytest.approx(1 - alone.metrics["train_top1"].value)
    assert row["error_low"] == pytest.approx(1 - alone.metrics["top1"].high), "one seed: the interval of the pictures"
    assert any(note.startswith("one seed") for note in report.notes)


def test_three_regimes_of_transfer_have_exact_counts(corpus: str, small_model: str) -> None:
    words = {"nets": "", "models": small_model, "arguments": "{}", "preprocess": None, "seeds": "0"}
    report = trainings(corpus, **words, freeze="all-but-head,full3,none").run()
    found = {row["freeze"]: row for row in report.tables["study"].to_pylist()}
    assert {regime: row["trained"] for regime, row in found.items()} == {
        "all-but-head": 84 * 3 + 3, "full3": 120 * 84 + 84 + 84 * 3 + 3, "none": 61411
    }  # fmt: skip
    assert all(row["parameters"] == 61411 for row in found.values())
    assert found["all-but-head"]["error"] < 0.4, "it begins with what the model knows"
    assert "train_error.none" in report.metrics
    with pytest.raises(SpecError, match="depths: a model has the depth that it was trained with"):
        trainings(corpus, **words, depths="20").run()


def test_what_is_done_stays_done_and_a_grid_may_grow(corpus: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = trainings(corpus, output="whole", seeds="0,1,2").run()
    first = trainings(corpus, seeds="0").run()
    before = files_of("out")
    carried = running.write

    def stopped(output: str, trial: Trial, outcome: Any) -> None:
        if trial.cell["seed"] == 2:
            raise KeyboardInterrupt
        carried(output, trial, outcome)

    monkeypatch.setattr(running, "write", stopped)
    with pytest.raises(KeyboardInterrupt):
        trainings(corpus, seeds="0,1,2").run()
    monkeypatch.setattr(running, "write", carried)
    context = Heard()
    grown = trainings(corpus, seeds="0,1,2").run(context)
    assert "2 of 3 trials are done already" in context.words
    after = files_of("out")
    assert {path: after[path] for path in before} == before, "the first trial was not touched"
    assert grown.tables["study"].equals(whole.tables["study"])
    assert grown.metrics == whole.metrics != first.metrics
    assert trainings(corpus, seeds="0", epochs=3).run().tables["study"]["trials"].to_pylist() == [1]
    assert len(list(Path("out/trials").iterdir())) == 4, "another recipe is another trial"


def test_trials_on_ray_are_those_of_one_process(corpus: str, ray_session: None) -> None:
    words = {"augments": "none,crop:4+flip", "epochs": 1, "seeds": "0"}
    here, there = (trainings(corpus, **words, output=f"out{n}", workers=n).run() for n in (0, 2))
    assert here.metrics == there.metrics
    assert set(here.metrics) == {"train_error.none", "train_error.crop:4_flip"}
    assert here.tables["study"].equals(there.tables["study"])
    assert here.tables["curves"].equals(there.tables["curves"])


def test_a_trial_that_fails_is_told_and_the_others_stay(corpus: str) -> None:
    words = {"augments": "none,flip", "optimizer": "sgd", "learning_rate": 1e12, "seeds": "0"}
    with pytest.raises(JobFailed, match="2 of 2 trials failed") as failed:
        trainings(corpus, **words).run()
    assert "net=nets.lenet:lenet5 augment=none seed=0: the loss is" in failed.value.details[0]
    report = trainings(corpus, **words, max_failed=1.0).run()
    assert report.tables["failed"].num_rows == 2 and "study" not in report.tables
    assert not list(Path("out/trials").rglob("trial.json")), "what failed is tried again"


def test_gradients_vanish_through_sigmoids(corpus: str) -> None:
    study = Study(
        kind="gradients", corpus=corpus, split="train", nets="nets.chain:chain", depths="2,8", output="out",
        activations="sigmoid,relu", seeds="0,1,2", batch_size=8, preprocess="look.json",
    )  # fmt: skip
    report = study.run()
    found = {(row["depth"], row["activation"]): row for row in report.tables["study"].to_pylist()}
    assert found[8, "sigmoid"]["ratio"] < found[8, "sigmoid"]["bound"] == pytest.approx(0.25**8)
    assert found[8, "relu"]["ratio"] > 1000 * found[8, "sigmoid"]["ratio"]
    assert found[8, "relu"]["bound"] == 1 and found[8, "sigmoid"]["sigmoids"] == 8
    assert all(row["ratio_low"] < row["ratio"] < row["ratio_high"] and row["trials"] == 3 for row in found.values())
    layers = report.tables["layers"].to_pylist()
    assert len(layers) == 2 * (3 + 9)
    assert report.metrics["ratio.depth_8_sigmoid"].n == 3
    assert Path("out/layers.png").exists() and "gradient by layer" in page.render(report, "t", {})


def test_lesions_of_a_model(corpus: str) -> None:
    Train(
        corpus=corpus, split="train", net="nets.resnet:cifar_resnet", arguments='{"depth": 14}', output="resnet14",
        preprocess="look.json", epochs=2, batch_size=20, micro_batch=20, workers=0, learning_rate=0.05,
    ).run()  # fmt: skip
    fields: dict[str, Any] = {
        "kind": "lesions",
        "corpus": corpus,
        "split": "val",
        "models": "resnet14",
        "output": "out",
    }
    report = Study(**fields, lesions="delete,shuffle", blocks="0,1,3", seeds="0,1,2").run()
    found = {(row["lesion"], row["blocks"]): row for row in report.tables["study"].to_pylist()}
    assert set(found) == {(lesion, count) for lesion in ("delete", "shuffle") for count in (0, 1, 3)}
    assert found["delete", 0]["error"] == found["shuffle", 0]["error"]
    assert found["delete", 0]["trials"] == 1, "what loses nothing is the same for every seed"
    assert found["delete", 3]["trials"] == 3
    assert found["delete", 0]["of_blocks"] == 4 and found["delete", 0]["pictures"] == 30
    from jobs.evaluate import Evaluate

    whole = Evaluate(corpus=corpus, split="val", model=("resnet14",), output="answers", workers=0).run()
    top1 = whole.metrics["top1"]
    assert found["delete", 0]["error"] == pytest.approx(1 - top1.value)
    assert found["delete", 0]["error_low"] == pytest.approx(1 - top1.high), "the interval of the pictures"
    assert found["delete", 3]["cross_entropy"] != found["delete", 0]["cross_entropy"]
    with pytest.raises(SpecError, match="5 blocks are more than the 4 that the net can lose"):
        Study(**fields, blocks="5").run()


def test_one_table_of_embeddings_serves_many_probes(corpus: str, small_model: str) -> None:
    for split in ("train", "val"):
        for layer in ("tanh3", "tanh4"):
            Predict(
                corpus=corpus, split=split, model=(small_model,), embedding=layer, output=f"{split}-{layer}", workers=0
            ).run()  # fmt: skip
    tables = {
        f"{name}_predictions": f"{split}-tanh3,{split}-tanh4" for name, split in (("train", "train"), ("test", "val"))
    }
    report = Study(kind="probe", **tables, probes="linear,knn:3", shots="1,2,5", draws=5, output="out").run()
    found = {(row["layer"], row["probe"]): row for row in report.tables["study"].to_pylist()}
    assert set(found) == {(layer, probe) for layer in ("tanh3", "tanh4") for probe in ("linear", "knn:3")}
    alone = Probe(train_predictions="train-tanh4", test_predictions="val-tanh4").run().metrics["top1"]
    best = found["tanh4", "linear"]
    assert (best["top1"], best["top1_low"], best["top1_high"]) == alone[:3]
    assert best["embedding_size"] == 84 and best["examples"] == 60
    few = report.tables["few_shot"].to_pylist()
    assert len(few) == 4 * 3 and all(row["top1_low"] < row["top1"] < row["top1_high"] for row in few)
    assert json.loads(report.tables["few_shot"].schema.metadata[b"plot"])["series"] == ["series"]
    assert few[0]["series"] == "tanh3 linear"
    with pytest.raises(SpecError, match="probes: 'svm' is not linear"):
        Study(kind="probe", **tables, probes="svm", output="out").run()
    with pytest.raises(SpecError, match="val-tanh9"):
        Study(kind="probe", **{**tables, "test_predictions": "val-tanh3,val-tanh9"}, output="out").run()


def test_fields_without_a_use_and_wrong_words_are_one_line(corpus: str) -> None:
    gradients = {"kind": "gradients", "nets": "nets.chain:chain", "corpus": corpus, "split": "train", "output": "out"}
    wrong: list[tuple[Any, str]] = [
        (lambda: Study(**gradients, epochs=3), "epochs: a study of kind gradients has no use for it"),
        (lambda: Study(**gradients, activations="swish", arguments='{"depth": 2}'), "activations: activation 'swish'"),
        (lambda: trainings(corpus, nets=""), "nets: a study needs nets"),
        (lambda: trainings(corpus, nets="nets.resnet:plain{depth}"), "depths: .* asks for some"),
        (lambda: trainings(corpus, nets="nets.resnet:plain{depth}", depths="20,21", arguments="{}"), "no 'plain21'"),
        (lambda: trainings(corpus, fractions="0.5,2"), "parts above 0 and up to 1, got 0.5, 2.0"),
        (lambda: trainings(corpus, fractions="0.5", where="label > 0"), "fractions: are parts of a whole split"),
        (lambda: trainings(corpus, augments="blur"), "no augmentation 'blur'"),
        (lambda: trainings(corpus, augments="none", augment="flip"), "augments: in place of --augment"),
        (lambda: trainings(corpus, freeze="conv7"), "no layer 'conv7'"),
        (lambda: trainings(corpus, dropout="0.5"), "cannot be built with"),
        (lambda: trainings(corpus, seeds=""), "seeds"),
        (lambda: Study(kind="probe", output="out"), "0 tables to learn from"),
        (lambda: Study(kind="lesions", output="out", corpus=corpus), "needs trained models"),
    ]
    for study, complaint in wrong:
        with pytest.raises(ValueError, match=complaint):
            study().run()
        assert not Path("out").exists(), complaint
    Path("out").mkdir()
    Path("out/thesis.tex").write_text("years of work")
    with pytest.raises(SpecError, match="not empty and holds no study"):
        trainings(corpus).run()
    with pytest.raises(SpecError, match="y: the table study has no 'eror' to draw; did you mean error"):
        trainings(corpus, output="o2", seeds="0", y="eror").run()


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_spec_of_the_package_is_a_study_under_its_name(path: Path) -> None:
    fields = yaml.safe_load(path.read_text())
    assert fields.pop("job") == "study"
    study = Study.parse(fields)
    from jobs.studying.kind import kind

    assert study.output == f"studies/{path.stem}"
    assert study.model_fields_set - kind(study.kind).fields <= {
        "kind", "output", "workers", "gpus_per_worker", "x", "y", "max_failed", "retry_s"
    }  # fmt: skip
    assert path.read_text().startswith("# "), "a spec says what its protocol is"


def test_a_spec_is_called_by_name_and_flags_override_it() -> None:
    seen: list[Any] = []
    group = Jobs("run", act=lambda found, _options: seen.append(found) or 0)  # type: ignore[func-returns-value]
    group.main(["study", "plain_residual_gpu", "--corpus", "mine", "--depths", "20"], standalone_mode=False)
    assert (seen[0].corpus, seen[0].depths, seen[0].epochs) == ("mine", (20,), 164)
    with pytest.raises(SpecError, match=r"plain_residul: .*did you mean plain_residual.*by name there are: .*few_shot"):
        group.main(["study", "plain_residul"], standalone_mode=False)
    Path("gradients").write_text("kind: probe\noutput: x\n")
    group.main(["study", "gradients"], standalone_mode=False)
    assert seen[1].kind == "probe", "a file of that path comes first"
    with pytest.raises(SpecError, match=r"^few_shot: No such file or directory$"):
        group.main(["probe", "few_shot"], standalone_mode=False)


def test_means_over_seeds_have_t_intervals() -> None:
    sheet = Sheet("s", ("share", "norm"), ("net",), ("share",), ("amount",), ("norm",))
    found = combined([Estimate(v, 0, 1, 9) for v in (0.1, 0.2, 0.3)], "loss", sheet)
    # t(0.975, 2) = 4.302653, standard error 0.1 / sqrt 3
    assert (found.value, found.high - found.value, found.n) == (
        pytest.approx(0.2), pytest.approx(4.302653 * 0.1 / math.sqrt(3), rel=1e-6), 3
    )  # fmt: skip
    assert combined([Estimate(v, 0, 1, 9) for v in (0.0, 0.1)], "share", sheet).low == 0
    assert combined([Estimate(v, 0, 9, 9) for v in (1.0, 9.0)], "amount", sheet).low == 0
    assert combined([Estimate(v, 0, 9, 9) for v in (1.0, 9.0)], "anything", sheet).low < 0
    norm = combined([Estimate(v, 0, 1, 9) for v in (1e-8, 1e-4)], "norm", sheet)
    assert norm.value == pytest.approx(1e-6) and norm.low < 1e-8 and norm.high > 1e-4
    alone = Estimate(0.4, 0.3, 0.5, 100)
    assert combined([alone], "share", sheet) == alone


def test_rows_are_named_by_what_varies() -> None:
    sheet = Sheet("s", ("v",), ("depth", "net"))
    found = cells({"net": ["nets.a:plain{depth}", "nets.a:res{depth}"], "depth": [20, 56], "seed": [0, 1]})
    done = [
        (Trial(cell, {}, cell), {"s": [Row(plain({"v": float(n)}), facts={"note": f"n{n}"})]})
        for n, cell in enumerate(found)
    ]
    rows = lines(done, sheet)
    assert [label(row, ["net", "depth"]) for row in rows] == ["plain20", "plain56", "res20", "res56"]
    assert [label(row, ["depth"]) for row in rows][:2] == ["depth 20", "depth 56"]
    made = table(rows, sheet, None, None)
    assert made["v"].to_pylist() == [0.5, 2.5, 4.5, 6.5]
    assert made["note"][0].as_py() == "seed 0: n0; seed 1: n1"
    assert json.loads(made.schema.metadata[b"plot"])["x"] == "depth"


MARGIN = 0.05
"""A sixth at most of what the layers cost the plain net."""


@pytest.fixture(scope="module")
def grown(shared_images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study of plain and residual nets on real pictures: the spec for two cores, one of three seeds."""
    place = tmp_path_factory.mktemp("grown")
    Ingest(
        source=str(shared_images / "cifar10/cifar10_subset.parquet"), layout="table", image_column="image",
        label_column="label_name", split_column="split", corpus=str(place / "cifar"), workers=0,
    ).run()  # fmt: skip
    fields = yaml.safe_load(Path(jobs.__path__[0], "studies/plain_residual.yaml").read_text())
    del fields["job"]
    Study.parse({**fields, "corpus": str(place / "cifar"), "output": str(place / "out"), "seeds": "0"}).run()
    return place


def trained(grown: Path) -> dict[str, str]:
    """The nets' folders by their names."""
    records = {path.parent: json.loads(path.read_text()) for path in grown.glob("out/trials/*/trial.json")}
    return {grid.named(held["cell"]).partition(":")[2]: str(folder / "work") for folder, held in records.items()}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_more_layers_hurt_a_plain_net_and_not_a_residual_one(grown: Path) -> None:
    """He et al., CVPR 2016, figures 1 and 6, in some 220 s of one core."""
    found = pacsv.read_csv(grown / "out/study.csv").to_pylist()
    error = {grid.named(row).partition(":")[2]: row["train_error"] for row in found}
    assert error["plain56"] > error["plain20"] + 0.3
    # Both residual nets come near 0: which of them is nearer hangs on the seed, so "not above" has a margin.
    assert error["resnet56"] <= error["resnet20"] + MARGIN
    assert max(error["resnet56"], error["resnet20"]) < error["plain20"]
    assert all(row["train_error"] < row["train_error_high"] for row in found)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_lost_block_breaks_a_chain_and_not_an_ensemble(grown: Path) -> None:
    """Veit, Wilber & Belongie, NIPS 2016, figure 3: on the pictures that both nets have learnt."""
    nets = trained(grown)
    report = Study.parse({
        "kind": "lesions", "corpus": str(grown / "cifar"), "split": "train", "sample": 1000, "stratify": "label",
        "models": (nets["plain20"], nets["resnet56"]), "blocks": "0,1", "seeds": "0,1,2", "output": "out",
    }).run()  # fmt: skip
    error = {(row["net"], row["blocks"]): row["error"] for row in report.tables["study"].to_pylist()}
    assert error[nets["plain20"], 0] < 0.3 and error[nets["plain20"], 1] > 0.7
    assert error[nets["resnet56"], 0] < 0.1 and error[nets["resnet56"], 1] < 0.45
