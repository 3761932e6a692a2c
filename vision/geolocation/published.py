"""Tables of cells as papers publish them: CSV with a token, a count and a mean position for each cell.

GeoEstimation's and what was made from them: `class_label, hex_id, imgs_per_cell, latitude_mean, longitude_mean`, in the
original after two lines about something else. Spreadsheets read tokens as numbers: `47e63` becomes `4.7E+064`, `00994`
becomes `994`. Most of the damaged ones still look like tokens, so each cell must hold its own mean position; guessing
what it was would be guessing.

Reference: Mueller-Budack, Pustu-Iren & Ewerth, "Geolocation Estimation of Photos using a Hierarchical Model and Scene
Classification", ECCV 2018.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vision.accumulator import Array
from vision.geolocation import s2
from vision.geolocation.cells import check_disjoint
from vision.geolocation.stored import Cells
from vision.sphere import faults, unit_vectors

COLUMNS: Mapping[str, str] = {
    "label": "class_label",
    "token": "hex_id",
    "count": "imgs_per_cell",
    "latitude": "latitude_mean",
    "longitude": "longitude_mean",
}
"""What published tables call the columns."""

_PREAMBLE = 5
"""Lines among which the names of the columns are looked for."""


class DamagedTokens(ValueError):
    """Tokens that are not those of their cells. `rows` are (line of the file, what stands there)."""

    def __init__(self, rows: Sequence[tuple[int, str]], of: int) -> None:
        lines = ", ".join(str(line) for line, _ in rows)
        what = f"such as {rows[0][1]!r}: a spreadsheet may have read them as numbers"
        super().__init__(f"{len(rows):,} of {of:,} tokens are damaged ({what}), in lines {lines}")
        self.rows = tuple(rows)


@dataclass(frozen=True)
class _Row:
    line: int
    label: int
    token: str
    count: int
    latitude: float
    longitude: float


def read(text: str, columns: Mapping[str, str] | None = None) -> Cells:
    """The cells in a published CSV.

    Args:
        text: the file.
        columns: names of the columns by role, where they are not those of `COLUMNS`.

    Returns:
        cells in the order of their ids, with the published classes as labels.

    Raises:
        DamagedTokens: if tokens are none, or their cell does not hold the mean position beside them.
        ValueError: if columns are missing, a number is none, or cells overlap.
    """
    rows = _rows(text, {**COLUMNS, **(columns or {})})
    if not rows:
        raise ValueError("the table holds no cells")
    ids = _ids(rows)
    order = np.argsort(ids)
    check_disjoint(ids[order])
    labels, counts = (np.array([getattr(row, name) for row in rows], np.int64) for name in ("label", "count"))
    if len(np.unique(labels)) < len(labels):
        raise ValueError("two cells of the table are the same class")
    means = unit_vectors(*_degrees(rows))
    return Cells(ids[order], counts[order], means[order], labels[order].astype(np.int32))


def _ids(rows: Sequence[_Row]) -> Array:
    """(M,) uint64, each of which holds its mean position."""
    latitude, longitude = _degrees(rows)
    wrong = np.flatnonzero(faults(latitude, longitude))
    if len(wrong):
        row = rows[wrong[0]]
        raise ValueError(f"line {row.line}: the mean position {row.latitude}, {row.longitude} is nowhere on Earth")
    ids = np.array([_id(row.token) for row in rows], np.uint64)
    # A token never ends in 0: `47e1` that became 470 is an ancestor of the cell, and holds its mean position too.
    whole = np.array([not row.token.endswith("0") for row in rows])
    own = s2.contains(np.maximum(ids, np.uint64(1)), s2.ids(latitude, longitude))
    wrong = np.flatnonzero(~(whole & own & s2.is_valid(ids)))
    if len(wrong):
        raise DamagedTokens([(rows[n].line, rows[n].token) for n in wrong.tolist()], len(rows))
    return ids


def _id(token: str) -> int:
    try:
        return int(s2.from_tokens([token])[0])
    except ValueError:
        return 0


def _degrees(rows: Sequence[_Row]) -> tuple[Array, Array]:
    return np.array([row.latitude for row in rows]), np.array([row.longitude for row in rows])


def _rows(text: str, columns: Mapping[str, str]) -> list[_Row]:
    lines = csv.reader(io.StringIO(text.removeprefix("\ufeff")))
    places = _places(lines, columns)
    found = []
    for fields in lines:
        if not any(fields):
            continue
        try:
            label, token, count, latitude, longitude = (fields[place].strip() for place in places)
            found.append(_Row(lines.line_num, int(label), token, int(count), float(latitude), float(longitude)))
        except (ValueError, IndexError):
            raise ValueError(f"line {lines.line_num}: {','.join(fields)!r} is not a cell with its numbers") from None
    return found


def _places(lines: Iterator[list[str]], columns: Mapping[str, str]) -> list[int]:
    """Where the columns stand, from the line that names them."""
    wanted, seen = list(columns.values()), []
    for _ in range(_PREAMBLE):
        names = [name.strip() for name in next(lines, [])]
        if all(name in names for name in wanted):
            return [names.index(name) for name in wanted]
        seen.append(names)
    fullest = max(seen, key=lambda names: sum(name in names for name in wanted))
    missing = next(name for name in wanted if name not in fullest)
    raise ValueError(f"there is no column {missing!r} in the first lines of the table, which have {fullest}")
