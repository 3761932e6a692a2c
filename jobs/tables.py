"""Tables that come from elsewhere: CSV, TSV or Parquet at a URL, whole in memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from jobs import storage
from jobs.spec import SpecError, nearest
from vision.accumulator import Array

# An empty field is missing, and nothing else is: "NA" is Namibia and "nan" somebody's grandmother.
_AS_WRITTEN = pacsv.ConvertOptions(null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False)


ENDINGS = ("csv", "tsv", "parquet")


def is_one(url: str) -> bool:
    """Whether a URL is that of a table, by its ending."""
    return url.lower().rsplit(".", 1)[-1] in ENDINGS


def read(url: str) -> pa.Table:
    """The table in a file, by its ending.

    Raises:
        SpecError: if there is none, or it is damaged or of another kind.
    """
    filesystem, path = storage.locate(url)
    ending = path.lower().rsplit(".", 1)[-1]
    if ending not in ENDINGS:
        raise SpecError(f"{url}: a table is a .csv, .tsv or .parquet file")
    try:
        with filesystem.open_input_file(path) as stream:
            if ending == "parquet":
                return pq.read_table(stream)
            return pacsv.read_csv(
                stream,
                parse_options=pacsv.ParseOptions(delimiter="\t" if ending == "tsv" else ","),
                convert_options=_AS_WRITTEN,
            )
    except FileNotFoundError:
        raise SpecError(f"{url}: no such table") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise SpecError(f"{url} cannot be read: {str(error).splitlines()[0]}") from None


def roles(pairs: Sequence[str], known: Sequence[str]) -> dict[str, str]:
    """`role=name` words as a map.

    Raises:
        SpecError: if a word is none, or its role is not among the known.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        role, _, name = pair.partition("=")
        if role not in known:
            raise SpecError(f"columns: no role {role!r}{nearest(role, list(known))} (roles: {', '.join(known)})")
        if not name:
            raise SpecError(f"columns: {role}=NAME is expected, got {pair!r}")
        found[role] = name
    return found


def degrees(table: pa.Table, name: str) -> Array:
    """(N,) float64: a column of latitudes or longitudes as they are; nan where there is none.

    Raises:
        SpecError: if it holds no numbers.
    """
    kind = table[name].type
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind)):
        raise SpecError(f"columns: {name} holds {kind} and not degrees")
    return np.asarray(table[name].cast(pa.float64()).to_numpy(), np.float64)


def counts(table: pa.Table, name: str, what: str) -> Array:
    """(N,) int64: how many of something each row stands for.

    Args:
        what: that something, for complaints: "photos".

    Raises:
        SpecError: if a row has no whole number of them.
    """
    column = table[name]
    if not pa.types.is_integer(column.type) or column.null_count:
        raise SpecError(f"columns: {name} must hold a whole number of {what} in each row")
    found = np.asarray(column.to_numpy(), np.int64)
    if len(found) and found.min() < 0:
        raise SpecError(f"columns: {name} holds {found.min()}, which is no number of {what}")
    return found
