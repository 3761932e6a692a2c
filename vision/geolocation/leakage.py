"""Do test photos have relatives in training? Those of one author, one album or one place are no fair test.

Test sets of photo sites are drawn from where training photos come from: half the photos of an author may be in either.
Nothing is dropped here. Test photos are marked, so that a metric can be broken down by the marks, and both be reported:
all photos, and those without a relative.

Reference: Vo, Jacobs & Hays, "Revisiting IM2GPS in the Deep Learning Era", ICCV 2017 (authors apart); Astruc et al.,
"OpenStreetView-5M", CVPR 2024 (places 1 km apart).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from vision.accumulator import Array
from vision.relatives import check, relatives, with_marks
from vision.sphere import PLACE, faults, places
from vision.vicinity import near_places

SAME = ("author", "album")
PLACE_KM = 1.0


def marked(train: pa.Table, test: pa.Table, same: Sequence[str] = SAME, place_km: float | None = PLACE_KM) -> pa.Table:
    """The test photos, with what they share with any training photo.

    Args:
        train, test: photos with the columns of `same`, and `latitude` and `longitude` in degrees.
        same: columns of which an equal value makes two photos relatives; a missing one makes none.
        place_km: photos so near (<=) or nearer are of one place; None: places are not looked at.

    Returns:
        `test` with a bool column `same_<column>` for each of `same`, `same_place`, and `leaks` for any of them. Null
        where it cannot be known: the value is missing; `leaks` is null only where nothing is shared and something
        is not known.

    Raises:
        ValueError: if a column is missing, or `place_km` is negative.
    """
    if place_km is not None and not place_km >= 0:
        raise ValueError(f"place_km must be 0 or more, got {place_km}")
    for name, table in (("train", train), ("test", test)):
        check(name, table, [*same, *(PLACE if place_km is not None else ())])
    marks = relatives(train, test, same)
    if place_km is not None:
        marks["same_place"] = _near(train, test, place_km)
    return with_marks(test, marks)


def _near(train: pa.Table, test: pa.Table, place_km: float) -> pa.ChunkedArray:
    """Whether any training photo was taken within `place_km`; null where a test photo's place is not known."""
    (references, _), (asked, known) = _places(train), _places(test)
    near = np.zeros(len(test), bool)
    near[known] = near_places(references, asked, place_km)
    return pa.chunked_array([pa.array(near, mask=~known)])


def _places(table: pa.Table) -> tuple[Array, Array]:
    """(M, 2) degrees of the photos whose place is known, and which those are, (N,) bool."""
    degrees = places(table)
    known = faults(*degrees.T) == 0
    return degrees[known], known
