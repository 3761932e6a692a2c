"""Probes over stored embeddings: one table of embeddings of each layer, and as many probes as one likes.

`predict --embedding LAYER` made the embeddings; each pair of tables (to learn from, to be tested on) is asked by each
probe, on all examples and on a few a class. Intervals on all examples are of the tested pictures; those of the
few-shot curve are t intervals over which examples were drawn.

References: Donahue et al., "DeCAF", ICML 2014; Razavian et al., "CNN features off-the-shelf", CVPR 2014 workshops;
Zeiler & Fergus, "Visualizing and understanding convolutional networks", ECCV 2014 (accuracy by examples a class).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from jobs import storage
from jobs.embeddings import Embeddings
from jobs.engine import commit
from jobs.probe import Probe
from jobs.records import Reads
from jobs.spec import Context, SpecError
from jobs.studying import grid
from jobs.studying.kind import Kind, Outcome, Row, Sheet, Trial
from vision.accumulator import Estimate

if TYPE_CHECKING:
    from jobs.study import Study

_FORM = re.compile(r"(linear|knn)(?::([0-9.eE-]+))?")
_SUBSET = frozenset(Reads.model_fields) - {"corpus", "split"}


def plan(study: Study, _context: Context) -> list[Trial]:
    """A trial for each pair of tables and probe.

    Raises:
        SpecError: if tables do not pair up, or hold no embeddings.
    """
    learnt, tested = study.train_predictions, study.test_predictions
    if not learnt or len(learnt) != len(tested):
        raise SpecError(
            f"train_predictions: {len(learnt)} tables to learn from and {len(tested)} in test_predictions; a study of "
            "probes needs as many of both, and at least one"
        )
    subset = {name: getattr(study, name) for name in _SUBSET if name in study.model_fields_set}
    asked = {"shots": study.shots, "draws": study.draws, "seed": study.seed, **subset}
    tables = {f"{number}": _table(pair, subset) for number, pair in enumerate(zip(learnt, tested, strict=True))}
    called = _called([facts for facts, _ in tables.values()])
    found = []
    for cell in grid.cells({"table": list(tables), "probe": study.probes}):
        facts, pair = tables[cell["table"]]
        words = {**asked, **pair, **_form(cell["probe"])}
        job = Probe.parse(words)
        deciding = {name: value for name, value in job.model_dump(mode="json").items() if "predictions" not in name}
        layer = {"layer": called[int(cell["table"])], "probe": cell["probe"]}
        found.append(Trial(layer, job.model_dump(mode="json", exclude_defaults=True), {**deciding, **facts}))
    return found


def _table(pair: tuple[str, str], subset: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """What decides the answers of a pair of tables, and the fields that name it."""
    facts: dict[str, Any] = {"kind": "probe"}
    fields = dict(zip(("train_predictions", "test_predictions"), map(storage.absolute, pair), strict=True))
    for field, folder in fields.items():
        held = Embeddings.of(folder, subset, field)
        facts[field] = commit.digest(commit.read_manifest(held.answers.output))
        facts |= {"layer": held.layer, "model": held.model}
    return facts, fields


def _called(facts: list[dict[str, Any]]) -> list[str]:
    """The layers, with the beginnings of their models' digests where those differ."""
    several = len({one["model"] for one in facts}) > 1
    return [f"{one['layer']} of {one['model'][:8]}" if several else str(one["layer"]) for one in facts]


def _form(text: str) -> dict[str, Any]:
    """`linear`, `linear:0.01` (its penalty), `knn` or `knn:5` (its neighbours), as fields of a probe."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise SpecError(f"probes: {text!r} is not linear, linear:L2, knn or knn:K")
    kind, number = match.groups()
    return {"kind": kind, **({} if number is None else {"l2" if kind == "linear" else "k": number})}


def carry_out(trial: Trial, _folder: str, context: Context) -> Outcome:
    """Fit a probe, or many of few examples, and score them."""
    report = Probe(**trial.work).run(context)
    values = {name: report.metrics[name] for name in ("top1", "macro_f1", "cross_entropy") if name in report.metrics}
    facts = {"embedding_size": int(report.tags["embedding_size"]), "examples": int(report.tags["train_examples"])}
    found = {"study": [Row(values, facts=facts)]}
    if "few_shot" in report.tables:
        found["few_shot"] = [
            Row({"top1": Estimate(row["top1"], row["low"], row["high"], row["draws"])}, at={"shots": row["shots"]})
            for row in report.tables["few_shot"].to_pylist()
        ]
    return found


KIND = Kind(
    fields=_SUBSET | {"train_predictions", "test_predictions", "probes", "shots", "draws"},
    sheets=(
        Sheet("study", ("top1", "macro_f1", "cross_entropy"), ("layer", "probe"), ("top1", "macro_f1")),
        Sheet("few_shot", ("top1",), ("shots",), shares=("top1",)),
    ),
    plan=plan,
    carry_out=carry_out,
)
