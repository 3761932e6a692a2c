"""Random numbers that are a function of what they are for: the same on any machine, worker and version of a library.

A key is mixed from integers (seed, epoch, record), and a key gives any number of draws. Nothing is drawn in sequence,
so a record's draws do not depend on its neighbours, on the worker that has it, or on what was drawn before.

Reference: Steele, Lea & Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014 (SplitMix64).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_LOW = (1 << 64) - 1


def _scrambled(values: Array) -> Array:
    """SplitMix64's finaliser: (N,) uint64, each bit of which depends on every bit that came in."""
    values = values + _GOLDEN
    values = (values ^ (values >> np.uint64(30))) * _FIRST
    values = (values ^ (values >> np.uint64(27))) * _SECOND
    scrambled: Array = values ^ (values >> np.uint64(31))
    return scrambled


def mix(*parts: int | Array) -> Array:
    """(N,) uint64 keys from integers and arrays of (N,) integers; the order of the parts matters."""
    key = np.zeros(1, np.uint64)
    for part in parts:
        numbers = np.array([part & _LOW], np.uint64) if isinstance(part, int) else part.astype(np.uint64)
        key = _scrambled(key ^ numbers)
    return key


def key(*parts: int) -> int:
    """One key of integers, as a Python integer below 2**63: what generators take as a seed."""
    return int(mix(*parts)[0]) >> 1


def keys_of(ids: Sequence[str]) -> Array:
    """(N,) uint64: a key for each record's id."""
    digests = (hashlib.blake2b(text.encode(), digest_size=8).digest() for text in ids)
    return np.frombuffer(b"".join(digests), np.uint64)


def uniform(keys: Array, count: int) -> Array:
    """(N, count) float64 in 0 <= u < 1, drawn from (N,) keys."""
    drawn = [mix(keys, number) for number in range(count)]
    return np.stack([(one >> np.uint64(11)) * 2.0**-53 for one in drawn], axis=1)


def permutation(count: int, *parts: int) -> Array:
    """(count,) int64: 0 .. count-1 in the order that the key of `parts` draws. 10 ms for 100,000."""
    return np.argsort(mix(mix(*parts), np.arange(count, dtype=np.uint64)), kind="stable")
