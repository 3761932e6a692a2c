"""Declared groups: which values a column may have, and how other spellings of them are written.

gender: {female: [f, F, woman], male: [m, M, man]}
skin_type: [I, II, III, IV, V, VI]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import yaml

from jobs import storage
from jobs.intake.spelling import mapping_file, meant
from jobs.spec import JobFailed, SpecError, nearest


@dataclass(frozen=True)
class Groups:
    """Allowed values by column, and by column what each spelling stands for."""

    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    spellings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def read(cls, url: str) -> Groups:
        """The groups declared in a YAML file.

        Raises:
            SpecError: if it cannot be read, or does not say columns with values.
        """
        try:
            declared = yaml.safe_load(storage.read(url))
        except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
            raise SpecError(f"groups: {url} cannot be read: {' '.join(str(error).split())}") from None
        if not isinstance(declared, dict) or not declared:
            raise SpecError(f"groups: {url} must map columns to their values, such as gender: [female, male]")
        spellings = {str(column): _spellings(url, str(column), found) for column, found in declared.items()}
        values = {column: tuple(dict.fromkeys(known.values())) for column, known in spellings.items()}
        return cls(values, spellings)

    def check(self, columns: Sequence[str]) -> None:
        """Refuse a declared column that is not there.

        Raises:
            SpecError: naming it, and the nearest.
        """
        for name in self.values:
            if name not in columns:
                raise SpecError(f"groups: no column {name!r}{nearest(name, list(columns))}")

    def schema(self, columns: pa.Schema) -> pa.Schema:
        """The columns, with groups as text.

        Raises:
            SpecError: if a declared column is not there.
        """
        self.check(columns.names)
        for name in self.values:
            if pa.types.is_nested(columns.field(name).type):
                raise SpecError(f"groups: column {name} is {columns.field(name).type}, not single values")
        return pa.schema([pa.field(f.name, pa.string()) if f.name in self.values else f for f in columns])

    def apply(self, entries: pa.Table) -> pa.Table:
        """The entries with every group spelt as declared; an empty one stays empty.

        Raises:
            JobFailed: if a value was not declared.
        """
        for name, allowed in self.values.items():
            column = entries[name].cast(pa.string())
            known = self.spellings.get(name, {value: value for value in allowed})
            meant = _meant(name, pc.unique(column).to_pylist(), known, entries, column)
            spelt = pa.array(list(meant), pa.string())
            places = pc.index_in(column, value_set=spelt)
            values = pa.array(list(meant.values()), pa.string()).take(places.combine_chunks())
            entries = entries.set_column(entries.column_names.index(name), pa.field(name, pa.string()), values)
        return entries

    def spelt(self, column: str, values: Sequence[str]) -> dict[str, str]:
        """What each value of a column stands for; a column that was not declared keeps its values.

        Raises:
            JobFailed: if some were not declared, with a groups file that would take them.
        """
        if column not in self.values:
            return {}
        known = self.spellings.get(column, {value: value for value in self.values[column]})
        unknown = [value for value in values if value not in known]
        if unknown:
            raise _undeclared(column, unknown, known)
        return {value: known[value] for value in values}


def _meant(
    name: str, found: Sequence[str | None], known: Mapping[str, str], entries: pa.Table, column: pa.ChunkedArray
) -> dict[str, str]:
    """What each value that occurs stands for."""
    values = [value for value in found if value is not None]
    unknown = [value for value in values if value not in known]
    if unknown:
        first = entries["id"].filter(pc.equal(column, unknown[0]))[0].as_py()
        raise _undeclared(name, unknown, known, f", first at {first}")
    return {value: known[value] for value in values}


def _undeclared(name: str, unknown: Sequence[str], known: Mapping[str, str], where: str = "") -> JobFailed:
    """One line about the first, all of them below it, and a groups file that would take them."""
    likely = meant(unknown[0], list(known))
    line = (
        f"column {name} has the undeclared value {unknown[0]!r}{where}{f'; did you mean {likely}?' if likely else ''}"
    )
    others = [f"undeclared too: {', '.join(map(repr, unknown[1:20]))}"] if len(unknown) > 1 else []
    return JobFailed(line, [*others, *mapping_file(name, known, unknown[:20])])


def _spellings(url: str, column: str, declared: Any) -> dict[str, str]:
    """Every spelling, the value itself among them, to its value."""
    if isinstance(declared, list):
        declared = dict.fromkeys(declared)
    if not isinstance(declared, dict) or not declared:
        raise SpecError(f"groups: {column} in {url} must be a list of values, or map values to their spellings")
    found: dict[str, str] = {}
    for value, others in declared.items():
        for spelling in [value, *(others if isinstance(others, list) else [] if others is None else [others])]:
            text = _text(column, spelling)
            if found.setdefault(text, _text(column, value)) != _text(column, value):
                raise SpecError(f"groups: {column} spells both {found[text]} and {value} as {text!r}")
    return found


def _text(column: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise SpecError(f"groups: {column} has the value {value!r}, which is not text: put it in quotes")
    return str(value)
