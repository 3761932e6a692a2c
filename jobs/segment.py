"""A volume of any size to neurons, block by block, exactly as if it were one block.

Fragments are made within blocks and never cross their faces; edges between them are pooled over the whole volume, and
agglomerated as one graph: so labels, edges, joins and scores are those of the whole, for any blocks, workers, kills and
restarts. (Fragments near a face may differ from those that a larger block would find: only the halo is seen.) Each
stage has a fingerprint: a new threshold costs a lookup table and a relabelling, and all tables of a sweep are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from jobs import storage
from jobs.segmenting import stages
from jobs.segmenting.given import Given
from jobs.segmenting.inputs import Inputs
from jobs.segmenting.looking import Looking
from jobs.segmenting.pipeline import Pipeline
from jobs.spec import Context, Plain, Report, SpecError

if TYPE_CHECKING:
    from jobs.segmenting.inferring import Inferring

SWEEP = tuple(round(0.05 * step, 2) for step in range(1, 20))


class Segment(Looking, Given):
    """Segment an electron-microscopy volume into neurons, with scores where there is a truth."""

    output: str = Field(description="folder or URL of all that comes out; labels are a zarr volume in it")
    halo: tuple[int, ...] = Field(
        (16,), min_length=1, description="voxels round a block that the watershed sees: Z,Y,X, or one"
    )
    thresholds: tuple[float, ...] = Field(
        SWEEP, min_length=1, description="mean boundary up to which fragments join; all are kept"
    )
    threshold: float | None = Field(
        None, ge=0, le=1, description="the one whose labels are written; default: 0.5, or that of the best score"
    )
    method: Literal["greedy", "threshold"] = Field(
        "greedy", description="lowest mean boundary first, pooled after each join; or every edge up to the threshold"
    )
    quantile: float | None = Field(
        None, ge=0, le=1, description="of an edge's faces in place of their mean, such as 0.75"
    )
    min_size: int = Field(0, ge=0, description="segments of fewer voxels join the best neighbour")
    seed_below: float = Field(0.5, gt=0, le=1, description="a voxel is inside a neuron where its boundary is below")
    window: int = Field(10, ge=1, description="voxels in which a seed is the farthest from a boundary")
    per_section: bool = Field(False, description="watershed within sections, for those of 30 nm and more")
    fill: bool = Field(True, description="boundary voxels go to the nearest fragment; otherwise they stay 0")
    max_boundary: float = Field(1.0, gt=0, le=1, description="fragments whose mean boundary is above are left out")
    backend: Literal["bioimage-cpp", "skimage"] = Field("bioimage-cpp", description="library of the watershed")
    from_stage: stages.Name = Field(
        "fragments", alias="from", description="the first stage to run; earlier ones are done"
    )
    to_stage: stages.Name = Field("scores", alias="to", description="the last stage to run")

    def run(self, context: Context | None = None) -> Report:
        """Segment.

        Raises:
            SpecError: if a field does not fit, volumes do not belong together, or the output holds other work.
            JobFailed: if a block cannot be done, or one is missing in the end.
        """
        context, output = context or Plain(), storage.absolute(self.output)
        if self.model is not None:
            return self._inferred(output, context)
        pipeline = self._pipeline(output, context)
        with storage.claim(output):
            return pipeline.run()

    def estimate(self, context: Context) -> Mapping[str, str]:
        output = storage.absolute(self.output)
        if self.model is None:
            return {"output": output, **self._pipeline(output, context).cost()}
        net = self._inferring(output, context).cost()
        # Boundaries are not there yet; what follows costs about the same on the grey levels.
        rest = self._with_boundaries(self.volume or "")._pipeline(output, context).cost()
        return {"output": output, **{f"{name} of the net": fact for name, fact in net.items()}, **rest}

    def _inferred(self, output: str, context: Context) -> Report:
        """A net first; what it says is kept as bytes, and segmented."""
        inferring = self._inferring(output, context)
        with storage.claim(output):
            done = inferring.carry_out(context)
            pipeline = self._with_boundaries(inferring.place)._pipeline(output, context)
            pipeline.done.extend(done)
            return pipeline.run()

    def _inferring(self, output: str, context: Context) -> Inferring:
        from jobs.segmenting.inferring import Inferring

        for field in ("boundaries", "affinities", "components", "fragments"):
            if getattr(self, field) is not None:
                raise SpecError(f"{field}: a --model says where boundaries are; give one of the two")
        return Inferring.of(self, self.volume, output, context)

    def _with_boundaries(self, place: str) -> Segment:
        """The same job on boundaries that are there."""
        return self.model_copy(update={"boundaries": place, "model": None})

    def _pipeline(self, output: str, context: Context) -> Pipeline:
        inputs = Inputs.of(self)
        return Pipeline(stages.Stages.of(self, output, inputs), self, context)
