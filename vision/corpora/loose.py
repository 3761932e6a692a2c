"""Records whose fields are known only when all have been read: types found on the way, records spooled to disk."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

_KINDS: Mapping[type, str] = {bool: "bool", int: "int", float: "float", str: "text"}
_TYPES = {"bool": pa.bool_(), "int": pa.int64(), "float": pa.float64(), "text": pa.string()}


class Spool:
    """Tables of one schema, written first and read later, as often as wanted; the file has no name and goes away."""

    def __init__(self, schema: pa.Schema) -> None:
        self.rows = 0
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as the spool)
        self._writer = pa.ipc.new_stream(self._file, schema)

    def write(self, table: pa.Table) -> None:
        self._writer.write_table(table)
        self.rows += table.num_rows

    def read(self) -> Iterator[pa.Table]:
        self._writer.close()
        self._file.seek(0)
        for batch in pa.ipc.open_stream(self._file):
            yield pa.Table.from_batches([batch])


def flatten(fields: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested objects as one level, their names joined by `_`."""
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        inner = flatten(value, f"{prefix}{name}_") if isinstance(value, dict) else {f"{prefix}{name}": value}
        flat |= inner
    return flat


def kind(value: Any) -> str:
    """`int`, `float`, `bool`, `text`, `list:<one of them>`, `null`, or `other`."""
    if value is None or value == []:
        return "null"
    if isinstance(value, list):
        inside = {_KINDS.get(type(item), "other") for item in value}
        inside = {"float"} if inside == {"int", "float"} else inside
        return f"list:{inside.pop()}" if len(inside) == 1 and "other" not in inside else "other"
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return "other"
    return _KINDS.get(type(value), "other")


def column_type(kinds: set[str]) -> pa.DataType:
    """The type that holds all that a column was seen to hold; text if nothing else does."""
    seen = kinds - {"null"}
    if seen == {"int", "float"}:
        return pa.float64()
    if seen == {"list:int", "list:float"}:
        return pa.list_(pa.float64())
    if len(seen) != 1 or seen == {"other"}:
        return pa.string()
    (only,) = seen
    return pa.list_(_TYPES[only.removeprefix("list:")]) if only.startswith("list:") else _TYPES[only]


def shaped(value: Any, wanted: pa.DataType) -> Any:
    """A value as its column holds it: what is not text in a column of text is written as JSON."""
    if value is not None and pa.types.is_string(wanted) and not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return value
