"""What a partition's report says: how many cells, how many photos they hold, and which positions were rejected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from jobs.spec import Report
from vision.accumulator import Counts, plotted
from vision.geolocation import s2
from vision.geolocation.drawn import counted
from vision.geolocation.stored import Cells
from vision.intervals import rate
from vision.sphere import FAULTS


def report(place: str, cells: Cells, rejected: Counts, tags: Mapping[str, str]) -> Report:
    """The report on a file of cells.

    Args:
        rejected: photos without a good position, by place in `FAULTS`.
    """
    photos, held = int(cells.about["photos"]), int(cells.counts.sum())
    levels = s2.level(cells.ids)
    between = f" of levels {levels.min()} to {levels.max()}" if len(cells) else ""
    of = "" if held == photos else f" of {photos:,}"
    notes = [f"{len(cells):,} cells{between} hold {held:,}{of} photos with a position"]
    if rejected.total():
        why = ", ".join(f"{count:,} {FAULTS[key]}" for key, count in _items(rejected))
        notes.append(f"{rejected.total():,} positions were rejected: {why}")
    return Report(
        metrics={} if "published" in cells.about else {"kept": rate(held, photos)},
        output=place,
        tables={
            "levels": _levels(cells),
            "rejected": _rejected(rejected),
            **({"map_cells": counted(cells)} if len(cells) else {}),
        },
        tags={**tags, "cells": str(len(cells)), "cells_sha256": cells.digest},
        notes=tuple(notes),
    )


def seen(photos: int, rejected: Counts) -> dict[str, Any]:
    """What a file of cells says of the photos that were counted, and those that were not."""
    return {"photos": photos, "rejected": _reasons(rejected)}


def _reasons(rejected: Counts) -> dict[str, int]:
    return {FAULTS[key]: count for key, count in _items(rejected)}


def _items(counts: Counts) -> list[tuple[int, int]]:
    return list(zip(counts.keys.tolist(), counts.counts.tolist(), strict=True))


def _levels(cells: Cells) -> pa.Table:
    levels = s2.level(cells.ids)
    found = np.unique(levels)
    number = [int((levels == level).sum()) for level in found]
    photos = [int(cells.counts[levels == level].sum()) for level in found]
    table = pa.table({"level": found.astype(np.int8), "cells": number, "photos": photos})
    return plotted(table, kind="bars", label="level", value="cells")


def _rejected(rejected: Counts) -> pa.Table:
    reasons = _reasons(rejected)
    columns = {"reason": pa.array(list(reasons), pa.string()), "photos": pa.array(list(reasons.values()), pa.int64())}
    return pa.table(columns)
