"""The stages of a segmentation, made from a job's fields: what each reads, what decides it, what it leaves where.

OUT/fragments   zarr: ids that tell their block          OUT/lookup/T      fragment to segment, a table a threshold
OUT/edges       Parquet: the graph, by group of blocks   OUT/labels/T      zarr: segments
OUT/joins.parquet   the history of agglomeration         OUT/overlaps-*    Parquet: voxels by truth and fragment
OUT/precomputed/T   labels, mesh/, skeletons/            OUT/skeletons/T   SWC, a file a segment
OUT/neuroglancer/T  state.json                           OUT/borders-*     Parquet: what a net says of borders
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from jobs import storage
from jobs.engine.commit import digest
from jobs.segmenting import candidates, components, edges, fragments, judging, overlaps, relabel
from jobs.segmenting.agglomerate import Agglomeration
from jobs.segmenting.evidence import Evidence
from jobs.segmenting.inputs import Inputs
from jobs.spec import SpecError
from jobs.stages.asking import triple
from jobs.stages.region import Region
from jobs.stages.stage import Stage
from jobs.volumes.writing import Target
from vision.connectomics.fragments import Fragmenter
from vision.corpora.volumes import Address
from vision.model import Model

if TYPE_CHECKING:
    from jobs.segment import Segment

BINS = 256
"""Of an edge's histogram, where quantiles are asked for."""

Name = Literal["fragments", "edges", "agglomerate", "relabel", "scores"]
ORDER: tuple[Name, ...] = get_args(Name)


