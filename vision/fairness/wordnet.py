"""WordNet as it is found: its own `data.noun`, a list of pairs as ImageNet publishes it, or a table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vision.fairness.taxonomy import Taxonomy, synset

_UP = ("@", "@i")  # is a kind of, is an instance of
_IDS = ("wnid", "synset", "id")
_PARENTS = ("direct_hypernyms", "hypernyms", "parents", "parent")
_NAMES = ("lemma", "name", "words")


def from_data(lines: Iterable[str]) -> Taxonomy:
    """From the lines of `data.noun` (or another part of speech) of WordNet's dictionary.

    Raises:
        ValueError: if a line is no line of such a file.

    Reference: the manual page wndb(5WN) of WordNet 3.0.
    """
    parents: dict[str, tuple[str, ...]] = {}
    names: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if line.startswith("  ") or not line.strip():  # the licence
            continue
        try:
            one, above, word = _entry(line.split(" | ")[0].split())
        except (ValueError, IndexError):
            raise ValueError(f"line {number} is no line of WordNet's data files: {line[:40]!r}") from None
        parents[one], names[one] = above, word
    return Taxonomy(parents, names)


def _entry(fields: Sequence[str]) -> tuple[str, tuple[str, ...], str]:
    """offset, file, kind, words in hexadecimal, (word, id)..., pointers, (symbol, offset, kind, place)..."""
    kind = fields[2]
    start = 4 + 2 * int(fields[3], 16)
    pointers = [fields[start + 1 + 4 * place :][:4] for place in range(int(fields[start]))]
    above = tuple(synset(pointer[2] + pointer[1]) for pointer in pointers if pointer[0] in _UP)
    return synset(kind + fields[0]), above, fields[4]


def from_pairs(lines: Iterable[str]) -> Taxonomy:
    """From lines of a parent and its child, as `wordnet.is_a.txt` has them.

    Raises:
        ValueError: if a line is no pair of ids.
    """
    parents: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(lines, 1):
        pair = line.split()
        if not pair:
            continue
        if len(pair) != 2:
            raise ValueError(f"line {number} is no pair of a synset and one below it: {line[:40]!r}")
        above, one = (synset(text) for text in pair)
        parents.setdefault(above, ())
        parents[one] = (*parents.get(one, ()), above)
    return Taxonomy(parents)


def from_rows(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> Taxonomy:
    """From a table with a column of ids and one of the ids directly above, apart by `;`, `|`, `,` or blanks.

    Raises:
        ValueError: if there are no such columns, or one holds something else.
    """
    ids, above = column(columns, _IDS), column(columns, _PARENTS)
    word = next((name for name in _NAMES if name in columns), None)
    parents: dict[str, tuple[str, ...]] = {}
    names: dict[str, str] = {}
    for row in rows:
        one = synset(row[ids])
        parents[one] = tuple(synset(text) for text in re.split(r"[;|,\s]+", str(row[above] or "")) if text)
        if word is not None and row[word] is not None:
            names[one] = str(row[word])
    return Taxonomy(parents, names)


def ids(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> list[str]:
    """The ids of a table's column of them; the only column, or one called wnid, synset or id.

    Raises:
        ValueError: if there is no such column, or it holds something else.
    """
    name = columns[0] if len(columns) == 1 else column(columns, _IDS)
    return [synset(row[name]) for row in rows]


def column(columns: Sequence[str], wanted: Sequence[str]) -> str:
    """The first of some names that a table has.

    Raises:
        ValueError: naming what it has.
    """
    for name in wanted:
        if name in columns:
            return name
    raise ValueError(f"a column {', '.join(wanted[:-1])} or {wanted[-1]} is needed, it has {', '.join(columns)}")
