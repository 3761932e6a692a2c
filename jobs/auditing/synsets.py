"""What the labels of a data set are: shares of WordNet's subtrees, and what flagged synsets touch.

WordNet is the user's (`--taxonomy`): a directory with `data.noun`, that file, ImageNet's list of pairs, or a table.
Nothing is downloaded. Flags are ids; their words are not printed.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from jobs import storage, tables
from jobs.auditing import reporting
from jobs.auditing.checked import Checked, cut
from jobs.auditing.fields import Labelled
from jobs.spec import SpecError
from vision.corpora.imagenet import imagenet_classes, imagenet_wnids
from vision.fairness import wordnet
from vision.fairness.counts import Cube
from vision.fairness.taxonomy import SYNSET, Taxonomy, flagged, subtrees, synset
from vision.grouping import MISSING
from vision.intervals import rate

_DATA = ("data.noun", "dict/data.noun")


def described(job: Labelled, cube: Cube, classes: Sequence[str] | None) -> Checked:
    """Metrics, tables and sentences about labels.

    Raises:
        SpecError: if a file is not what it should be, or the labels are no synsets.
    """
    name = job.label_column
    if name is None:
        return Checked()
    images = _images(cube, name, None if job.synsets else _synsets(classes))
    taxonomy = None if job.taxonomy is None else read_taxonomy(job.taxonomy)
    flags = None if job.flag is None else read_flags(job.flag)
    found = [] if taxonomy is None else [_subtrees(taxonomy, images, set(flags or ()))]
    found += [] if flags is None else [_flagged(flags, images, taxonomy)]
    return Checked(
        {metric: value for one in found for metric, value in one.metrics.items()},
        {table: value for one in found for table, value in one.tables.items()},
        tuple(note for one in found for note in one.notes),
    )


def _images(cube: Cube, name: str, named: Sequence[str] | None) -> dict[str, int]:
    """Rows by synset; classes without rows count too, where it is known which there are."""
    part = cube.over([name])
    images = dict.fromkeys(named or (), 0)
    for level, count in zip(part.levels[0], _totals(part), strict=True):
        if level == MISSING:
            continue
        try:
            one = synset(level) if named is None else named[int(level)]
        except ValueError as error:
            raise SpecError(f"synsets: {error}") from None
        images[one] = images.get(one, 0) + count
    return images


def _totals(part: Cube) -> list[int]:
    totals = [0] * len(part.levels[0])
    for code, count in zip(part.codes()[0].tolist(), part.counts.counts.tolist(), strict=True):
        totals[code] += count
    return totals


def _synsets(classes: Sequence[str] | None) -> Sequence[str]:
    """The synset of each class: its own name, or that of ILSVRC-2012's 1,000."""
    if classes and all(SYNSET.fullmatch(name) for name in classes):
        return classes
    if classes and tuple(classes) == imagenet_classes():
        return imagenet_wnids()
    raise SpecError("synsets: the classes of the corpus are no synset ids; name a column of ids with --synsets")


def _subtrees(taxonomy: Taxonomy, images: dict[str, int], flags: set[str]) -> Checked:
    lost = [one for one in images if one not in taxonomy]
    try:
        rows = [
            {
                "synset": one.synset,
                "name": "" if taxonomy.above(one.synset) & flags else taxonomy.names.get(one.synset, ""),
                "classes": one.classes, "images": one.images, **reporting.parts("share", one.share),
            }
            for one in subtrees(taxonomy, images)
            if one.synset in taxonomy
        ]  # fmt: skip
    except ValueError as error:
        raise SpecError(str(error)) from None
    listed, notes = cut(reporting.table(rows) or pa.table({"synset": []}), "subtrees")
    if lost:
        notes = (*notes, f"{len(lost):,} of {len(images):,} classes are not in the taxonomy: they are in no subtree")
    return Checked(tables={"subtrees": listed}, notes=notes)


def _flagged(flags: Sequence[str], images: dict[str, int], taxonomy: Taxonomy | None) -> Checked:
    found, total = flagged(flags, images, taxonomy), sum(images.values())
    metrics = {"flagged.classes": rate(len(found.classes), len(images)), "flagged.images": rate(found.images, total)}
    rows = [
        {"synset": one, "classes": classes, "images": count, **reporting.parts("share", rate(count, total))}
        for one, classes, count in found.by_synset
    ]
    below = "or lie below one that is" if taxonomy else "themselves; what lies below needs --taxonomy"
    touched = f"{len(found.classes):,} of {len(images):,} classes and {found.images:,} of {total:,} images"
    empty = f"{len(set(flags)):,} synsets were flagged, {found.elsewhere:,} of them hold no class"
    return Checked(metrics, {"flagged": reporting.table(rows)}, (f"{touched} are flagged, {below} ({empty})",))


def read_taxonomy(url: str) -> Taxonomy:
    """WordNet from wherever it is.

    Raises:
        SpecError: if it is not there, or not in a form that is known.
    """
    try:
        if storage.is_folder(url):
            places = [storage.join(url, name) for name in _DATA if storage.exists(storage.join(url, name))]
            if not places:
                raise ValueError(f"there is no {_DATA[0]} in it")
            return wordnet.from_data(_lines(places[0]))
        if tables.is_one(url):
            table = tables.read(url)
            return wordnet.from_rows(table.to_pylist(), table.column_names)
        lines = _lines(url)
        return wordnet.from_pairs(lines) if url.lower().endswith(".txt") else wordnet.from_data(lines)
    except SpecError:
        raise
    except ValueError as error:
        raise SpecError(f"taxonomy: {url}: {error}") from None


def read_flags(url: str) -> list[str]:
    """Flagged ids: a table's column of them, or a text with one a line.

    Raises:
        SpecError: if it is not there, or holds something else.
    """
    try:
        if tables.is_one(url):
            table = tables.read(url)
            found = wordnet.ids(table.to_pylist(), table.column_names)
        else:
            found = [synset(line) for line in _lines(url) if line.strip()]
    except SpecError:
        raise
    except ValueError as error:
        raise SpecError(f"flag: {url}: {error}") from None
    if not found:
        raise SpecError(f"flag: {url} holds no id")
    return found


def _lines(url: str) -> list[str]:
    try:
        return storage.read(url).decode("utf-8").splitlines()
    except FileNotFoundError:
        raise ValueError("there is no such file") from None
    except UnicodeDecodeError:
        raise ValueError("it is no text") from None
