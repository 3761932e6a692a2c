"""From words and small colours of pictures to sets of copies, in memory that follows pictures and never pairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from vision import hamming, perceptual
from vision.accumulator import Array
from vision.sets import smallest

_LOOKS = 4096  # pairs that are looked at again at once: 25 MB
_EDGES = 2**18


def suspicious(words: Array) -> Array:
    """Whether a word is near another, (N,) bool of (N,) uint64."""
    distinct, place, counts = np.unique(words, return_inverse=True, return_counts=True)
    near = counts > 1
    for first, second in hamming.pairs(distinct, perceptual.NEAR):
        near[first] = near[second] = True
    found: Array = near[place]
    return found


def sets(digests: Array, words: Array, colours: Array) -> Array:
    """Which pictures are one. Equal pixels are, and so are near words that look alike.

    Looking alike goes from one to the next: the ends of a long chain may differ by more.

    Args:
        digests: (N, 2) uint64, equal where all pixels are.
        words: (N,) uint64.
        colours: (N, 16, 16, 3) uint8.

    Returns:
        (N,) int64: a picture of each one's set, the same for all of a set; itself for one that has no copy.
    """
    _, first, place = np.unique(digests, axis=0, return_index=True, return_inverse=True)
    words, colours = words[first], colours[first]  # one of each
    roots, waiting = np.arange(len(first)), list[Array]()
    for pairs in _alike(words, colours, roots):
        waiting.append(pairs)
        if sum(map(len, waiting)) > _EDGES:
            roots[:], waiting = _joined(roots, waiting), []
    found: Array = first[_joined(roots, waiting)][place.reshape(-1)]
    return found


def _alike(words: Array, colours: Array, roots: Array) -> Iterator[Array]:
    """(M, 2) pairs that are near and look alike, but for those that `roots`, which grows meanwhile, has in one set."""
    for one, other in hamming.pairs(words, perceptual.NEAR):
        for start in range(0, len(one), _LOOKS):
            left, right = one[start : start + _LOOKS], other[start : start + _LOOKS]
            apart = roots[left] != roots[right]
            left, right = left[apart], right[apart]
            same = perceptual.alike(colours[left], colours[right])
            if same.any():
                yield np.stack([left[same], right[same]], axis=1)


def _joined(roots: Array, pairs: Sequence[Array]) -> Array:
    if not pairs:
        return roots
    found: Array = smallest(len(roots), roots[np.concatenate(pairs)])[roots]
    return found
