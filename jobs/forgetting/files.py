"""A run's files without some ids: tables lose rows, pages lose pictures and rows, documents lose entries, text words.

`jobs.page` and the tables of reports are what these were made by; anything else is treated as text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs.forgetting.ids import Ids

Purged = tuple[bytes, int]
"""A file's new bytes, and how many places of it were changed."""

_FIGURE = re.compile(r"<figure>.*?</figure>", re.DOTALL)
_ALT = re.compile(r'<img [^>]*?alt="([^"]*)"')
_GRID = re.compile(r"<thead><tr>(.*?)</tr></thead><tbody>(.*?)</tbody>", re.DOTALL)
_ROW = re.compile(r"<tr[^>]*>.*?</tr>", re.DOTALL)
_CELL = re.compile(r"<t[hd][^>]*>(.*?)</t[hd]>", re.DOTALL)
_MARKED = re.compile(r'<(figure|g) data-id="([^"]*)">.*?</\1>', re.DOTALL)
"""Pictures of one record, and parts of pictures."""

_SHOWN = 299
"""Characters of a longer cell that a page shows."""


def purged(name: str, data: bytes, ids: Ids) -> Purged | None:
    """A file without the ids; None if it has none of them.

    Args:
        name: its ending says of what kind it is.

    Raises:
        ValueError: if it is not what its ending says, so that nobody can say what it holds.
    """
    ending = name.lower().rsplit(".", 1)[-1]
    if ending == "parquet":
        return _table(data, ids)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        if any(id_.encode() in data for id_ in ids.telling):
            raise ValueError(f"{name} holds an id and is no text") from None
        return None
    known: dict[str, Callable[[str, Ids], tuple[str, int]]] = {"html": _page, "json": _document}
    new, count = known.get(ending, _text)(text, ids)
    return (new.encode(), count) if count else None


def _text(text: str, ids: Ids) -> tuple[str, int]:
    new = ids.scrubbed(text)
    return new, int(new != text)


def _table(data: bytes, ids: Ids) -> Purged | None:
    try:
        table = pq.read_table(pa.BufferReader(data))
    except pa.ArrowInvalid as error:
        raise ValueError(str(error).splitlines()[0]) from None
    rows = len(table)
    if json.loads((table.schema.metadata or {}).get(b"plot", b"{}")).get("of") in ids.lines:
        table = table.slice(0, 0).replace_schema_metadata(None)  # all of it shows one record
    if "id" in table.column_names:
        table = table.filter(pc.invert(ids.among(table["id"])))
    count = rows - len(table)
    for place, name in enumerate(table.column_names):
        if "string" in str(table[name].type):
            values = table[name].to_pylist()
            new = [without(value, ids) for value in values]
            if new != values:
                table = table.set_column(place, table.schema.field(name), pa.array(new, table[name].type))
                count += sum(a != b for a, b in zip(values, new, strict=True))
    if not count:
        return None
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes(), count


def _page(text: str, ids: Ids) -> tuple[str, int]:
    """Figures of an id, parts of pictures that bear it, and rows of a table with a column `id` go as a whole."""
    count = 0

    def figure(match: re.Match[str]) -> str:
        nonlocal count
        named = _ALT.search(match[0])
        mine = named is not None and unescape(named[1]) in ids.lines
        count += mine
        return "" if mine else match[0]

    def marked(match: re.Match[str]) -> str:
        nonlocal count
        mine = unescape(match[2]) in ids.lines
        count += mine
        return "" if mine else match[0]

    def grid(match: re.Match[str]) -> str:
        nonlocal count
        heads = _CELL.findall(match[1])
        if "id" not in heads:
            return match[0]
        rows = _ROW.findall(match[2])
        kept = [row for row in rows if unescape(_CELL.findall(row)[heads.index("id")]) not in shown]
        count += len(rows) - len(kept)
        return match[0].replace(match[2], "".join(kept)) if len(kept) < len(rows) else match[0]

    shown = {id_ if len(id_) <= _SHOWN + 1 else id_[:_SHOWN] + "…" for id_ in ids.lines}
    text = _GRID.sub(grid, _FIGURE.sub(figure, _MARKED.sub(marked, text)))
    new = ids.scrubbed(text)
    return new, count + (new != text)


def _document(text: str, ids: Ids) -> tuple[str, int]:
    try:
        value = json.loads(text)
    except ValueError:
        return _text(text, ids)
    new = without(value, ids)
    return (json.dumps(new, indent=2, ensure_ascii=False) + "\n", 1) if new != value else (text, 0)


def without(value: Any, ids: Ids) -> Any:
    """Plain values without entries of an id, and without telling ids in their texts."""
    if isinstance(value, str):
        return ids.scrubbed(value)
    if isinstance(value, list):
        return [without(item, ids) for item in value if not (isinstance(item, dict) and item.get("id") in ids.lines)]
    if isinstance(value, dict):
        return {ids.scrubbed(key): without(item, ids) for key, item in value.items()}
    return value
