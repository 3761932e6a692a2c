"""The words of a report's page in HTML: sections, tables, numbers; everything that is not markup is escaped."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import pyarrow as pa

ROWS = 50
"""As much of a table as the page shows."""

_SHORT = 12  # rows; a longer table is folded

_ADDRESS = re.compile(r"https?://(?:&amp;|[^\s&<>])+")
_SEEN = 100  # characters of an address: a state of neuroglancer takes thousands


def number(value: float | None) -> str:
    """A number as it is read: four digits, thousands apart, a dash for none.

    >>> number(0.846666), number(1234567), number(1.0), number(2e-9), number(float("nan"))
    ('0.8467', '1,234,567', '1.0000', '2.00e-09', '-')
    """
    if value is None or not math.isfinite(value):
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    if 0 < abs(value) < 5e-5:
        return f"{value:.2e}"
    return f"{value:.4f}" if abs(value) < 10 else f"{value:,.4g}"


def sentence(text: str) -> str:
    """A sentence, in which addresses of pages can be followed.

    >>> sentence("see https://a.org/?b=1&c=2 <now>")
    'see <a href="https://a.org/?b=1&amp;c=2" rel="noreferrer">https://a.org/?b=1&amp;c=2</a> &lt;now&gt;'
    """
    return _ADDRESS.sub(_followed, escape(text))


def _followed(found: re.Match[str]) -> str:
    address = found[0]
    return f'<a href="{address}" rel="noreferrer">{address if len(address) <= _SEEN else address[:_SEEN] + "…"}</a>'


def section(title: str, content: str) -> str:
    """A part of the page under its title."""
    return f"<section><h2>{escape(title)}</h2>{content}</section>"


def titled(name: str) -> str:
    """The name of a table as a title.

    >>> titled("groups_tested")
    'Groups tested'
    """
    words = name.replace("_", " ")
    return words[:1].upper() + words[1:]


def head(columns: Sequence[tuple[str, str]]) -> str:
    """The heads of (name, class) columns."""
    return "".join(
        f'<th class="{kind}">{escape(name)}</th>' if kind else f"<th>{escape(name)}</th>" for name, kind in columns
    )


def grid(head: str, rows: Sequence[str], total: int, shown: int | None = None) -> str:
    """A table of rendered rows, and how many of `total` there are beyond them."""
    rest = total - (len(rows) if shown is None else shown)
    more = f'<p class="soft">and {rest:,} more</p>' if rest > 0 else ""
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>{more}'
    )


def table(name: str, found: pa.Table) -> str:
    """An Arrow table, folded where it is long."""
    right = [pa.types.is_integer(t) or pa.types.is_floating(t) for t in found.schema.types]
    heads = head([(column, "number" if r else "") for column, r in zip(found.column_names, right, strict=True)])
    rows = [
        "".join(
            f'<td class="number">{_cell(value)}</td>' if r else f"<td>{_cell(value)}</td>"
            for value, r in zip(row.values(), right, strict=True)
        )
        for row in found.slice(0, ROWS).to_pylist()
    ]
    whole = grid(heads, [f"<tr>{row}</tr>" for row in rows], found.num_rows)
    if found.num_rows <= _SHORT:
        return section(titled(name), whole)
    summary = f"<summary>{escape(titled(name))} <span class='soft'>{found.num_rows:,} rows</span></summary>"
    return f"<details>{summary}{whole}</details>"


def pairs(title: str, pairs: Mapping[str, Any]) -> str:
    """Facts by name; empty ones are left out."""
    rows = [
        f'<tr><td>{escape(str(name))}</td><td class="mono">{escape(str(value))}</td></tr>'
        for name, value in pairs.items()
        if value not in (None, "", (), [])
    ]
    return section(title, f'<table class="fields">{"".join(rows)}</table>') if rows else ""


def _cell(value: Any) -> str:
    if isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool)):
        return number(value)
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    text = "-" if value is None else str(value)
    return escape(text if len(text) <= 300 else text[:299] + "…")
