"""What an undeclared value may have been meant as: a spelling, or a range that a spreadsheet took for a date."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence

import yaml

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def undated(value: str) -> str | None:
    """The range that a spreadsheet took for a day of a month: `9-Mar` was 3-9, and `19-Oct` was 10-19."""
    found = re.fullmatch(r"(\d{1,2})-([A-Z][a-z]{2})", value)
    if not found or found[2] not in _MONTHS:
        return None
    return f"{_MONTHS.index(found[2]) + 1}-{int(found[1])}"


def meant(value: str, known: Sequence[str]) -> str | None:
    """The known value that another was most likely meant as."""
    date = undated(value)
    if date in known:
        return date
    lower = {name.lower(): name for name in known}
    if value.strip().lower() in lower:
        return lower[value.strip().lower()]
    close = difflib.get_close_matches(value, known, n=1, cutoff=0.5)
    return close[0] if close else None


def mapping_file(column: str, spellings: Mapping[str, str], unknown: Sequence[str]) -> list[str]:
    """Lines of a groups file that would take unknown values as what they look like, for somebody to check.

    Args:
        spellings: every known spelling, to its value.
    """
    groups: dict[str, list[str]] = {value: [] for value in spellings.values()}
    for spelling, value in spellings.items():
        if spelling != value:
            groups[value].append(spelling)
    for value in unknown:
        groups.setdefault(meant(value, list(spellings)) or "SAY WHAT IS MEANT", []).append(value)
    text: str = yaml.safe_dump({column: groups}, sort_keys=False, allow_unicode=True, default_flow_style=None)
    return ["a groups file that would take them, to be checked:", *text.splitlines()]
