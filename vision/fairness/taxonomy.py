"""What a label set is made of: classes as synsets below others, counted once for each subtree that holds them.

A synset may have several parents, so what lies above it is a set and not a path: ILSVRC-2012 has 38 classes with two
ways up, and whoever sums over paths counts them twice. Shares of different subtrees overlap and do not add up to 1.

References: Miller, "WordNet: a lexical database for English", CACM 1995; Yang et al., "Towards fairer datasets:
filtering and balancing the distribution of the people subtree in the ImageNet hierarchy", FAT* 2020.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from vision.accumulator import Estimate
from vision.intervals import rate

SYNSET = re.compile(r"[nvars]\d{8}")
"""A synset's id: its part of speech and its place in WordNet's file, such as n02084071."""


def synset(text: object) -> str:
    """An id as such.

    Raises:
        ValueError: if it is a word, or anything else.
    """
    found = str(text).strip()
    if not SYNSET.fullmatch(found):
        raise ValueError(f"{found!r} is no synset id, such as n02084071")
    return found


@dataclass(frozen=True)
class Taxonomy:
    """Which synsets are directly above which; a synset without parents is a root."""

    parents: Mapping[str, tuple[str, ...]]
    names: Mapping[str, str] = field(default_factory=dict)

    def __contains__(self, one: str) -> bool:
        return one in self.parents

    @cached_property
    def _above(self) -> dict[str, frozenset[str]]:
        return {}

    def above(self, one: str) -> frozenset[str]:
        """A synset and all that it lies below, each once; of an unknown one, itself alone.

        Raises:
            ValueError: if the way up leads round in a circle.
        """
        known, open_ = self._above, [one]
        path: set[str] = set()
        while open_:
            now = open_[-1]
            missing = [parent for parent in self.parents.get(now, ()) if parent not in known]
            if now in known or not missing:
                if now not in known:
                    known[now] = frozenset({now}).union(*(known[parent] for parent in self.parents.get(now, ())))
                open_.pop()
                path.discard(now)
                continue
            path.add(now)
            if path.intersection(missing):
                raise ValueError(f"taxonomy: {now} lies below itself")
            open_ += missing
        return known[one]


@dataclass(frozen=True)
class Subtree:
    """All that lies below a synset, itself too: how many classes, and their share of the images."""

    synset: str
    classes: int
    images: int
    share: Estimate


def subtrees(taxonomy: Taxonomy, images: Mapping[str, int]) -> list[Subtree]:
    """Every subtree with a class in it, the largest first.

    Args:
        images: how many each class has, by its synset.
    """
    total = sum(images.values())
    counts: dict[str, list[int]] = {}
    for one, count in images.items():
        for above in taxonomy.above(one):
            sums = counts.setdefault(above, [0, 0])
            sums[0], sums[1] = sums[0] + 1, sums[1] + count
    found = [Subtree(name, classes, count, rate(count, total)) for name, (classes, count) in counts.items()]
    return sorted(found, key=lambda one: (-one.images, -one.classes, one.synset))


@dataclass(frozen=True)
class Flagged:
    """What flagged synsets touch.

    Attributes:
        by_synset: a row for each flagged synset that holds a class: (synset, classes, images).
        classes, images: those that are flagged themselves or lie below one that is, each once.
        elsewhere: flagged synsets that hold no class.
    """

    by_synset: Sequence[tuple[str, int, int]]
    classes: Sequence[str]
    images: int
    elsewhere: int


def flagged(flags: Iterable[str], images: Mapping[str, int], taxonomy: Taxonomy | None = None) -> Flagged:
    """Classes and images that flagged synsets affect; without a taxonomy, only classes that are flagged themselves."""
    wanted = set(flags)
    held = {one: (taxonomy.above(one) if taxonomy else frozenset({one})) & wanted for one in images}
    rows = []
    for flag in sorted(wanted):
        mine = [one for one, found in held.items() if flag in found]
        if mine:
            rows.append((flag, len(mine), sum(images[one] for one in mine)))
    touched = sorted(one for one, found in held.items() if found)
    return Flagged(
        sorted(rows, key=lambda row: (-row[2], row[0])), touched, sum(images[one] for one in touched),
        len(wanted) - len(rows),
    )  # fmt: skip
