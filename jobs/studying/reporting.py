"""What a study tells: its tables, drawn, beside its trials and in its report."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv as pacsv

from jobs import lines, storage
from jobs.records import open_corpus
from jobs.spec import Report
from jobs.studying import running
from jobs.studying.grid import short
from jobs.studying.kind import SEED, Sheet, Trial, kind
from jobs.studying.table import Line, label, table, varying
from jobs.studying.table import lines as gathered
from vision.accumulator import Estimate

if TYPE_CHECKING:
    from jobs.study import Study

HEADLINES = 40
"""Cells whose first number becomes a metric of the run."""


def report(study: Study, trials: Sequence[Trial], output: str, failed: Mapping[str, str]) -> Report:
    """Gather what is done, write `study.csv`, `study.png` and those of further sheets, and tell."""
    done = [(trial, outcome) for trial in trials if (outcome := running.read(output, trial)) is not None]
    tables: dict[str, pa.Table] = {}
    found: dict[str, list[Line]] = {}
    for sheet in kind(study.kind).sheets:
        rows = gathered(done, sheet)
        if not rows:
            continue
        # A wish for the plot is for the first sheet; the others are drawn as they are meant.
        wish = (study.x, study.y) if not tables else (None, None)
        found[sheet.name], tables[sheet.name] = rows, table(rows, sheet, *wish)
        _write(output, sheet.name, tables[sheet.name], study.kind)
    if failed:
        named = [trial for trial in running.unique(trials) if trial.name in failed]
        tables["failed"] = pa.table({"trial": [str(t) for t in named], "why": [failed[t.name] for t in named]})
    first = kind(study.kind).sheets[0]
    rows = found.get(first.name, [])
    return Report(
        metrics=_metrics(rows, first, study.y),
        groups=tuple((_by(line, varying(rows)), line.values) for line in rows),
        output=output,
        tables=tables,
        tags=_tags(study, trials),
        notes=tuple(_notes(study, rows, failed)),
    )


def _write(output: str, name: str, found: pa.Table, of: str) -> None:
    buffer = io.BytesIO()
    pacsv.write_csv(found, buffer)
    storage.write(storage.join(output, f"{name}.csv"), buffer.getvalue())
    storage.write(storage.join(output, f"{name}.png"), lines.png(found, f"{of}: {name}"))


def _metrics(rows: Sequence[Line], sheet: Sheet, y: str | None) -> dict[str, Estimate]:
    """The number that is drawn, of each cell, under the cell's name."""
    name, keys = y or sheet.values[0], varying(rows) if rows else []
    chosen = [line for line in rows if name in line.values][:HEADLINES]
    # MLflow takes no other characters in the names of metrics.
    return {f"{name}.{re.sub(r'[^A-Za-z0-9_.:/-]', '_', label(line, keys))}": line.values[name] for line in chosen}


def _by(line: Line, keys: Sequence[str]) -> dict[str, str]:
    return {key: short(key, line.keys[key]) for key in keys if line.keys.get(key) is not None}


def _tags(study: Study, trials: Sequence[Trial]) -> dict[str, str]:
    tags = {"kind": study.kind, "trials": str(len(running.unique(trials)))}
    if study.corpus is not None:
        url, corpus = open_corpus(study.corpus)
        tags |= {"corpus": url, "corpus_version": str(corpus.version), "corpus_digest": corpus.digest}
    return tags


def _notes(study: Study, rows: Sequence[Line], failed: Mapping[str, str]) -> list[str]:
    """What a reader of the numbers must know."""
    notes = [f"{len(failed)} trials failed and are not in the tables: see `failed`"] if failed else []
    if any(line.trials > 1 for line in rows):
        notes.append(f"numbers are means over {SEED}s {', '.join(map(str, study.seeds))}, with t intervals over them")
    elif len(rows):
        notes.append("one seed: intervals are of the pictures counted, and cover no other seed")
    return notes
