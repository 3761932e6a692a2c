"""What an answer rests on: a map for each photo beside its answer, and their mean over the photos.

Photos are answered as `predict` answers them, each exactly once, and every answer gets a map as the column `map`: one
number for each place that the method looks at. With `--id` it is one photo, shown with its map, and, for places, with
the cells that it may have been taken in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa
from pydantic import Field

from jobs import flow, heat, maps
from jobs.asking import Predicting
from jobs.engine.run import errors_in
from jobs.examples import find_images
from jobs.reading import PREDICTED, Reading, beside, prediction_shard
from jobs.records import CORPUS
from jobs.spec import Context, Example, Plain, Report, SpecError
from jobs.together import only, together
from vision import names
from vision.accumulator import Accumulator, Suite
from vision.explaining import Wanted
from vision.image import CorruptImage
from vision.mapping import MeanMap, Telling, grid
from vision.model import Model
from vision.occlusion import Fill, Occlusion

_PLAIN = ("crops", "scales", "dense", "flip", "embedding")
"""Fields that a map of one view has no use for."""


class Explain(Predicting):
    """Map what each answer of a model rests on."""

    corpus: str = Field(description=CORPUS)
    model: tuple[str, ...] = Field(min_length=1, description=Predicting.model_fields["model"].description)
    method: Literal["occlusion"] = Field("occlusion", description="occlusion: what covering each place costs")
    id: str | None = Field(None, description="one photo, by its id; default: all that are read")
    explains: Wanted = Field("answer", description="whose log-probability is mapped: the answer's or the truth's")
    square: int = Field(32, ge=1, description="occlusion: side of the covering square, in pixels that the net sees")
    stride: int = Field(16, ge=1, description="occlusion: pixels from one place of the square to the next")
    fill: Fill = Field("mean", description="occlusion: the square's colour; mean: that of the photo it covers")
    geojson: str | None = Field(
        None, description="with --id, geolocation: folder or URL for the map of its cells as GeoJSON"
    )

    def estimate(self, context: Context) -> Mapping[str, str]:
        part = self.parts()[0]._one()
        return flow.estimate(flow.read(part), context.model(part.model[0]), part)

    def run(self, context: Context | None = None) -> Report:
        """Explain.

        Raises:
            SpecError: if a field does not fit, there is no such photo, or the output holds something else.
            JobFailed: if too many images are broken, or the work cannot be done.
        """
        return only(self, context or Plain())

    @classmethod
    def run_all(cls, parts: Sequence[Self], contexts: Sequence[Context]) -> list[Report | Exception]:
        chosen = [part._one() for part in parts]
        first = chosen[0]
        if first.id is not None and not any((flow.read(first).selection.limits or {}).values()):
            raise SpecError(f"id: {first.corpus} has no record {first.id!r} (in split {flow.read(first).split})")
        if first.geojson and not hasattr(names.room(task := contexts[0].model(first.model[0]).task), "portrait"):
            raise SpecError(f"geojson: answers for the task {task} are not drawn on a map")
        return together(chosen, contexts, cls._report)

    def explaining(self) -> Occlusion:
        return Occlusion(self.square, self.stride, self.fill, self.explains)

    def _one(self) -> Self:
        """This job, with what `id` stands for."""
        for name in _PLAIN:
            if getattr(self, name):
                raise SpecError(f"{name}: the answer to one view of a photo is explained; leave it out")
        if self.id is None:
            if self.geojson:
                raise SpecError("geojson: the map of cells is one photo's: give its --id")
            return self
        for name in ("where", "limit", "sample"):
            if getattr(self, name) is not None:
                raise SpecError(f"{name}: --id names one photo, so nothing else is chosen")
        where = f"id = '{self.id.replace(chr(39), 2 * chr(39))}'"
        return self.model_copy(update={"where": where, "limit": 1, "keep_logits": True})

    def _report(self, model: Model, applied: flow.Applied) -> Report:
        answers, tally = applied.answers, applied.tally
        size, method = model.preprocessing.size, self.explaining()
        states: tuple[Accumulator, ...] = (MeanMap(), Telling())
        mean, telling = flow.fold(answers, Suite(states)).states
        tables = {"errors": errors_in(answers.output, tally.receipts)} if tally.errors else {}
        notes: tuple[str, ...] = ()
        tops, lefts = (edges.tolist() for edges in method.grid(size))
        assert answers.reading is not None
        if not mean.places:
            notes = ("no photo has a map: of none is it known what is true",) if self.explains == "truth" else ()
        elif self.id is None:
            tables["mean_map"] = mean.table(tops, lefts, method.square)
        else:
            row = _row(answers.output, answers.reading)
            tables["map"] = grid(row[f"{PREDICTED}map"], tops, lefts, method.square, of=self.id)
            tables |= _portrait(model, row)
            if self.geojson:
                maps.save(self.geojson, tables)
        return Report(
            metrics=mean.compute(), output=answers.output, errors=tally.errors, tables=tables, notes=notes,
            tags={**answers.tags, "images": str(tally.images)},
            examples=_shown(answers.reading, telling, model, method),
        )  # fmt: skip


def _row(output: str, reading: Reading) -> dict[str, Any]:
    """The one record that was read, with its answer beside it."""
    (file,) = (file for file, rows in (reading.selection.limits or {}).items() if rows)
    answers = prediction_shard(output, file, heavy=True)
    (row,) = beside(reading.small(file), answers, partial=True, where=f"{output}/{file}").to_pylist()
    found: dict[str, Any] = row
    return found


def _portrait(model: Model, row: Mapping[str, Any]) -> dict[str, pa.Table]:
    """What else the room shows of one answer, if anything."""
    room = names.room(model.task)
    return dict(room.portrait(model, row)) if hasattr(room, "portrait") else {}


def _shown(reading: Reading, telling: Telling, model: Model, method: Occlusion) -> tuple[Example, ...]:
    """Photos with their maps over them, as the net sees them."""
    files = [shard.file for shard in reading.corpus.present(reading.split)]
    images = find_images(reading.url, files, [id_ for _, id_, _ in telling.rows])
    look, shown = model.preprocessing, []
    for drop, id_, values in telling.rows:
        try:
            pixels = look.load(images[id_])
        except (KeyError, CorruptImage):
            continue  # gone since it was answered
        picture = heat.overlay(pixels, method.heat(np.array(values), look.size))
        shown.append(Example(id_, f"largest drop {-drop:.3g} nats", picture))
    return tuple(shown)
