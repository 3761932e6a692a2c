"""Columns as a corpus has them: labels out of numbers or names, and names that do not clash with the contract's."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vision.corpus import CONTRACT_COLUMNS

MOST_CLASSES = 100_000
PLACE = ("latitude", "longitude")


@dataclass(frozen=True)
class Labels:
    """How a column becomes `label`: numbers as they are (no classes), names as places in their sorted list."""

    column: str
    classes: tuple[str, ...] | None
    named: bool

    def encode(self, values: pa.Array) -> pa.Array:
        """int32 labels, null where there is none.

        Raises:
            ValueError: if a number is a fraction or outside the classes.
        """
        if self.named:
            return pc.index_in(_as_text(values), value_set=pa.array(self.classes, pa.string())).cast(pa.int32())
        try:
            labels = values.cast(pa.int32())
        except pa.ArrowInvalid:
            raise ValueError(f"label column {self.column} holds numbers that are no labels (whole, 32 bits)") from None
        top = pc.max(labels).as_py()
        if self.classes is not None and top is not None and top >= len(self.classes):
            raise ValueError(f"label column {self.column} holds {top}, and there are {len(self.classes)} classes")
        return labels


def labels_of(column: str, kind: pa.DataType, chunks: Iterable[pa.Array], names: Sequence[str] | None) -> Labels:
    """How to read a label column.

    Args:
        kind: its type.
        chunks: all its values; looked at only if they are names.
        names: the names of numbered labels, where the file says them.

    Raises:
        ValueError: if it can hold no labels, or has more than `MOST_CLASSES` different names.
    """
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind):
        return Labels(column, tuple(names) if names else None, False)
    if not (is_text(kind) or pa.types.is_boolean(kind)):
        raise ValueError(f"label column {column} is {kind}: labels are whole numbers or names")
    found: set[str] = set()
    for chunk in chunks:
        found.update(value for value in pc.unique(_as_text(chunk)).to_pylist() if value is not None)
        if len(found) > MOST_CLASSES:
            raise ValueError(f"label column {column} has more than {MOST_CLASSES:,} different names: no classes")
    return Labels(column, tuple(sorted(found)), True)


def is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _as_text(values: pa.Array) -> pa.Array:
    return values.cast(pa.string())


def plain(kind: pa.DataType) -> pa.DataType:
    """The type in which a column is kept: dictionaries by their values, one type of text, nothing known as text."""
    if pa.types.is_dictionary(kind):
        return plain(kind.value_type)
    if is_text(kind) or pa.types.is_null(kind):
        return pa.string()
    return kind


def class_names(schema: pa.Schema, column: str) -> list[str] | None:
    """The names of numbered labels that a Parquet file of Hugging Face's `datasets` carries in its metadata."""
    text = (schema.metadata or {}).get(b"huggingface")
    try:
        feature: Any = json.loads(text)["info"]["features"][column] if text else {}
    except (ValueError, KeyError, TypeError):
        return None
    found = feature.get("names") if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" else None
    return [str(name) for name in found] if found else None


def kept_names(
    schema: pa.Schema, used: Sequence[str], meant: Mapping[str, str] | None = None
) -> tuple[dict[str, str], list[str]]:
    """What the columns that are not `used` are called in a corpus, and notes on those that were renamed.

    A name of the contract becomes `source_<name>`; latitude and longitude are taken as such if both are numbers.
    Columns in `meant` get the names that it says, and are kept even where they are used.

    Raises:
        ValueError: if a name is there twice, before or after that.
    """
    place = all(name in schema.names and is_number(schema.field(name).type) for name in PLACE)
    named, taken = meant or {}, set((meant or {}).values())
    kept, notes = dict(named), []
    for name in schema.names:
        if name in used or name in named or name.startswith("__index_level_"):
            continue
        clashes = name in taken or (name in CONTRACT_COLUMNS and not (place and name in PLACE))
        kept[name] = f"source_{name}" if clashes else name
        if clashes:
            notes.append(f"column {name} is kept as source_{name}, because {name} has a meaning of its own")
    doubled = sorted({name for name in kept.values() if list(kept.values()).count(name) > 1})
    if doubled:
        raise ValueError(f"two columns would be called {doubled[0]}: rename one")
    return kept, notes


def is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def place(name: str, values: pa.Array) -> pa.Array:
    """Latitudes or longitudes as float64 degrees.

    Raises:
        ValueError: if one is out of range.
    """
    degrees = values.cast(pa.float64())
    limit = 90.0 if name == "latitude" else 180.0
    numbers = np.asarray(degrees.fill_null(0.0))
    wrong = numbers[np.abs(numbers) > limit]
    if len(wrong):
        raise ValueError(f"{name} {wrong[0]} is outside -{limit:g}..{limit:g} degrees")
    return degrees
