"""The labels of a threshold made ready for neuroglancer: which copy, beside which image, with which places."""

from __future__ import annotations

import pyarrow as pa

from jobs import storage
from jobs.segmenting.showing import Served, Showing
from jobs.segmenting.stages import Stages
from vision.corpora.volumes import Address


def shown(stages: Stages, threshold: float, served: Served, listed: pa.Table | None) -> list[str]:
    """Leave OUT/neuroglancer/T/state.json; sentences for the report, the first with the link."""
    job, inputs = stages.job, stages.inputs
    labels = Address(stages.named("precomputed" if job.copied else "labels", threshold))
    state = storage.join(stages.named("neuroglancer", threshold), "state.json")
    return Showing(state, labels, inputs.volume, inputs.found.get("volume"), served, job.neuroglancer).write(listed)
