"""What a job's run holds, written to its journal: fields at the beginning, the report at the end."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import pyarrow.parquet as pq

from cluster import provenance
from cluster.document import document, flat, groups_table, to_json
from cluster.journal import Journal, now_ms
from cluster.masking import as_parameter, as_tag, as_word, masked
from cluster.sender import as_points
from jobs import page
from jobs.spec import Job, Report

_DIGEST_LIMIT = 36


def begin(journal: Journal, job: Job, extra: Mapping[str, str]) -> None:
    """The fields, defaults too, the job as YAML, whose code it is, and what else whoever began it has to say."""
    params = {name: as_parameter(value) for name, value in fields(job).items()}
    journal.append({"kind": "params", "values": params})
    facts = {"mlflow.runName": provenance.title(job), **provenance.facts()}
    journal.append({"kind": "tags", "values": facts | {name: as_tag(value) for name, value in extra.items()}})
    _file(journal, "job.yaml", masked(job.to_yaml()))


def report(journal: Journal, job: Job, name: str, found: Report) -> None:
    """Metrics, tags, tables, the document, the page and what files there are."""
    numbers = {**flat(found.metrics), "errors": float(found.errors)}
    journal.append({"kind": "metrics", "values": as_points(numbers, 0, now_ms())})
    journal.append({"kind": "tags", "values": tags(found)})
    _dataset(journal, job, found)
    tables = _tables(journal, found)
    _file(journal, "report.json", to_json(document(name, journal.run_id, found, tables)))
    _file(journal, "report.html", page.render(found, provenance.title(job), _shown(job)))
    for file, text in found.files.items():
        _file(journal, file, masked(text))


def error(journal: Journal, text: str) -> None:
    """Why the job failed, in a line."""
    journal.append({"kind": "tags", "values": {"safelight.error": as_tag(text)}})


def end(journal: Journal, status: str) -> None:
    """What was said, and the last record: FINISHED, FAILED or KILLED."""
    if journal.file("log.txt").exists():
        _artifact(journal, "log.txt")
    journal.append({"kind": "end", "status": status, "time_ms": now_ms()})


def fields(job: Job) -> dict[str, Any]:
    """All fields of a job, as plain values, by the names that flags and YAML have for them."""
    values: dict[str, Any] = job.model_dump(mode="json", by_alias=True)
    return values


def tags(found: Report) -> dict[str, str]:
    """The facts of a report as tags: `safelight.output` and one for each of its own."""
    facts: Mapping[str, str] = {**({} if found.output is None else {"output": found.output}), **found.tags}
    return {f"safelight.{name}": as_tag(value) for name, value in facts.items()}


def _shown(job: Job) -> dict[str, str]:
    """The fields as the page shows them, and what made them."""
    commit = provenance.facts().get("safelight.commit")
    made = {} if commit is None else {"commit": commit}
    return {name: masked(as_word(value)) for name, value in fields(job).items()} | made


def _tables(journal: Journal, found: Report) -> dict[str, str]:
    """Tables as Parquet beside the run; where each lies, relative to the document."""
    tables = dict(found.tables)
    if found.groups:
        tables["groups"] = groups_table(found)
    for name, table in tables.items():
        pq.write_table(table, journal.file(f"tables/{name}.parquet"))
        _artifact(journal, f"tables/{name}.parquet")
    return {name: f"tables/{name}.parquet" for name in tables}


def _dataset(journal: Journal, job: Job, found: Report) -> None:
    """The corpus as an input of the run; its digest is the manifest's where the report says it."""
    corpus = getattr(job, "corpus", None)
    if not isinstance(corpus, str) or not corpus:
        return
    uri = masked(corpus)
    digest = found.tags.get("corpus_digest") or hashlib.sha256(uri.encode()).hexdigest()
    journal.append(
        {
            "kind": "dataset",
            "name": uri.rstrip("/").rsplit("/", 1)[-1],
            "digest": digest[:_DIGEST_LIMIT],
            "uri": uri,
            "context": provenance.job_name(job),
        }
    )


def _file(journal: Journal, name: str, text: str) -> None:
    journal.file(name).write_text(text, encoding="utf-8")
    _artifact(journal, name)


def _artifact(journal: Journal, file: str) -> None:
    journal.append({"kind": "artifact", "file": file, "folder": file.rpartition("/")[0]})
