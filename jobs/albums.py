"""Photos of one album answered together, from predictions that kept their logits: no picture is seen again.

What an album is says a column, and when its photos were taken another; both come with `ingest --layout geotagged`. A
photo without an album is answered alone. An album may lie in several shards, so the log-probabilities of all chosen
photos are held in memory, 4 bytes a cell: 10,000 photos over 13,000 cells take 520 MB.

Reference: Weyand, Kostrikov & Philbin, "PlaNet", ECCV 2016, section 4.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from jobs import derived, records, storage
from jobs.answers import Answers, as_array, recorded
from jobs.engine import commit
from jobs.reading import PREDICTED, beside, prediction_shard
from jobs.records import Reads
from jobs.spec import Context, JobFailed, Plain, Report, SpecError, nearest
from vision.accumulator import Array

if TYPE_CHECKING:
    from vision.geolocation.posteriors import Posteriors

_TASK = "geolocation"


class Albums(Reads):
    """Answer the photos of each album together, from stored logits."""

    predictions: str = Field(description="predictions of places with logits (predict --keep-logits)")
    model: str = Field(description="the model that made them, which knows the cells")
    output: str = Field(description="folder or URL of the predictions")
    by: Literal["mean", "decayed", "viterbi"] = Field(
        "viterbi", description="one answer an album; one that fades with time; the likeliest way at a possible speed"
    )
    album: str = Field("album", description="column of the albums")
    time: str = Field("time", description="column of the times: ISO texts (2008-10-22T16:28:39) or seconds")
    scale_s: float = Field(3600.0, gt=0, description="decayed: a photo so many seconds away counts 1/e")
    speed_km_h: float = Field(900.0, ge=0, description="viterbi: the fastest that people move")
    slack_km: float = Field(50.0, ge=0, description="viterbi: a distance that takes no time")

    def run(self, context: Context | None = None) -> Report:
        """Answer.

        Raises:
            SpecError: if a field does not fit, or the output holds something else.
            JobFailed: if there is nothing to answer.
        """
        from jobs.evaluate import Evaluate
        from vision.geolocation.planet import posteriors

        context, output = context or Plain(), storage.absolute(self.output)
        source = recorded({name: getattr(self, name) for name in Reads.model_fields}, self.predictions)
        identity, model = commit.read_manifest(source.output)["identity"], context.model(self.model)
        if not identity.get("keep_logits"):
            raise SpecError(f"predictions: {self.predictions} holds no logits; make them with predict --keep-logits")
        if identity["model"] != model.digest:
            raise SpecError(f"predictions: of model {identity['model'][:12]}, and --model is {model.digest[:12]}")
        try:
            read = posteriors(model)
        except ValueError as error:
            raise SpecError(f"model: {error}") from None
        with storage.claim(output):
            asked = self._identity(identity)
            commit.begin(output, asked, None)
            rows = self._rows(source, read)
            context.log(f"{len(rows.logs):,} photos in {len(rows.groups()):,} albums")
            derived.write(output, asked, source, self._answers(rows, read))
        report = Report(output=output, tags=source.tags)
        if {"latitude", "longitude"} <= set(source.corpus.columns):
            scored = Evaluate(predictions=output, task=_TASK).run(context)
            report = replace(scored, tags={**scored.tags, "albums": str(len(rows.groups()))})
        return report

    def _identity(self, identity: dict[str, Any]) -> dict[str, Any]:
        names = ("by", "album", "time", "scale_s", "speed_km_h", "slack_km")
        ours = {f"albums_{name}": getattr(self, name) for name in names}
        kept = {name: value for name, value in identity.items() if name not in ("keep_logits", "embedding")}
        mark = commit.digest({**ours, "model": identity["model"]})
        return {**kept, **ours, "model": mark, "net": "albums", "task": _TASK, **records.key(self)}

    def _rows(self, source: Answers, read: Posteriors) -> _Rows:
        """All photos, shard by shard, with what each says alone.

        Raises:
            SpecError: if a column is not there.
            JobFailed: if there are no photos.
        """
        assert source.reading is not None
        shards, logs = [], []
        for file in source.shards:
            answers = prediction_shard(source.output, file, heavy=True)
            table = beside(source.reading.small(file), answers, partial=source.partial, where=f"{source.output}/{file}")
            for field in ("album", "time"):
                if getattr(self, field) not in table.column_names:
                    known = [name for name in table.column_names if not name.startswith(PREDICTED)]
                    raise SpecError(
                        f"{field}: no column {getattr(self, field)!r}{nearest(getattr(self, field), known)}"
                    )
            told = table.filter(table["answered"])
            logits = as_array(told[f"{PREDICTED}logits"])
            logs.append(read.fine(logits).astype(np.float32) if len(told) else np.empty((0, read.globe.sizes[-1])))
            shards.append((file, table.select(["id", "answered", self.album, self.time])))
        if not sum(map(len, logs)):
            raise JobFailed(f"{source.output} has no photo with an answer")
        answered = pa.concat_tables([table.filter(table["answered"]) for _, table in shards])
        return _Rows(shards, np.concatenate(logs), answered[self.album].to_pylist(), seconds(answered[self.time]))

    def _answers(self, rows: _Rows, read: Posteriors) -> Iterator[tuple[str, pa.Table]]:
        """Answers shard by shard."""
        logs, best = rows.logs, rows.logs.argmax(axis=1)
        for members in rows.groups():
            own, times = rows.logs[members].astype(np.float64), rows.times[members]
            logs[members], best[members] = self._together(own, times, read)
        start = 0
        for file, table in rows.shards:
            answered = np.asarray(table["answered"].to_numpy(), bool)
            here = slice(start, start + int(answered.sum()))
            start = here.stop
            take = pa.array(np.cumsum(answered) - 1, mask=~answered)
            columns = read.columns(logs[here].astype(np.float64), best[here])
            yield file, pa.table({
                "id": table["id"], **{name: column.take(take) for name, column in columns.items()},
                "error": pa.array([None if good else "no logits" for good in answered], pa.string()),
            })  # fmt: skip

    def _together(self, own: Array, times: Array, read: Posteriors) -> tuple[Array, Array]:
        """What the photos of one album say together, in the order of time: log-probabilities and cells."""
        from vision.geolocation import albums

        if self.by == "mean":
            logs: Array = np.tile(albums.mean(own), (len(own), 1))
        elif self.by == "decayed":
            logs = albums.decayed(own, times, self.scale_s)
        else:
            travel = albums.Travel(self.speed_km_h, self.slack_km)
            return own, albums.viterbi(own, times, read.globe.positions, travel).cells
        return logs, logs.argmax(axis=1)


@dataclass(frozen=True, eq=False)
class _Rows:
    """Photos: shards with their small columns; of all that were answered (N, F) log-probabilities, albums and times."""

    shards: list[tuple[str, pa.Table]]
    logs: Array
    albums: list[Any]
    times: Array

    def groups(self) -> list[Array]:
        """The rows of each album in the order of time, those without a time last."""
        found: dict[Any, list[int]] = {}
        for row, album in enumerate(self.albums):
            if album is not None:
                found.setdefault(album, []).append(row)
        return [np.array(rows)[np.argsort(self.times[rows], kind="stable")] for rows in found.values()]


def seconds(column: pa.ChunkedArray) -> Array:
    """(N,) float64 seconds of ISO texts, timestamps or numbers; nan for none, or what is no time."""
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return np.asarray(column.cast(pa.float64()).to_numpy(), np.float64)
    return np.array([_seconds(value) for value in column.to_pylist()], np.float64)


def _seconds(value: Any) -> float:
    try:
        found = np.datetime64(value, "s")
        return float("nan") if np.isnat(found) else float(found.astype(np.int64))
    except (ValueError, TypeError):
        return float("nan")
