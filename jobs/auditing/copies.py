"""What is kept of pictures to find copies among them: 16 bytes of each, and a closer look at those that may be one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from jobs.auditing.pixels import Part, Picture
from vision import perceptual
from vision.accumulator import Array

ROW_BITS = 32
"""Of a key, for the row; the others say which shard."""


def _empty(*shape: int, kind: type = np.int64) -> Array:
    return np.empty((0, *shape), kind)


@dataclass(frozen=True, eq=False)
class Words:
    """Where each picture is (shard and row in 64 bits, in order) and its word; `broken` have none."""

    keys: Array = field(default_factory=_empty)
    words: Array = field(default_factory=lambda: _empty(kind=np.uint64))
    broken: int = 0
    least: int | None = perceptual.LEAST

    def update(self, part: Part) -> Self:
        keys, pictures = _good(part)
        found = perceptual.words([one.image for one in pictures])
        return self.merge(type(self)(keys, found, len(part.pictures) - len(pictures)))

    def merge(self, other: Self) -> Self:
        keys = np.concatenate([self.keys, other.keys])
        order = np.argsort(keys, kind="stable")
        words = np.concatenate([self.words, other.words])
        return type(self)(keys[order], words[order], self.broken + other.broken)


@dataclass(frozen=True, eq=False)
class Looks:
    """A closer look at some pictures, in the order of their keys: ids, words and digests of all pixels, colours."""

    keys: Array = field(default_factory=_empty)
    ids: Array = field(default_factory=lambda: _empty(kind=object))
    words: Array = field(default_factory=lambda: _empty(kind=np.uint64))
    digests: Array = field(default_factory=lambda: _empty(2, kind=np.uint64))
    colours: Array = field(default_factory=lambda: _empty(perceptual.SIDE, perceptual.SIDE, 3, kind=np.uint8))
    least: int | None = None

    def update(self, part: Part) -> Self:
        keys, pictures = _good(part)
        if not pictures:
            return self
        images = [one.image for one in pictures]
        ids = dict(zip(_keys(part).tolist(), part.rows["id"].to_pylist(), strict=True))
        digests = b"".join(perceptual.digest(one) for one in images)
        return self.merge(
            type(self)(
                keys,
                np.array([ids[key] for key in keys.tolist()], object),
                perceptual.words(images),
                np.frombuffer(digests, np.uint64).reshape(-1, 2),
                np.stack([perceptual.colours(one) for one in images]),
            )
        )

    def merge(self, other: Self) -> Self:
        order = np.argsort(np.concatenate([self.keys, other.keys]), kind="stable")
        names = ("keys", "ids", "words", "digests", "colours")
        both = {name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in names}
        parts: dict[str, Any] = {name: values[order] for name, values in both.items()}
        return replace(self, **parts)


def _keys(part: Part) -> Array:
    found: Array = (part.shard << ROW_BITS) + part.numbers
    return found


def _good(part: Part) -> tuple[Array, list[Picture]]:
    """The keys of the pictures that could be decoded, and these."""
    good = [place for place, one in enumerate(part.pictures) if isinstance(one, Picture)]
    pictures = [one for one in part.pictures if isinstance(one, Picture)]
    return _keys(part)[good], pictures
