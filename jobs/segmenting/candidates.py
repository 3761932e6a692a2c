"""What a proofreader should look at, best first, and what proofreaders decided, applied as a table of its own.

A list is a Parquet file of candidates: joins of segments that look like one neuron, and cuts of joins that were made.
With a column `verdict` (yes or no, empty: not looked at) it is a file of decisions; more columns, such as `by`, belong
to whoever wrote them and are not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import numpy as np
import pyarrow as pa

from jobs import storage, tables
from jobs.choosing import sha256
from jobs.segmenting.edges import below
from jobs.segmenting.graph import Graph
from jobs.spec import SpecError
from jobs.stages.region import Region
from jobs.volumes.opening import Opened
from vision.accumulator import Array, plotted
from vision.connectomics.agglomeration import Joins
from vision.connectomics.contingency import Contingency
from vision.connectomics.edges import Edges
from vision.connectomics.positions import NOWHERE, touching_at
from vision.connectomics.proofreading import Candidates, Correction, Kind, mergers, splits
from vision.connectomics.relabel import Lookup
from vision.connectomics.simulated import Curve, proofread

COLUMNS = ("kind", "first", "second", "verdict")
VERDICTS = ("yes", "no")
_YES_OR_NO = f"{VERDICTS[0]}, {VERDICTS[1]} or empty"


def ranked(
    lookup: Lookup, joins: Joins, threshold: float, graph: Graph, most: int, judged: Edges | None = None
) -> Candidates:
    """Likely splits and mergers together, by the voxels that an answer can be expected to put right.

    Args:
        judged: edges with what a net says of them; None: the boundary itself says how likely an error is.
    """
    edges = graph.edges if judged is None else judged
    return splits(lookup, edges, graph.sizes).and_(mergers(joins, threshold, graph.sizes, judged)).best(most)


def listed(found: Candidates, labels: Lookup, fragments: Opened, region: Region) -> pa.Table:
    """Candidates as a table; `z`, `y`, `x` say where the two fragments touch, in voxels.

    Args:
        labels: what fragments are called in the labels that are written.
    """
    at, segments = _positions(found.fragments, fragments, region), labels.apply(found.fragments)
    return pa.table(
        {
            "rank": np.arange(1, len(found) + 1),
            "kind": ["cut" if cut else "join" for cut in found.is_cut],
            "first": found.fragments[:, 0],
            "second": found.fragments[:, 1],
            "first_segment": segments[:, 0],
            "second_segment": segments[:, 1],
            "chance": found.chance,
            "voxels": found.voxels,
            **{axis: at[:, place] for place, axis in enumerate("zyx")},
        }
    )


def curve(
    table: Contingency, joins: Joins, threshold: float, graph: Graph, questions: int, judged: Edges | None = None
) -> pa.Table:
    """VI after each correction that a user who knows the truth accepts, drawn as lines.

    With `judged` edges the user goes through their list, and once more through that of the boundary itself.
    """
    found = proofread(table, joins, threshold, graph.edges, graph.sizes, questions)
    if judged is None:
        rows = _points(found, {"vi": found.split + found.merge, "vi_split": found.split, "vi_merge": found.merge})
    else:
        taught = proofread(table, joins, threshold, judged, graph.sizes, questions, judged=True)
        rows = _points(taught, {"vi, by the proofreader": taught.split + taught.merge})
        rows += _points(found, {"vi, by the boundary": found.split + found.merge})
    schema = pa.schema(
        [
            ("questions", pa.int64()),
            ("accepted", pa.int64()),
            ("score", pa.string()),
            *((name, pa.float64()) for name in ("value", "low", "high")),
        ]
    )
    how = {"kind": "lines", "x": "questions", "y": "value", "low": "low", "high": "high", "series": ["score"]}
    return plotted(pa.Table.from_pylist(rows, schema), **how, logarithmic=False, stretched=False)


def _points(found: Curve, columns: Mapping[str, Array]) -> list[dict[str, Any]]:
    """A row for each score and accepted correction."""
    return [
        {"questions": int(asked), "accepted": n, "score": name, "value": float(value), "low": None, "high": None}
        for name, values in columns.items()
        for n, (asked, value) in enumerate(zip(found.asked, values, strict=True))
    ]


def decisions(url: str) -> tuple[tuple[Correction, ...], str]:
    """The corrections that a file of decisions accepts, and its digest.

    Raises:
        SpecError: if there is none, or a row is no decision.
    """
    table = tables.read(url)
    lost = [name for name in COLUMNS if name not in table.column_names]
    if lost:
        raise SpecError(f"decisions: {url} has no column {lost[0]!r} (it needs {', '.join(COLUMNS)})")
    rows = (_decided(row, f"decisions: {url}, row {n}") for n, row in enumerate(table.select(COLUMNS).to_pylist(), 1))
    return tuple(sorted({row for row in rows if row is not None})), sha256(storage.absolute(url))


def _decided(row: Mapping[str, Any], where: str) -> Correction | None:
    """A correction, if the verdict is yes."""
    verdict = str(row["verdict"] or "").strip().lower()
    if verdict not in (*VERDICTS, ""):
        raise SpecError(f"{where}: a verdict is {_YES_OR_NO}, got {row['verdict']!r}")
    if row["kind"] not in get_args(Kind):
        raise SpecError(f"{where}: a kind is {' or '.join(get_args(Kind))}, got {row['kind']!r}")
    if not isinstance(row["first"], int) or not isinstance(row["second"], int):
        raise SpecError(f"{where}: fragments are whole numbers, got {row['first']!r} and {row['second']!r}")
    first, second = sorted((row["first"], row["second"]))
    return Correction(row["kind"], first, second) if verdict == "yes" else None


def _positions(pairs: Array, fragments: Opened, region: Region) -> Array:
    """(K, 3) voxels where pairs touch, -1 where that is not known: of fragments whose ids do not tell their block."""
    at = np.full((len(pairs), 3), NOWHERE, np.int64)
    if not len(pairs) or int(pairs.max()) >= region.grid.id_range(len(region.grid))[0]:
        return at
    owners = region.grid.owner(pairs.reshape(-1)).reshape(-1, 2).max(axis=1)  # the block above owns the face
    for number in np.unique(owners).tolist():
        mine = np.flatnonzero(owners == number)
        box = below(region.grid.block(number).write)
        at[mine] = touching_at(fragments.read(box).astype(np.uint64, copy=False), box.begin, pairs[mine])
    return at
