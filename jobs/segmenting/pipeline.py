"""A segmentation carried out: stage after stage, each only as far as it is missing, and what comes of it told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from jobs import storage, tracing
from jobs.probing import size_text
from jobs.segmenting import candidates, graph, lookup, overlaps, pictures, reporting
from jobs.segmenting.copies import Copies
from jobs.segmenting.listing import Listing
from jobs.segmenting.showing import Served
from jobs.segmenting.shown import shown
from jobs.segmenting.stages import Stages, print_nothing, wanted
from jobs.spec import Context, Example, JobFailed, Report, SpecError
from jobs.stages import cost, course, ledger
from jobs.stages.cost import Pace
from jobs.stages.course import Done
from jobs.stages.shift import Shift
from jobs.stages.stage import Stage
from jobs.volumes.opening import at
from vision.accumulator import Array, Estimate
from vision.connectomics.contingency import Contingency
from vision.connectomics.relabel import Lookup
from vision.connectomics.scores import scores
from vision.connectomics.skeletons import Skeletons
from vision.corpora.volumes import Address

if TYPE_CHECKING:
    from jobs.segment import Segment

USUAL = {
    "fragments": Pace(1e-6 / 2.7, 0.15, False), "edges": Pace(1e-6 / 16, 0.02, False),
    "relabel": Pace(1e-6 / 29, 0.05, False), "overlaps": Pace(1e-6 / 47, 0.01, False),
}  # fmt: skip
"""Core-seconds and bytes left a voxel, measured on real neurons (FIB-25) in blocks of 128^3 with a halo of 16."""

EDGES_A_FRAGMENT = 9
"""Of a watershed; 7.5 to 9 on drawn neurites with much noise."""

LONG = 1_000_000
"""Edges whose agglomeration takes longer than workers take to start."""

Scores = Mapping[float, Mapping[str, Estimate]]


@dataclass
class Pipeline:
    """One run."""

    stages: Stages
    job: Segment
    context: Context
    done: list[tuple[str, Done]] = field(default_factory=list)
    _table: Contingency | None = None
    _shift: Shift | None = None

    def __post_init__(self) -> None:
        """Refuse wrong words before any work.

        Raises:
            SpecError: naming the field.
        """
        self._names = wanted(self.job.from_stage, self.job.to_stage)
        if (self.job.decisions or self.job.candidates) and (self.job.method != "greedy" or self.job.components):
            raise SpecError("method: candidates and decisions are about joins one by one, which only greedy knows")
        if self.job.decisions:
            candidates.decisions(self.job.decisions)
        self._listing = Listing.of(self.stages, self.context)
        self._served = Served.of(self.job.serve_from, self.stages.output)
        self._thresholds()

    def run(self) -> Report:
        """Do what is asked for and missing, with one set of workers for all stages."""
        with Shift(self.job.retry_s) as self._shift:
            return self._run()

    def _run(self) -> Report:
        job, stages, names = self.job, self.stages, self._names
        for stage, name in ((stages.fragments(), "fragments"), (stages.edges(), "edges")):
            if stage is None:
                continue
            if name in names:
                self._carry_out(stage)
            elif job.from_stage not in ("fragments", name):
                course.finished(stages.output, stage, self.job)
        by_threshold: Scores = {}
        if "agglomerate" in names:
            self._rest_for_long()
            written = stages.agglomeration(self.context.log).carry_out(self._thresholds())
            self.context.log(f"{len(written)} of {len(self._thresholds())} lookup tables were written now")
        if "scores" in names and (job.truth or job.skeletons):
            by_threshold = self._scores()
        chosen = self._chosen(by_threshold)
        if "relabel" in names:
            if job.decisions:
                self.stages.decided(self.context.log).carry_out([chosen])
            self._carry_out(stages.relabel(chosen))
            Copies(stages, chosen).carry_out(self._carry_out)
        return self._report(by_threshold, chosen, "relabel" in names)

    def cost(self) -> Mapping[str, str]:
        """What it would cost."""
        stages, pairs = self.stages, list[tuple[Stage, Pace]]()
        first = stages.fragments()
        if first is not None:
            pairs.append((first, cost.probe(first, USUAL["fragments"])))
        # What follows reads what is not there yet: its pace is known from before.
        pairs += [(stages.edges(), USUAL["edges"]), (stages.relabel(self._chosen({})), USUAL["relabel"])]
        if self.job.truth:
            pairs.append((stages.overlaps(), USUAL["overlaps"]))
        pairs += [*Copies(stages, self._chosen({})).costs(), *self._listing.costs()]
        facts = cost.of_stages(pairs, stages.inputs.largest, self.job.workers)
        return {**facts, **self._driver(pairs[0][1] if first is not None else None)}

    def _driver(self, fragments: Pace | None) -> Mapping[str, str]:
        """What agglomeration needs where this process runs, by the edges that were counted, or are to be expected."""
        stages, each = self.stages, fragments.counts.get("fragments") if fragments else None
        held = ledger.read(stages.output, "edges")
        if held and held["complete"] and held["fingerprint"] == stages.edges().fingerprint:
            edges, source = float(held["counts"].get("edges", held["counts"].get("joins", 0))), "counted"
        elif each is not None:
            edges, source = EDGES_A_FRAGMENT * each * stages.region.box.voxels, "by the fragments of the middle block"
        else:
            return {}
        need = stages.agglomeration(print_nothing).memory(edges)
        return {"driver memory": f"about {size_text(need)} for some {edges:,.0f} edges ({source})"}

    def _carry_out(self, stage: Stage) -> None:
        done = course.carry_out(self.stages.output, stage, self.job, self.context, self._shift)
        self.context.log(f"{stage.name}: {done.made:,} of {done.blocks:,} blocks were done now")
        self.done.append((stage.name, done))

    def _rest_for_long(self) -> None:
        """Hold no cores of a cluster while one process joins a large graph."""
        if sum(done.counts.get("edges", 0) for name, done in self.done if name == "edges") > LONG:
            self._rest()

    def _rest(self) -> None:
        if self._shift is not None:
            self._shift.rest()

    def _thresholds(self) -> list[float]:
        """Every threshold whose table is kept.

        Raises:
            SpecError: if one is no boundary.
        """
        job = self.job
        if job.components:
            return [0.0]
        wrong = [t for t in job.thresholds if not 0 <= t <= 1]
        if wrong:
            raise SpecError(f"thresholds: a mean boundary is 0..1, got {wrong[0]:g}")
        named = {*job.thresholds, *([job.threshold] if job.threshold is not None else [])}
        return sorted(named) or [0.5]

    def _chosen(self, by_threshold: Scores) -> float:
        """The threshold whose labels are written."""
        if self.job.components:
            return 0.0
        if self.job.threshold is not None:
            return self.job.threshold
        if by_threshold:
            return reporting.best(by_threshold)
        return min(self._thresholds(), key=lambda threshold: (abs(threshold - 0.5), threshold))

    def _scores(self) -> Scores:
        """Of each threshold: by the truth, by skeletons, or both."""
        found: dict[float, dict[str, Estimate]] = {threshold: {} for threshold in self._thresholds()}
        tables = self.stages.agglomeration(self.context.log)
        if self.job.truth:
            stage = self.stages.overlaps()
            self._carry_out(stage)
            self._table = overlaps.read_all(graph.files(stage.folder or "", stage.region.groups))
            for threshold, scored in found.items():
                scored.update(scores(overlaps.relabelled(self._table, self._lookup(tables.folder(threshold)))))
        if self.job.skeletons:
            traced, ids = self._traced()
            for threshold, scored in found.items():
                table_of = self._lookup(tables.folder(threshold))
                scored.update(tracing.scores(traced, table_of.apply(ids * np.isin(ids, table_of.ids))))
        return found

    def _traced(self) -> tuple[Skeletons, Array]:
        """Skeletons in the region, and the fragment at each node."""
        job, stages = self.job, self.stages
        fragments = at(stages.fragments_at, "fragments", labels=True)
        self._rest()  # nodes are looked up by workers of their own
        traced, voxels = tracing.within(
            tracing.read(job.skeletons or "", job.skeleton_nm), fragments, stages.region.box
        )
        return traced, tracing.sampled(fragments.address, voxels, stages.region.grid, job)

    def _lookup(self, folder: str) -> Lookup:
        """A whole table, from its parts."""
        parts = [lookup.read(storage.join(folder, lookup.part(g))) for g in range(self.stages.region.groups)]
        return lookup.joined(parts)

    def _report(self, by_threshold: Scores, chosen: float, labelled: bool) -> Report:
        stages, job = self.stages, self.job
        if not self.done and job.to_stage != "agglomerate":
            raise JobFailed("there was nothing to do: --truth is needed for scores")
        notes = [f"labels are those of the threshold {chosen:g}"] if labelled and not job.components else []
        if by_threshold and job.threshold is None and not job.components:
            notes.append(
                f"the threshold {chosen:g} was chosen by the very truth that it is scored on: for a fair score choose "
                "it on another --roi and name it with --threshold"
            )
        tables = {**reporting.sweeps(by_threshold), **self._listing.tables(chosen, self._table, self._carry_out)}
        if labelled:
            notes += shown(stages, chosen, self._served, tables.get("candidates"))
        tables["stages"] = reporting.counts([(name, d.counts, d.blocks, d.made) for name, d in self.done])
        return Report(
            metrics=self._decided(chosen) or by_threshold.get(chosen, {}),
            output=stages.labels_at(chosen) if labelled else stages.output,
            tables=tables,
            tags={"stage_digest": stages.edges().fingerprint, "threshold": f"{chosen:g}"},
            examples=tuple(self._pictures(chosen)) if labelled else (),
            notes=tuple(notes),
        )

    def _decided(self, chosen: float) -> dict[str, Estimate]:
        """Scores with what proofreaders decided; nothing where they did not, or there is no truth."""
        if not self.job.decisions or self._table is None:
            return {}
        table_of = self._lookup(self.stages.decided(self.context.log).folder(chosen))
        return scores(overlaps.relabelled(self._table, table_of))

    def _pictures(self, chosen: float) -> list[Example]:
        """Sections with segments, and with errors where there is a truth."""
        stages, found = self.stages, self.stages.inputs.found
        labels = at(Address(stages.labels_at(chosen)), "labels", labels=True)
        image, box = found.get("volume") or found.get("boundaries"), stages.region.box
        shown = pictures.sections(labels, image, box)
        if self._table is not None:
            table_of = self._lookup(stages.decided(self.context.log).folder(chosen))
            table = overlaps.relabelled(self._table, table_of)
            shown += pictures.errors(labels, found["truth"], table, image, box)
        return shown
