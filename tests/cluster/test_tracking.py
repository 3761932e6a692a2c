"""A run round a job, in a real SQLite store."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from mlflow.tracking import MlflowClient

from cluster.journal import Journal, pending
from cluster.registry import fetch
from cluster.results.push import push
from cluster.settings import Settings, from_environment
from cluster.tracking import tracked
from jobs.adopt import Adopt
from jobs.spec import JobFailed, Report, SpecError
from tests.cluster.toys import Toy, quiet
from vision import names, weights

ROOT = Path(__file__).parents[2]


@pytest.fixture
def here(tmp_path: Path) -> Settings:
    return from_environment({}, tmp_path)


def recorded(here: Settings) -> list[Any]:
    client = MlflowClient(here.tracking_uri)
    experiment = client.get_experiment_by_name("safelight")
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id]))


def test_a_run_holds_all_that_the_job_was_and_found(here: Settings, capfd: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []
    _, run_id = tracked(Toy(by=("sex", "age"), text="apples"), said.append, quiet, here)
    (run,) = recorded(here)
    assert run.info.run_id == run_id
    assert run.info.status == "FINISHED"
    assert run.info.end_time >= run.info.start_time
    assert run.data.params == {
        "corpus": "data/toys",
        "model": "",
        "by": "sex,age",
        "top1": "0.5",
        "text": "apples",
        "ends": "well",
        "sleep_s": "0.0",
    }
    assert {name: v for name, v in run.data.metrics.items() if name.startswith(("top1", "unseen", "errors"))} == {
        "top1": 0.5,
        "top1.low": 0.4,
        "top1.high": 0.6,
        "top1.n": 30,
        "unseen.n": 0,
        "errors": 2,
    }
    assert [m.value for m in MlflowClient(here.tracking_uri).get_metric_history(run_id, "loss")] == [1, 1 / 2, 1 / 3]
    assert run.data.tags["safelight.job"] == "toy"
    assert run.data.tags["safelight.output"] == "data/toys/out"
    assert run.data.tags["safelight.model_digest"] == "ab" * 32
    dataset = run.inputs.dataset_inputs[0].dataset
    assert (dataset.name, dataset.digest) == ("toys", ("cd" * 32)[:36])
    assert said == ["working on apples"]
    assert capfd.readouterr().out == "", "stdout belongs to the result"
    assert pending(here.state) == []


def test_its_files_are_a_page_a_document_and_tables(here: Settings) -> None:
    _, run_id = tracked(Toy(), quiet, quiet, here)
    folder = here.home / "mlruns" / str(run_id) / "artifacts"
    document = json.loads((folder / "report.json").read_text())
    assert document["run_id"] == run_id
    assert document["metrics"]["top1"] == {"value": 0.5, "low": 0.4, "high": 0.6, "n": 30}
    assert document["metrics"]["unseen"] == {"value": None, "low": None, "high": None, "n": 0}
    assert document["groups"][1] == {"by": {"sex": "m"}, "metrics": {"top1": document["metrics"]["unseen"]}}
    assert pq.read_table(folder / document["tables"]["confusion"]).to_pylist()[1] == {"truth": 1, "count": 20}
    groups = pq.read_table(folder / "tables/groups.parquet").to_pylist()
    assert groups[0] == {"sex": "f", "metric": "top1", "value": 0.5, "low": 0.4, "high": 0.6, "n": 30}
    assert groups[1]["value"] is None
    assert "a note" in (folder / "report.html").read_text()
    assert "working on" in (folder / "log.txt").read_text()
    assert (folder / "job.yaml").exists()


def test_the_experiment_is_marked_as_one_of_model_training(here: Settings) -> None:
    tracked(Toy(), quiet, quiet, here)
    experiment = MlflowClient(here.tracking_uri).get_experiment_by_name("safelight")
    assert experiment is not None
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"


def test_whoever_begins_a_run_may_add_tags_and_no_secrets(here: Settings) -> None:
    tags = {"safelight.night": "faces@2026-03-29", "safelight.from": "https://me:hunter2secret@host/x"}
    tracked(Toy(), quiet, quiet, here, tags)
    (run,) = recorded(here)
    assert run.data.tags["safelight.night"] == "faces@2026-03-29"
    assert run.data.tags["safelight.from"] == "https://***@host/x"


@pytest.mark.parametrize(
    ("ends", "error", "status"),
    [("failed", JobFailed, "FAILED"), ("interrupted", KeyboardInterrupt, "KILLED")],
)
def test_a_job_that_ends_badly_says_so(here: Settings, ends: str, error: type[BaseException], status: str) -> None:
    with pytest.raises(error):
        tracked(Toy(ends=ends, text="pears"), quiet, quiet, here)
    (run,) = recorded(here)
    assert run.info.status == status
    assert run.data.tags.get("safelight.error") == ("could not work on pears" if ends == "failed" else None)
    assert pending(here.state) == []


def test_no_secret_reaches_the_store(here: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMIK7MDENG")
    text = "https://me:hunter2secret@host/x?Signature=sigsigsig and wJalrXUtnFEMIK7MDENG"
    with pytest.raises(JobFailed):
        tracked(Toy(text=text, ends="failed"), quiet, quiet, here)
    tracked(Toy(text=text, corpus="s3://me:hunter2secret@b/c"), quiet, quiet, here)
    files = [path for path in here.home.rglob("*") if path.is_file()]
    assert len(files) > 6
    for path in files:
        data = path.read_bytes()
        for secret in (b"hunter2secret", b"sigsigsig", b"wJalrXUtnFEMIK7MDENG"):
            assert secret not in data, f"{secret!r} in {path}"


def test_a_long_field_fits(here: Settings) -> None:
    tracked(Toy(text="x" * 20_000), quiet, quiet, here)
    (run,) = recorded(here)
    assert len(run.data.params["text"]) == 6000
    assert "sha256:" in run.data.params["text"]


def test_the_work_does_not_wait_for_mlflow(tmp_path: Path) -> None:
    """In a fresh process the job is done with its first step before the client is even imported."""
    code = (
        "import sys\n"
        "from cluster.tracking import tracked\n"
        "from tests.cluster.toys import Toy, quiet\n"
        "class Early(Toy):\n"
        "    def run(self, context):\n"
        "        print(context.journal.run_id, 'mlflow.tracking.client' in sys.modules)\n"
        "        return super().run(context)\n"
        "print(tracked(Early(), quiet, quiet)[1])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True
    )
    first, run_id = done.stdout.split("\n")[:2]
    assert first == "None False"
    assert len(run_id) == 32


def test_jobs_that_start_at_once_in_a_new_place_all_have_their_run(tmp_path: Path, here: Settings) -> None:
    code = "from cluster.tracking import tracked\nfrom tests.cluster.toys import Toy, quiet\n"
    code += "tracked(Toy(), quiet, quiet)\n"
    started = [subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=environment()) for _ in range(3)]
    assert [process.wait(timeout=120) for process in started] == [0, 0, 0]
    assert [run.info.status for run in recorded(here)] == ["FINISHED"] * 3


def test_a_store_that_cannot_be_opened_stops_the_job_while_it_works(here: Settings) -> None:
    (here.home / "mlflow.db").write_bytes(b"this is no database at all, and nothing will make it one" * 50)
    start = time.monotonic()
    with pytest.raises(JobFailed, match="would not open a run"):
        tracked(Toy(sleep_s=60), quiet, quiet, here)
    assert time.monotonic() - start < 30
    assert pending(here.state) == []


def test_a_run_is_whole_though_the_process_that_speaks_to_mlflow_was_killed(here: Settings) -> None:
    class Kills(Toy):
        def run(self, context: Any = None) -> Report:
            context.follower.opened()
            os.kill(context.follower._aside._child.process.pid, signal.SIGKILL)
            return super().run(context)

    _, run_id = tracked(Kills(), quiet, quiet, here)
    (run,) = recorded(here)
    assert (run.info.run_id, run.info.status) == (run_id, "FINISHED")
    assert run.data.metrics["top1.n"] == 30
    assert pending(here.state) == []


def test_a_job_that_was_killed_is_completed_by_a_push(tmp_path: Path, here: Settings) -> None:
    tracked(Toy(), quiet, quiet, here)  # the store exists, so the run is open before the end comes
    code = (
        "from cluster.tracking import tracked\n"
        "from tests.cluster.toys import Toy, quiet\n"
        "class Waits(Toy):\n"
        "    def run(self, context):\n"
        "        context.follower.opened()\n"
        "        return super().run(context)\n"
        "tracked(Waits(ends='killed'), quiet, quiet)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment(), check=False)
    assert done.returncode == -9
    (journal,) = pending(here.state)
    assert not journal.is_running()
    said: list[str] = []
    assert push(here, said.append) == 1
    assert said == [f"sent waits {journal.folder.name and recorded(here)[0].info.run_id}"]
    assert recorded(here)[0].info.status == "KILLED"
    assert recorded(here)[0].data.params["ends"] == "killed"
    assert pending(here.state) == []
    assert push(here, said.append) == 0


def test_a_journal_of_a_working_job_is_left_alone(here: Settings) -> None:
    journal = Journal.create(here.state, "toy", here.tracking_uri)
    journal.append({"kind": "params", "values": {"a": "1"}})
    said: list[str] = []
    assert push(here, said.append) == 0
    assert "still runs" in said[0]
    assert pending(here.state) == [journal]


def test_a_torn_line_is_no_event_and_sent_ones_are_not_sent_again(here: Settings) -> None:
    journal = Journal.create(here.state, "toy", here.tracking_uri)
    journal.append({"kind": "params", "values": {"a": "ä"}})
    journal.append({"kind": "params", "values": {"b": "2"}})
    with open(journal.folder / "events.jsonl", "a") as stream:
        stream.write('{"kind": "par')
    (first, offset), (second, _) = journal.unsent()
    assert (first["values"], second["values"]) == ({"a": "ä"}, {"b": "2"})
    journal.acknowledge(offset)
    assert [event["values"] for event, _ in journal.unsent()] == [{"b": "2"}]


def test_a_model_goes_into_the_registry_and_back(here: Settings) -> None:
    net = names.net("nets.lenet:lenet5", {"classes": 3, "channels": 3})
    weights.save(net.state_dict(), here.home / "lenet.safetensors")
    look = {"resize": [28, 28], "crop": None, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
    (here.home / "look.json").write_text(json.dumps(look))
    job = Adopt(
        net="nets.lenet:lenet5",
        arguments='{"classes": 3, "channels": 3}',
        weights=str(here.home / "lenet.safetensors"),
        preprocess=str(here.home / "look.json"),
        output=str(here.home / "adopted"),
        register="shapes@champion",
    )
    report, run_id = tracked(job, quiet, quiet, here)
    assert report.tags["registered"] == "models:/shapes@champion"
    for reference in ("models:/shapes@champion", "models:/shapes/1", f"runs:/{run_id}/model"):
        assert fetch(reference, here).digest == report.tags["model_digest"]
    assert not [path for path in here.home.rglob("*") if path.suffix in (".pkl", ".pickle")]
    for reference in ("models:/shapes@nobody", "models:/none/1", f"runs:/{'0' * 32}/model"):
        with pytest.raises(JobFailed, match="cannot be had"):
            fetch(reference, here)
    with pytest.raises(SpecError, match="is not models:"):
        fetch("models:/shapes", here)
    assert predicted_elsewhere(here) == 3


def predicted_elsewhere(here: Settings) -> int:
    """The registered model answers in a process whose path knows nothing of this checkout; how many rows it gave."""
    code = (
        "import sys, io, numpy, pandas, mlflow\n"
        "from PIL import Image\n"
        f"mlflow.set_tracking_uri({here.tracking_uri!r})\n"
        "model = mlflow.pyfunc.load_model('models:/shapes@champion')\n"
        "buffer = io.BytesIO()\n"
        "Image.fromarray(numpy.zeros((40, 40, 3), numpy.uint8)).save(buffer, 'PNG')\n"
        "good = buffer.getvalue()\n"
        "rows = model.predict(pandas.DataFrame({'image': [good, b'no image', good]}))\n"
        "assert rows['label'][0] == rows['label'][2] and rows['error'].isna().tolist() == [True, False, True], rows\n"
        "assert {'label', 'score', 'top_labels', 'top_scores'} <= set(rows), rows\n"
        "import vision\n"
        f"assert {str(here.home)!r} in vision.__file__, vision.__file__\n"
        "print(len(rows))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=here.home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def environment() -> dict[str, str]:
    """This process's environment, with this checkout on the path."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}
