"""Which neuron is it? Electron-microscopy volumes cut into instances block by block, as if they were one.

`blocks` is the grid. `labelling` joins components over faces. `fragments`, `edges` and `agglomeration` go from a
boundary map to neurons; `relabel` applies any table of ids. `contingency` counts, `scores` judges.
`targets` and `learning` are what a net is taught, `inference` applies it on the patches of `tiles`.
`proofreading` ranks likely errors, by boundaries or by a net's `verdicts`. `surfaces`, `centrelines` and `neuroglancer`
are for looking at.
"""

from __future__ import annotations

from vision.connectomics.learning import objective
from vision.connectomics.scores import scores as of_overlaps

__all__ = ["objective", "of_overlaps"]
