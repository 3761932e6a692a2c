"""Photos of one album answered together, from predictions that kept their logits or embeddings: no picture is seen.

What an album is says a column, and when its photos were taken another; both come with `ingest --layout geotagged`. A
photo without an album is answered alone. An album may lie in several shards, so the log-probabilities of all chosen
photos are held in memory, 4 bytes a cell: 10,000 photos over 13,000 cells take 520 MB. An LSTM that was kept
(`--output-model`) answers other albums, given as `--model`, without learning again.

Reference: Weyand, Kostrikov & Philbin, "PlaNet", ECCV 2016, section 4.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from jobs import derived, records, storage
from jobs.album import lstm
from jobs.album.photos import Photos
from jobs.answers import Answers, as_array, recorded
from jobs.embeddings import Embeddings
from jobs.engine import commit
from jobs.reading import PREDICTED, beside, prediction_shard
from jobs.records import Reads
from jobs.spec import Context, Plain, Report, SpecError
from vision.accumulator import Array
from vision.model import Model

if TYPE_CHECKING:
    from vision.geolocation.posteriors import Posteriors

_TASK = "geolocation"
_LEARNING = ("kind", "units", "epochs", "learning_rate")


@dataclass(frozen=True)
class Lesson:
    """What an LSTM answers: `test`, by `model`, which it is; or, learnt from `train`, which made its embeddings."""

    model: Model
    test: Embeddings
    train: Embeddings | None = None


class Albums(Reads):
    """Answer the photos of each album together, from stored logits or embeddings."""

    predictions: str = Field(description="predictions of places with logits (--keep-logits); lstm: with embeddings")
    model: str = Field(description="the model that made them, which knows the cells; lstm: or an LSTM that was kept")
    output: str = Field(description="folder or URL of the predictions")
    by: Literal["mean", "decayed", "viterbi", "lstm"] = Field(
        "viterbi",
        description="one answer an album; one that fades with time; the likeliest way at a possible speed; an LSTM",
    )
    album: str = Field("album", description="column of the albums")
    time: str = Field("time", description="column of the times: ISO texts (2008-10-22T16:28:39) or seconds")
    scale_s: float = Field(3600.0, gt=0, description="decayed: a photo so many seconds away counts 1/e")
    speed_km_h: float = Field(900.0, ge=0, description="viterbi: the fastest that people move")
    slack_km: float = Field(50.0, ge=0, description="viterbi: a distance that takes no time")
    train_predictions: str | None = Field(None, description="lstm: predictions with embeddings of albums to learn from")
    output_model: str | None = Field(None, description="lstm: folder or URL that keeps what was learnt, as a --model")
    kind: Literal["plain", "repeated", "bidirectional"] = Field(
        "repeated", description="lstm: reads an album once, twice, or in chunks of 25 from both sides"
    )
    units: int = Field(256, ge=1, description="lstm: of each direction")
    epochs: int = Field(20, ge=1, description="lstm: times that every album is seen")
    learning_rate: float = Field(3e-3, gt=0, description="lstm: of Adam")

    def run(self, context: Context | None = None) -> Report:
        """Answer.

        Raises:
            SpecError: if a field does not fit, or the output holds something else.
            JobFailed: if there is nothing to answer, or to learn from.
        """
        from vision.geolocation.album_model import reads
        from vision.geolocation.planet import posteriors

        context, output = context or Plain(), storage.absolute(self.output)
        model = context.model(self.model)
        kept = reads(model)
        self._check(kept is not None)
        source = recorded({name: getattr(self, name) for name in Reads.model_fields}, self.predictions)
        identity = commit.read_manifest(source.output)["identity"]
        if self.by != "lstm" and not identity.get("keep_logits"):
            raise SpecError(f"predictions: {self.predictions} holds no logits; make them with predict --keep-logits")
        made_by = kept["model"] if kept else model.digest
        if identity["model"] != made_by:
            is_ = "an LSTM on those of" if kept else "is"
            raise SpecError(f"predictions: of model {identity['model'][:12]}, and --model {is_} {made_by[:12]}")
        try:
            read = posteriors(model)
        except ValueError as error:
            raise SpecError(f"model: {error}") from None
        lesson = self._lesson(model, kept) if self.by == "lstm" else None
        with storage.claim(output):
            asked = self._identity(identity, lesson)
            commit.begin(output, asked, None)
            photos, columns, tags = self._answers(source, read, lesson, context)
            context.log(f"{len(photos.albums):,} photos in {len(photos.groups()):,} albums")
            derived.write(output, asked, source, derived.by_shard(photos.shards, columns, "not answered before"))
        return self._scored(source, output, {"albums": str(len(photos.groups())), **tags}, context)

    def _check(self, kept: bool) -> None:
        """Refuse words that go with another way of answering; `kept`: the model is an LSTM that has learnt."""
        if kept and self.by != "lstm":
            raise SpecError(f"model: {self.model} is an LSTM that reads albums; ask it by --by lstm")
        if kept and (self.train_predictions or self.output_model):
            word = "train_predictions" if self.train_predictions else "output_model"
            raise SpecError(f"{word}: {self.model} is an LSTM that has learnt already")
        if not kept and (self.by == "lstm") == (self.train_predictions is None):
            raise SpecError("train_predictions: what --by lstm learns from, and only that: give both or neither")
        for name in (*_LEARNING, "output_model"):
            if (kept or self.by != "lstm") and getattr(self, name) != type(self).model_fields[name].default:
                who = f"{self.model} has learnt already" if kept else f"--by {self.by} learns nothing"
                raise SpecError(f"{name}: {who}")

    def _lesson(self, model: Model, kept: Mapping[str, Any] | None) -> Lesson:
        """What the LSTM is or learns from: embeddings of the same layer, of other photos."""
        subset = {name: getattr(self, name) for name in Reads.model_fields}
        test = Embeddings.of(self.predictions, subset, "predictions", ())
        if kept is not None:
            if kept["layer"] != test.layer:
                raise SpecError(f"predictions: embeddings of layer {test.layer}, and --model reads {kept['layer']}")
            return Lesson(model, test)
        train = Embeddings.of(self.train_predictions or "", subset, "train_predictions", ("latitude", "longitude"))
        if (train.layer, train.model) != (test.layer, model.digest):
            ours, theirs = (f"layer {one.layer} of model {one.model[:12]}" for one in (train, test))
            raise SpecError(f"train_predictions: embeddings are {ours}, and those to be answered {theirs}")
        if all(train.answers.tags[name] == test.answers.tags[name] for name in ("corpus", "split")):
            raise SpecError("train_predictions: the same records as predictions")
        return Lesson(model, test, train)

    def _identity(self, identity: dict[str, Any], lesson: Lesson | None) -> dict[str, Any]:
        names = ("by", "album", "time", "scale_s", "speed_km_h", "slack_km")
        ours = {f"albums_{name}": getattr(self, name) for name in names}
        if lesson is not None and lesson.train is not None:
            references = commit.digest(commit.read_manifest(lesson.train.answers.output))
            ours |= {"albums_learnt_from": references, **{f"albums_{k}": v for k, v in asdict(self._learner()).items()}}
        elif lesson is not None:
            ours["albums_model"] = lesson.model.digest
        kept = {name: value for name, value in identity.items() if name not in ("keep_logits", "embedding")}
        mark = commit.digest({**ours, "model": identity["model"]})
        return {**kept, **ours, "model": mark, "net": "albums", "task": _TASK, **records.key(self)}

    def _learner(self) -> lstm.Learner:
        return lstm.Learner(self.kind, self.units, self.epochs, self.learning_rate, self.seed)

    def _answers(
        self, source: Answers, read: Posteriors, lesson: Lesson | None, context: Context
    ) -> tuple[Photos, dict[str, pa.Array], dict[str, str]]:
        """All photos, the answer columns of those that have any, and facts to find the run by."""
        if lesson is not None:
            return self._sequences(read, lesson, context)
        photos = Photos.of(_logs(source, read), self.album, self.time, source.output)
        logs, best = photos.values, photos.values.argmax(axis=1)
        for members in photos.groups():
            own, times = photos.values[members].astype(np.float64), photos.times[members]
            logs[members], best[members] = self._together(own, times, read)
        return photos, read.columns(logs.astype(np.float64), best), {}

    def _sequences(
        self, read: Posteriors, lesson: Lesson, context: Context
    ) -> tuple[Photos, dict[str, pa.Array], dict[str, str]]:
        test, _ = lstm.told(lesson.test, self.album, self.time)
        net = lstm.AlbumNet.of(lesson.model) if lesson.train is None else self._learnt(read, lesson, context)
        kept = net.keep(storage.absolute(self.output_model)) if self.output_model else net.model
        tags = {"album_model_digest": kept.digest} if kept.weights else {}
        return test, read.columns(read.fine(net.logits(test))), tags

    def _learnt(self, read: Posteriors, lesson: Lesson, context: Context) -> lstm.AlbumNet:
        from vision.geolocation.planet import Objective

        assert lesson.train is not None
        train, how = lstm.told(lesson.train, self.album, self.time), self._learner()
        try:
            return lstm.learnt(train, Objective(read.globe), how, lesson.model, lesson.train.layer, context.log)
        except ValueError as error:
            raise SpecError(f"train_predictions: {error}") from None

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

    def _scored(self, source: Answers, output: str, tags: dict[str, str], context: Context) -> Report:
        from jobs.evaluate import Evaluate

        if not {"latitude", "longitude"} <= set(source.corpus.columns):
            return Report(output=output, tags={**source.tags, **tags})
        scored = Evaluate(predictions=output, task=_TASK).run(context)
        return replace(scored, tags={**scored.tags, **tags})


def _logs(source: Answers, read: Posteriors) -> Iterator[tuple[str, pa.Table, Array]]:
    """Each shard's records, and the log-probabilities of what was answered of them."""
    assert source.reading is not None
    for file in source.shards:
        answers = prediction_shard(source.output, file, heavy=True)
        table = beside(source.reading.small(file), answers, partial=source.partial, where=f"{source.output}/{file}")
        logits = as_array(table.filter(table["answered"])[f"{PREDICTED}logits"])
        yield file, table, read.fine(logits).astype(np.float32) if len(logits) else np.empty((0, 1), np.float32)
