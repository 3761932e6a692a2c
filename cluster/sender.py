"""A journal sent to MLflow, event by event: while the job runs, and by `safelight results push` afterwards.

Kinds of event, with what they carry:
    params {name: text}; tags {name: text}; metrics [[name, value, step, time_ms], ...];
    dataset {name, digest, uri, context}; artifact {file, folder}; register {folder, name}; end {status, time_ms}.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from cluster.client import connect
from cluster.journal import Event, Journal
from cluster.masking import masked
from cluster.settings import Settings

JOURNAL_TAG = "safelight.journal"
_BATCH = 100  # MLflow takes as many parameters or tags in one call, and more metrics
_REFUSED = (400, 409)
_EXPERIMENT_TAGS = {
    # Runs of model training, and not of language models. MLflow 3.17's page still opens as its reader last had it
    # (GenAI at first): `#/experiments/ID/runs` leads to the runs in any case.
    "mlflow.experimentKind": "custom_model_development",
}


class Sender:
    """Sends one journal. `refused` lists what MLflow would not take, in its own words.

    `registered` maps the name asked for to the reference it got.
    """

    def __init__(self, journal: Journal, settings: Settings) -> None:
        self.journal = journal
        self.settings = settings
        self.client = connect(settings)
        self.refused: list[str] = []
        self.registered: dict[str, str] = {}
        self._open: dict[str, Callable[[str, Event], None]] = {
            "params": self._params,
            "tags": self._tags,
            "metrics": self._metrics,
            "dataset": self._dataset,
            "artifact": self._artifact,
            "register": self._register,
            "end": self._end,
        }

    def open(self) -> str:
        """The run of this journal, found or created; its id."""
        run_id = self.journal.run_id
        if run_id is None:
            experiment = self._experiment()
            run_id = self._find(experiment) or self._create(experiment)
            self.journal.set_run(run_id)
        return run_id

    def send(self) -> None:
        """Send all that was not sent yet.

        Raises:
            Exception: whatever the client raises when the server is away; the journal then says what is left.
        """
        from mlflow.exceptions import MlflowException

        run_id = self.open()
        for event, offset in self.journal.unsent():
            try:
                self._open[event["kind"]](run_id, event)
            except MlflowException as error:
                if _status(error) not in _REFUSED:
                    raise
                self.refused.append(f"{event['kind']}: {one_line(error)}")
            self.journal.acknowledge(offset)

    def _experiment(self) -> str:
        from mlflow.exceptions import MlflowException

        name = self.settings.experiment
        found = self.client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        try:
            created = self.client.create_experiment(name, self.settings.artifacts, tags=_EXPERIMENT_TAGS)
        except MlflowException:
            # Another job may have created it in this moment.
            found = self.client.get_experiment_by_name(name)
            if found is None:
                raise
            return str(found.experiment_id)
        return str(created)

    def _find(self, experiment: str) -> str | None:
        """The run that an earlier attempt created without living to write its id down."""
        wanted = f"tags.`{JOURNAL_TAG}` = '{self.journal.key}'"
        runs = self.client.search_runs([experiment], filter_string=wanted, max_results=1)
        return str(runs[0].info.run_id) if runs else None

    def _create(self, experiment: str) -> str:
        head = self.journal.head
        tags = {"safelight.job": head["job"], JOURNAL_TAG: self.journal.key}
        run = self.client.create_run(experiment, head["started_ms"], tags, run_name=head["job"])
        return str(run.info.run_id)

    def _params(self, run_id: str, event: Event) -> None:
        from mlflow.entities import Param

        for part in _parts([Param(name, value) for name, value in event["values"].items()]):
            self.client.log_batch(run_id, params=part)

    def _tags(self, run_id: str, event: Event) -> None:
        from mlflow.entities import RunTag

        for part in _parts([RunTag(name, value) for name, value in event["values"].items()]):
            self.client.log_batch(run_id, tags=part)

    def _metrics(self, run_id: str, event: Event) -> None:
        from mlflow.entities import Metric

        points = [Metric(name, value, time, step) for name, value, step, time in event["values"]]
        for part in _parts(points):
            self.client.log_batch(run_id, metrics=part)

    def _dataset(self, run_id: str, event: Event) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        kind = event["uri"].split("://")[0] if "://" in event["uri"] else "local"
        source = json.dumps({"uri": event["uri"]})
        dataset = Dataset(event["name"], event["digest"], kind, source)
        context = InputTag("mlflow.data.context", event["context"])
        self.client.log_inputs(run_id, [DatasetInput(dataset, [context])])

    def _artifact(self, run_id: str, event: Event) -> None:
        path = self.journal.folder / "files" / event["file"]
        self.client.log_artifact(run_id, str(path), event["folder"] or None)

    def _register(self, run_id: str, event: Event) -> None:
        from cluster.registry import register

        reference = register(self.client, run_id, event["folder"], event["name"])
        self.registered[event["name"]] = reference

    def _end(self, run_id: str, event: Event) -> None:
        self.client.set_terminated(run_id, event["status"], event["time_ms"])


def _status(error: Any) -> int:
    """The HTTP status of an MlflowException, also where no HTTP was spoken; 500 for a server that is away."""
    return int(error.get_http_status_code())


def one_line(error: BaseException) -> str:
    """What went wrong, without secrets, as one line."""
    lines = str(error).strip().splitlines()
    return masked(lines[0]) if lines else type(error).__name__


def as_points(values: Mapping[str, float], step: int, time_ms: int) -> list[list[Any]]:
    """Metrics as an event holds them."""
    return [[name, value, step, time_ms] for name, value in values.items()]


def _parts(items: Sequence[Any]) -> Iterator[list[Any]]:
    """`items` in pieces that one call takes."""
    whole = iter(items)
    while part := list(itertools.islice(whole, _BATCH)):
        yield part
