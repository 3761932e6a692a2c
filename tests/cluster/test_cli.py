"""The command as people type it: quick help, one line for wrong words, exit codes, one JSON document."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.commands import job_class, job_names
from jobs.spec import Job
from tests.cluster.calling import help_of
from tests.making import CorpusMaker, rows_of

ROOT = Path(__file__).parents[2]


def safelight(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cluster.cli", *words]
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env)


HEAVY = {
    "torch",
    "torchvision",
    "ray",
    "mlflow",
    "pandas",
    "scipy",
    "sklearn",
    "matplotlib",
    "openvino",
    "zarr",
    "requests",
}


@pytest.mark.parametrize("words", ["", "run", "run evaluate", "run segment", "results", "submit evaluate", "jobs list"])
def test_help_loads_nothing_heavy(words: str) -> None:
    """So it comes within half a second of the processor; clocks are not asked, since neighbours slow them."""
    text, loaded = help_of("cluster.cli:safelight", *words.split())
    assert text.startswith("Usage: ")
    assert not loaded & HEAVY
    assert len(loaded) < 900, "seven hundred modules were enough"


def test_help_of_an_audit_loads_none_of_what_carries_it_out() -> None:
    text, loaded = help_of("cluster.commands:run", "audit")
    assert "--same-km" in text
    assert "jobs.audit" in loaded
    assert not [name for name in loaded if name.startswith(("vision.fairness", "jobs.evaluate", "jobs.engine"))]


def test_help_names_every_field_of_every_job() -> None:
    for name in job_names():
        text = " ".join(safelight("run", name, "--help").stdout.split())
        for word, field in job_class(name).words().items():
            assert f"--{word.replace('_', '-')}" in text
            assert field.description, f"{name}.{word} has no description"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["run", "evaluate", "--corpsu", "x"], "No such option '--corpsu'. Did you mean '--corpus'"),
        (["run", "evalaute"], "there is no job 'evalaute'; did you mean evaluate?"),
        (["runn"], "no command 'runn'; did you mean run?"),
        (["run", "predict", "--corpus", "x"], "predict needs model and output"),
        (["run", "predict", "--workers", "many"], "Invalid value for '--workers'"),
        (["run", "evaluate", "spec.yaml"], "evaluate has no field 'modle'; did you mean model?"),
        (["run", "evaluate", "gone.yaml"], "gone.yaml: No such file or directory"),
        (["run", "evaluate", "broken.yaml"], "broken.yaml is not YAML"),
        (["run", "predict", "spec.yaml"], "spec.yaml is a spec of another job than predict"),
        (["show", "nothing-there"], "nothing-there: no corpus, predictions or model there"),
        (["verify", "nothing-there"], "no corpus there"),
    ],
)
def test_wrong_words_are_one_line_and_exit_2(words: list[str], line: str) -> None:
    Path("spec.yaml").write_text("job: evaluate\nmodle: x\n")
    Path("broken.yaml").write_text("a: [1\n")
    done = safelight(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert line in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_spec_survives_yaml(make_corpus: CorpusMaker) -> None:
    job = job_class("evaluate").parse({"corpus": "c", "model": "m", "by": "a,b", "order": 2, "max_errors": 0.5})
    Path("spec.yaml").write_text(job.to_yaml())
    done = safelight("run", "evaluate", "spec.yaml", "--order", "1", "--dry-run")
    assert done.returncode == 2 or "order" not in done.stdout
    import yaml

    again: Job = job_class("evaluate").parse(yaml.safe_load(job.to_yaml()))
    assert again == job


def test_one_document_on_stdout(make_corpus: CorpusMaker, small_model: str) -> None:
    corpus = make_corpus(rows_of(12))
    done = safelight(
        "run",
        "evaluate",
        "--corpus",
        corpus,
        "--model",
        small_model,
        "--by",
        "sex",
        "--workers",
        "0",
        "--format",
        "json",
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert set(document) >= {"job", "run_id", "output", "metrics", "groups", "errors", "tables"}
    assert set(document["metrics"]["top1"]) == {"value", "low", "high", "n"}
    assert [group["by"] for group in document["groups"]] == [{"sex": "f"}, {"sex": "m"}]
    found = json.loads(safelight("results", "evaluate", "--metric", "top1", "--format", "json").stdout)
    assert [run["run_id"] for run in found["runs"]] == [document["run_id"]]


def test_too_many_broken_images_exit_1_with_the_list(make_corpus: CorpusMaker, small_model: str) -> None:
    corpus = make_corpus([*rows_of(9), ("bad.jpg", b"", 0)])
    done = safelight("run", "predict", "--corpus", corpus, "--model", small_model, "--output", "out", "--workers", "0")
    assert done.returncode == 1
    assert "1 of 10 images are broken" in done.stderr
    assert "  bad.jpg: " in done.stderr


def test_show_and_verify(make_corpus: CorpusMaker, small_model: str) -> None:
    corpus = make_corpus(rows_of(12))
    shown = safelight("show", corpus, "--sheet", "sheet.png")
    assert "rows" in shown.stdout
    assert "12 (test 12)" in shown.stdout
    assert Path("sheet.png").read_bytes().startswith(b"\x89PNG")
    assert "61,706" not in safelight("show", small_model).stdout
    assert "parameters" in safelight("show", "nets.lenet:lenet5").stdout
    assert safelight("verify", corpus).returncode == 0
    shard = Path(corpus, "test/part-00000.parquet")
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    damaged = safelight("verify", corpus)
    assert damaged.returncode == 1
    assert "part-00000.parquet: its sha256 is not the manifest's" in damaged.stdout
