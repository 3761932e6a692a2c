"""Two sets of answers compared: image by image where both answered, or as two samples.

Ids meet shard by shard where both sets answer the same corpus, so memory does not grow with it; otherwise all ids
and values of one set are held (some 100 bytes an image).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs import flow
from jobs.answers import Answers, batch_of
from jobs.spec import SpecError
from vision import comparison, names
from vision.accumulator import Array, Estimate
from vision.comparison import Paired, PairedMean, Unpaired
from vision.contribution import PerImage


@dataclass(frozen=True)
class Outcome:
    """A comparison and, where a margin was given, its verdict.

    Attributes:
        estimates: baseline, candidate and difference (candidate minus baseline).
        counts: both_right, only_baseline, only_candidate and neither, for rates on the same images.
        unanswered: images that only one of the two answered.
        needed: how many more images would decide; 0 once decided, None if that cannot be said.
    """

    metric: str
    estimates: Mapping[str, Estimate]
    counts: Mapping[str, int | None]
    mcnemar_p: float | None
    unanswered: int = 0
    margin: float | None = None
    verdict: str | None = None
    needed: int | None = None


def compare(
    baseline: Answers, candidate: Answers, metric: str, margin: float | None, unpaired: bool, task: str
) -> Outcome:
    """Compare two sets of answers by one metric.

    Raises:
        SpecError: if they are the same, have no image in common, or the metric cannot be compared.
    """
    refuse_same(baseline, candidate)
    room = names.room(task)
    state: Paired | PairedMean | Unpaired
    if unpaired:
        state, unanswered = _as_samples(baseline, candidate, metric, room), 0
    else:
        state, unanswered = paired(baseline, candidate, room.per_image(metric), metric)
    counts = {name: getattr(state, name, None) for name in ("both_right", "only_baseline", "only_candidate", "neither")}
    p = state.mcnemar_p() if isinstance(state, Paired) else None
    outcome = Outcome(metric, state.compute(), counts, p, unanswered)
    if margin is None:
        return outcome
    upwards = room.higher_is_better(metric)
    decided = comparison.verdict(state.difference(), margin, upwards)
    more = comparison.needed(state, margin, upwards)
    return Outcome(metric, outcome.estimates, counts, p, unanswered, margin, decided, more)


def document(outcome: Outcome, baseline: str, candidate: str) -> dict[str, Any]:
    """The outcome as the plain values that `--format json` prints; what is not known is null."""
    return {
        "baseline": baseline,
        "candidate": candidate,
        "metric": outcome.metric,
        **outcome.counts,
        "mcnemar_p": outcome.mcnemar_p,
        "difference": _plain(outcome.estimates["difference"]),
        "margin": outcome.margin,
        "verdict": outcome.verdict,
        "needed": outcome.needed,
    }


def _plain(estimate: Estimate) -> dict[str, Any]:
    values = estimate._asdict().items()
    return {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in values}


def refuse_same(baseline: Answers, candidate: Answers) -> None:
    """Refuse one model on the same images, against itself.

    Raises:
        SpecError: if that is what they are.
    """
    same = baseline.output == candidate.output
    keys = ("model_digest", "kernel", "corpus_digest", "split", "subset")
    if "model_digest" in baseline.tags:
        same = same or all(baseline.tags.get(key) == candidate.tags.get(key) for key in keys)
    if same:
        raise SpecError("baseline and candidate are the same model on the same images: there is nothing to compare")


def _as_samples(baseline: Answers, candidate: Answers, metric: str, room: Any) -> Unpaired:
    found = []
    for answers in (baseline, candidate):
        metrics = flow.fold(answers, room.suite(answers.corpus)).compute()
        if metric not in metrics:
            raise SpecError(f"{answers.output} has no metric {metric!r}, only {', '.join(metrics)}")
        found.append(metrics[metric])
    return Unpaired(*found)


def paired(baseline: Answers, candidate: Answers, kind: PerImage, metric: str) -> tuple[Paired | PairedMean, int]:
    """The comparison image by image, and how many images only one of the two answered.

    Raises:
        SpecError: if no image was answered by both, or a column is missing.
    """
    state: Paired | PairedMean = Paired() if kind.rate else PairedMean()
    columns = ("baseline_right", "candidate_right") if kind.rate else ("baseline_value", "candidate_value")
    unanswered = 0
    for pair in _together(baseline, candidate):
        (ids, ours), (other_ids, theirs) = (_values(answers, kind, metric) for answers in pair)
        places = pc.index_in(ids, value_set=other_ids)
        met = np.asarray(places.is_valid().to_numpy(zero_copy_only=False), bool)
        matched = theirs[np.asarray(places.drop_null().to_numpy(), np.int64)]
        both = np.isfinite(ours[met]) & np.isfinite(matched)
        unanswered += len(ids) + len(other_ids) - int(met.sum()) - int(both.sum())
        kept = (ours[met][both], matched[both])
        state = state.update({n: v > 0.5 if kind.rate else v for n, v in zip(columns, kept, strict=True)})
    if not state.compute()["difference"].n:
        raise SpecError("no image was answered by both: compare two samples with --unpaired")
    return state, unanswered


def _together(baseline: Answers, candidate: Answers) -> Iterator[tuple[list[pa.Table], list[pa.Table]]]:
    """Tables of both sets that hold the same ids: shard by shard of one corpus, or everything at once."""
    ours, theirs = baseline.reading, candidate.reading
    if ours is not None and theirs is not None and (ours.url, ours.split) == (theirs.url, theirs.split):
        for file in sorted({*baseline.shards, *candidate.shards}):
            yield (
                [baseline.piece(file)] if file in baseline.shards else [],
                [candidate.piece(file)] if file in candidate.shards else [],
            )
        return
    yield list(baseline.tables()), list(candidate.tables())


def _values(parts: list[pa.Table], kind: PerImage, metric: str) -> tuple[pa.Array, Array]:
    """Ids and what each image contributes, nan where it was not answered or has no truth."""
    if not parts:
        return pa.array([], pa.string()), np.empty(0)
    lacking = [name for part in parts for name in kind.needs if name not in part.column_names]
    if lacking:
        raise SpecError(f"metric {metric}: the answers have no column {lacking[0].removeprefix('predicted_')!r}")
    values = [kind.value(batch_of(part)) for part in parts]
    ids = pa.concat_arrays([part["id"].cast(pa.string()).combine_chunks() for part in parts])
    return ids, np.concatenate(values).astype(np.float64)
