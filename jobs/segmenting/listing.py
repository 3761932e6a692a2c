"""The list of likely errors that a segmentation leaves, ranked by its boundaries or by a net that proofreads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from jobs import storage
from jobs.segmenting import candidates, graph, judging, rows
from jobs.segmenting.stages import Stages
from jobs.spec import Context, SpecError
from jobs.stages.cost import Pace
from jobs.stages.stage import Stage
from jobs.volumes.opening import at
from vision.connectomics.contingency import Contingency
from vision.connectomics.edges import Edges
from vision.model import Model

USUAL = Pace(1e-6 / 0.25, 0.05, False)
"""Core-seconds and bytes left a voxel, measured on fragments of 3,000 voxels."""


@dataclass(frozen=True)
class Listing:
    """How a list is made.

    Attributes:
        model: of borders, that ranks it; None: the boundary itself does.
    """

    stages: Stages
    context: Context
    model: Model | None

    @classmethod
    def of(cls, stages: Stages, context: Context) -> Listing:
        """From the fields.

        Raises:
            SpecError: if a net is to rank no list, or does not fit.
        """
        if stages.job.proofreader is None:
            return cls(stages, context, None)
        if not stages.job.candidates:
            raise SpecError("proofreader: it ranks --candidates N, and none are asked for")
        model = judging.opened(stages.job.proofreader, context)
        stages.borders(model)
        return cls(stages, context, model)

    def tables(
        self, threshold: float, table: Contingency | None, carry: Callable[[Stage], None]
    ) -> dict[str, pa.Table]:
        """The list, kept as a file too; and what a user who knows the truth would bring. Nothing if none is asked for.

        Args:
            table: truth and fragments, where there is a truth.
            carry: does a stage.
        """
        stages, most = self.stages, self.stages.job.candidates
        if not most:
            return {}
        made = stages.agglomeration(self.context.log)
        what = made.history, threshold, made.graph, most, self._judged(made.graph.edges, carry)
        found = candidates.ranked(made.history.at(threshold), *what)
        (labels,) = stages.decided(self.context.log).tables([threshold])
        fragments = at(stages.fragments_at, "fragments", labels=True)
        listed = candidates.listed(found, labels, fragments, stages.region)
        place = storage.join(stages.output, "candidates", f"{made.name(threshold)}.parquet")
        storage.write(place, rows.packed({name: listed[name] for name in listed.column_names}))
        return {
            "candidates": listed,
            **({"proofreading": candidates.curve(table, *what)} if table is not None else {}),
        }

    def costs(self) -> list[tuple[Stage, Pace]]:
        """What ranking costs, where a net does it."""
        return [(self.stages.borders(self.model), USUAL)] if self.model else []

    def _judged(self, edges: Edges, carry: Callable[[Stage], None]) -> Edges | None:
        """What the net says of borders; None where there is none."""
        if self.model is None:
            return None
        stage = self.stages.borders(self.model)
        carry(stage)
        return judging.judged_edges(edges, graph.files(stage.folder or "", stage.region.groups))