@dataclass(frozen=True)
class Stages:
    """The stages of one job."""

    job: Segment
    output: str
    inputs: Inputs
    region: Region
    fragmenter: Fragmenter

    @classmethod
    def of(cls, job: Segment, output: str, inputs: Inputs) -> Stages:
        """From the fields.

        Raises:
            SpecError: if one does not fit.
        """
        try:
            fragmenter = Fragmenter(
                job.seed_below, job.window, job.per_section, job.fill, job.max_boundary, job.backend
            )
        except ValueError as error:
            raise SpecError(str(error)) from None
        halo = (0, 0, 0) if job.fragments or job.components else triple(job.halo, "halo")
        return cls(job, output, inputs, job.region(inputs.shape, halo), fragmenter)

    def fragments(self) -> Stage | None:
        """Fragments of a watershed; None where they are given."""
        if self.job.fragments:
            return None
        job, found = self.job, self.inputs.evidence(self.region.box)
        if job.components:
            return self._components(found)
        how = {name: getattr(job, name) for name in ("seed_below", "window", "per_section", "fill", "max_boundary")}
        facts = {**self._evidence_facts(), **how, "backend": job.backend}
        work = fragments.Fragments(found, self.fragmenter, self.region.grid)
        return self._stage("fragments", facts, work, self._target("fragments"), None, fragments.BYTES_A_VOXEL)

    def _components(self, found: Evidence) -> Stage:
        """Components of blocks, in place of a watershed."""
        job, grid = self.job, self.region.grid
        work = components.Components(self.inputs.found["components"].address, found, grid, job.backend)
        facts = {**self._evidence_facts(), "backend": job.backend}
        return self._stage("fragments", facts, work, self._target("fragments"), None, fragments.BYTES_A_VOXEL)

    def edges(self) -> Stage:
        """The graph."""
        bins = BINS if self.job.quantile is not None else 0
        facts = {"fragments": self._fragments_fact(), "evidence": digest(self._evidence_facts()), "bins": bins}
        found, values = self.inputs.evidence(self.region.box), self.inputs.found.get("components")
        work: Any = edges.Touching(self.fragments_at, found, self.region.grid, bins)
        if values is not None:
            work = components.Facing(self.fragments_at, values.address, found, self.region.grid)
        return self._stage("edges", facts, work, None, storage.join(self.output, "edges"), edges.BYTES_A_VOXEL)

    def agglomeration(self, say: Any) -> Agglomeration:
        """Joins and lookup tables."""
        job = self.job
        edges_of = self.edges().fingerprint
        if job.components:
            return Agglomeration(self.output, self.region, edges_of, "threshold", None, 0, say, "components")
        return Agglomeration(
            self.output, self.region, edges_of, job.method, job.quantile, job.min_size, say,
            apart=job.fragments is None,
        )  # fmt: skip

    def decided(self, say: Any) -> Agglomeration:
        """The tables that labels are made with: those of agglomeration, and what proofreaders decided."""
        found = self.agglomeration(say)
        if not self.job.decisions:
            return found
        corrections, digest_of = candidates.decisions(self.job.decisions)
        return replace(found, corrections=corrections, decided=digest_of)

    def relabel(self, threshold: float) -> Stage:
        """Labels at a threshold."""
        tables = self.decided(print_nothing)
        name, found = tables.name(threshold), self.inputs.evidence(self.region.box)
        work = relabel.Relabelling(self.fragments_at, tables.folder(threshold), found, self.region)
        facts = {"fragments": self._fragments_fact(), "lookup": tables.fingerprint(threshold)}
        return self._stage(f"relabel-{name}", facts, work, self._target(f"labels/{name}"), None, relabel.BYTES_A_VOXEL)

    def borders(self, model: Model) -> Stage:
        """What a net says of borders."""
        found, seen = self.inputs.found.get("volume"), judging.look_of(model).image
        if seen and found is None:
            raise SpecError("proofreader: it has learned from grey levels too, so --volume is needed")
        touching = edges.Touching(self.fragments_at, self.inputs.evidence(self.region.box), self.region.grid)
        work = judging.Judging(touching, found.address if seen and found else None, model)
        facts = {"edges": self.edges().fingerprint, "proofreader": model.digest}
        facts |= self.inputs.facts("volume") if seen else {}
        name = f"borders-{model.digest[:8]}"
        made = self._stage(name, facts, work, None, storage.join(self.output, name), judging.BYTES_A_VOXEL)
        return replace(made, memory=made.memory + judging.NET_BYTES)

    def of_labels(self, what: str, threshold: float, work: Any, folder: str, each: int) -> Stage:
        """A stage that makes something else of labels; `each` is its bytes a voxel."""
        name = f"{what}-{self.decided(print_nothing).name(threshold)}"
        place = storage.join(self.output, "state", name, folder)
        return self._stage(name, {"labels": self.relabel(threshold).fingerprint}, work, None, place, each)

    def overlaps(self) -> Stage:
        """How fragments lie on the truth."""
        truth = self.inputs.facts("truth")
        facts = {"fragments": self._fragments_fact(), **truth, **self.inputs.facts("mask")}
        work = overlaps.Overlapping(
            self.inputs.found["truth"].address, self.fragments_at, self.inputs.evidence(self.region.box)
        )
        name = f"overlaps-{digest(truth)[:8]}"
        return self._stage(name, facts, work, None, storage.join(self.output, name), overlaps.BYTES_A_VOXEL)

    @property
    def fragments_at(self) -> Address:
        """Where fragments are read."""
        given = self.inputs.found.get("fragments")
        return given.address if given else Address(storage.join(self.output, "fragments"))

    def labels_at(self, threshold: float) -> str:
        """Where the labels of a threshold lie."""
        return self.named("labels", threshold)

    def named(self, what: str, threshold: float) -> str:
        """Where what is made of the labels of a threshold lies."""
        return storage.join(self.output, what, self.decided(print_nothing).name(threshold))

    def _evidence_facts(self) -> dict[str, Any]:
        named = self.inputs.facts("boundaries", "affinities", "components", "volume", "mask")
        return {**named, **({"offsets": self.job.offsets} if self.job.affinities else {})}

    def _fragments_fact(self) -> Any:
        made = self.fragments()
        return made.fingerprint if made else self.inputs.facts("fragments")["fragments"]

    def _target(self, name: str) -> Target:
        volume = self.inputs.volume
        return Target(storage.join(self.output, name), self.region.grid, "uint64", volume.voxel_nm, volume.offset_nm)

    def _stage(
        self, name: str, facts: dict[str, Any], work: Any, target: Target | None, folder: str | None, each: int
    ) -> Stage:
        grid = self.region.grid
        read = 1
        for size, halo in zip(grid.size, grid.halo if name == "fragments" else (1, 1, 1), strict=True):
            read *= size + 2 * halo
        memory = each * read + self.inputs.memory(read)
        return Stage(name, facts, work.make, self.region, target, folder, memory=memory)


def print_nothing(_line: str) -> None:
    """Says nothing: for tables that are only named."""


def wanted(first: Name, last: Name) -> Sequence[Name]:
    """The stages from the first to the last.

    Raises:
        SpecError: if the last comes before the first.
    """
    begin, end = ORDER.index(first), ORDER.index(last)
    if begin > end:
        raise SpecError(f"to: {last} comes before {first} (the order is {', '.join(ORDER)})")
    return ORDER[begin : end + 1]
