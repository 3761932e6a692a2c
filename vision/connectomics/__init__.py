"""Which neuron is it? Electron-microscopy volumes cut into instances block by block, as if they were one.

`blocks` is the grid. `labelling` joins components over faces. `fragments`, `edges` and `agglomeration` go from a
boundary map to neurons; `relabel` applies any table of ids. `contingency` counts, `scores` judges.
"""

from __future__ import annotations
