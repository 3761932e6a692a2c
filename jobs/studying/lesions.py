"""Lesions: blocks of trained nets deleted or shuffled at test time, and the error that is left.

The seeds of the study draw which blocks; with none taken (`--blocks 0,...`) the error is the net's own. Intervals of
several seeds cover which blocks were drawn, not which pictures were looked at.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from jobs.records import Reads
from jobs.spec import Context, SpecError
from jobs.studying import grid
from jobs.studying.kind import SEED, Kind, Outcome, Row, Sheet, Trial
from jobs.studying.train import wrong
from vision.model import Model

if TYPE_CHECKING:
    from jobs.study import Study
    from jobs.studying.pictures import Seen


def plan(study: Study, context: Context) -> list[Trial]:
    """A trial for each model, manner, number of blocks and seed.

    Raises:
        SpecError: if a model cannot lose so many blocks, or fields are missing.
    """
    if study.corpus is None or not study.models:
        raise SpecError("models: a study of lesions needs trained models (--models) and a --corpus to test them on")
    found = []
    axes = {"net": study.models, "lesion": study.lesions, "blocks": study.blocks, SEED: study.seeds}
    models = {reference: context.model(reference) for reference in study.models}
    for reference, model in models.items():
        _check(study, reference, model)
    for cell in grid.cells(axes):
        model = models[cell["net"]]
        place = cell["net"] if model.folder is None else str(model.folder.resolve())
        # Of a net that lost nothing there is one outcome, whatever the seed.
        drawn = {name: value for name, value in cell.items() if name != "net" and (cell["blocks"] or name != SEED)}
        identity = {"kind": "lesions", **grid.deciding(study), "model": model.digest, **drawn}
        work = {"model": place, "reads": grid.reads(study), "code": grid.local(study.code)}
        found.append(Trial(cell, work, identity))
    return found


def _check(study: Study, reference: str, model: Model) -> None:
    from vision import lesions

    known = lesions.blocks(model.build(), model.preprocessing.size)
    try:
        for manner in study.lesions:
            lesions.check(known, manner, max(study.blocks))
    except ValueError as error:
        raise SpecError(f"blocks: {reference}: {error}") from None


def carry_out(trial: Trial, _folder: str, context: Context) -> Outcome:
    """One lesion: all pictures answered by what is left of the net."""
    from vision import lesions, names

    if trial.work["code"]:
        names.trust(trial.work["code"])
    model = context.model(trial.work["model"])
    net, seen = model.build(), _seen(json.dumps(trial.work["reads"], sort_keys=True), _Read(model))
    known, cell = lesions.blocks(net, model.preprocessing.size), trial.cell
    hurt = lesions.lesioned(net, known, cell["lesion"], cell["blocks"], cell[SEED])
    scores = seen.score(hurt)
    values = {"error": wrong(scores["top1"])} if "top1" in scores else {}
    values |= {name: one for name, one in scores.items() if name == "cross_entropy"}
    return {"study": [Row(values, facts={"of_blocks": len(known), "pictures": len(seen.pictures.ids)})]}


@dataclass(frozen=True)
class _Read:
    """A model that is the same where its digest is."""

    model: Model

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Read) and self.model.digest == other.model.digest

    def __hash__(self) -> int:
        return hash(self.model.digest)


@lru_cache(maxsize=2)
def _seen(reads: str, by: _Read) -> Seen:
    """The pictures of one choice, read once for many lesions."""
    from jobs.studying.pictures import see

    return see(json.loads(reads), by.model.task, by.model.preprocessing)


KIND = Kind(
    fields=frozenset(Reads.model_fields) - {"seed"} | {"models", "lesions", "blocks", "seeds", "code"},
    sheets=(
        Sheet("study", ("error", "cross_entropy"), ("blocks", "net"), shares=("error",), amounts=("cross_entropy",)),
    ),
    plan=plan,
    carry_out=carry_out,
)
