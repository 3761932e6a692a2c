"""Uncertainty from what states keep: counts and sums, never rows.

Rates have score intervals, differences of rates the square-and-add of Newcombe or the paired score interval of
Tango, means the t interval, and whatever else counts determine a bootstrap that redraws the counts. Nothing here
depends on the number of rows or on their order, and where nothing was seen both limits are nan. The quantiles of
the t distribution load SciPy when first asked for, so that a command's help does not wait for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from hashlib import blake2b
from statistics import NormalDist

import numpy as np

from vision.accumulator import Array, Estimate, ratio

NOTHING = (math.nan, math.nan)
SEED = 20_240_607
"""Of every bootstrap: equal counts have equal limits, in any process."""
_HEAVY = 16  # rows in a cell from which one binomial costs less than drawing its rows
_CHUNK = 2**22  # counts held at once


def z(confidence: float = 0.95) -> float:
    """The two-sided normal quantile: 1.96 for 0.95.

    Raises:
        ValueError: if `confidence` is not between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, got {confidence}")
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def wilson(hits: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Score interval of a rate; keeps inside 0..1 and has a width at 0 and at n hits.

    Args:
        hits, n: 0 <= hits <= n; fractions are allowed, for planning.

    Raises:
        ValueError: if there are more hits than trials, or fewer than none.

    Reference: Wilson, "Probable inference, the law of succession, and statistical inference", JASA 1927.
    """
    if not 0 <= hits <= n:
        raise ValueError(f"hits must be in 0..n, got {hits} of {n}")
    if n == 0:
        return NOTHING
    squared = z(confidence) ** 2
    centre = (hits + squared / 2) / (n + squared)
    half = math.sqrt(squared * (hits * (n - hits) / n + squared / 4)) / (n + squared)
    low = 0.0 if hits == 0 else max(0.0, centre - half)
    return low, (1.0 if hits == n else min(1.0, centre + half))


def rate(hits: int, n: int, confidence: float = 0.95) -> Estimate:
    """A share with its Wilson interval."""
    return Estimate(ratio(hits, n), *wilson(hits, n, confidence), n)


def square_and_add(value: Estimate, baseline: Estimate) -> tuple[float, float]:
    """Interval of `value - baseline` for independent estimates, from the intervals of the two.

    Reference: Zou & Donner, "Construction of confidence limits about effect measures", Statistics in Medicine 2008.
    """
    difference = value.value - baseline.value
    low = difference - math.hypot(value.value - value.low, baseline.high - baseline.value)
    return low, difference + math.hypot(value.high - value.value, baseline.value - baseline.low)


def newcombe(
    hits: float, n: float, baseline_hits: float, baseline_n: float, confidence: float = 0.95
) -> tuple[float, float]:
    """Interval of `hits / n - baseline_hits / baseline_n` where the two rates are independent.

    Reference: Newcombe, "Interval estimation for the difference between independent proportions", 1998, method 10.
    """
    if n == 0 or baseline_n == 0:
        return NOTHING
    value = Estimate(hits / n, *wilson(hits, n, confidence), 0)
    return square_and_add(
        value, Estimate(baseline_hits / baseline_n, *wilson(baseline_hits, baseline_n, confidence), 0)
    )


def newcombe_paired(
    both: float, only_first: float, only_second: float, neither: float, confidence: float = 0.95
) -> tuple[float, float]:
    """Interval of the first rate minus the second, both measured on the same rows.

    Reference: Newcombe, "Improved confidence intervals for the difference between binomial proportions based on
    paired data", Statistics in Medicine 1998, method 10 (square-and-add, correlation corrected for continuity).
    """
    n = both + only_first + only_second + neither
    if n == 0:
        return NOTHING
    first, second = both + only_first, both + only_second
    low_1, high_1 = wilson(first, n, confidence)
    low_2, high_2 = wilson(second, n, confidence)
    together = both * neither - only_first * only_second
    together = max(together - n / 2, 0.0) if together > 0 else together
    spread = math.sqrt(first * (n - first) * second * (n - second))
    phi = together / spread if spread else 0.0

    def reach(a: float, b: float) -> float:
        return math.sqrt(max(0.0, a * a - 2 * phi * a * b + b * b))

    first, second = first / n, second / n
    difference = first - second
    return (
        difference - reach(first - low_1, high_2 - second),
        difference + reach(high_1 - first, second - low_2),
    )


def tango(only_first: float, only_second: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Score interval of `(only_first - only_second) / n`, the difference of two rates on the same n rows.

    The limits are the differences that the score test just does not reject. It keeps its coverage where pairs
    hardly ever disagree: without any disagreement it is +-z^2 / (n + z^2), while Wald's has no width there.

    Reference: Tango, "Equivalence test and confidence interval for the difference in proportions for the
    paired-sample design", Statistics in Medicine 1998.
    """
    if n == 0:
        return NOTHING
    if min(only_first, only_second) < 0 or only_first + only_second > n:
        raise ValueError(f"pairs that disagree must be within 0..n, got {only_first} and {only_second} of {n}")
    limit, value = z(confidence), (only_first - only_second) / n

    def rejected(delta: float) -> bool:
        linear = (2 * n - only_first + only_second) * delta - only_first - only_second
        root = math.sqrt(linear * linear + 8 * n * only_second * delta * (1 - delta))
        second = (root - linear) / (4 * n)  # the likeliest share of `only_second`, given the difference
        spread = n * (2 * second + delta * (1 - delta))
        return (only_first - only_second - n * delta) ** 2 > limit * limit * max(spread, 0.0)

    return _boundary(rejected, value, -1.0), _boundary(rejected, value, 1.0)


def _boundary(rejected: Callable[[float], bool], inside: float, outside: float) -> float:
    """Where acceptance ends between a value that is accepted and the end of the scale, by halving."""
    if not rejected(outside):
        return outside
    for _ in range(60):
        middle = (inside + outside) / 2
        inside, outside = (inside, middle) if rejected(middle) else (middle, outside)
    return (inside + outside) / 2


def mean_from_sums(n: float, total: float, squares: float, confidence: float = 0.95) -> tuple[float, float]:
    """The t interval of a mean from the sum of the values and the sum of their squares.

    One value has no spread and two limits of nan. With t rather than a normal quantile 20 values are
    already honest; from a thousand on it makes no difference.
    """
    if n < 2:
        return NOTHING
    from scipy.special import stdtrit

    mean = total / n
    variance = max(0.0, squares - total * mean) / (n - 1)
    half = float(stdtrit(n - 1, 0.5 + confidence / 2)) * math.sqrt(variance / n)
    return mean - half, mean + half


def multinomial_bootstrap(
    counts: Array,
    statistic: Callable[[Array], Array],
    draws: int = 1000,
    seed: int = SEED,
    confidence: float = 0.95,
) -> tuple[Array, Array]:
    """Interval of anything that counts determine, by drawing the counts again.

    Noise pushes some numbers to one side (macro F1 of few images a class down, a calibration error up), the estimate
    once and its redraws twice. So the percentiles of the redraws are shifted by twice their bias, and reach at least
    to the estimate. Simulated with 5 images of each of 1,000 classes, this holds the true macro F1 in 93 of 100
    samples and plain percentiles in none; where there is no bias they are the plain percentiles.

    Give only the cells that occur: a confusion matrix of 1,000 classes over 50,000 rows has 10,000 of them, which
    takes 1,000 draws to 0.3 s. A cell that was empty stays empty in every draw anyway.

    Args:
        counts: (K,) int64.
        statistic: from (B, K) counts to (B,) or (B, M) numbers, a draw a row.
        seed: fixed, so that equal counts have equal limits.

    Returns:
        low and high, shaped () or (M,); nan where nothing was counted. They may lie outside the range of the numbers.

    Reference: Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
    """
    counts = np.asarray(counts, np.int64)
    value: Array = statistic(counts[None])[0]
    if counts.sum() == 0:
        return np.full(value.shape, np.nan), np.full(value.shape, np.nan)
    values = np.concatenate([statistic(drawn) for drawn in redraw(counts, draws, seed)])
    low, high = np.quantile(values, [0.5 - confidence / 2, 0.5 + confidence / 2], axis=0)
    shift = 2 * (values.mean(axis=0) - value)
    return np.minimum(value, low - shift), np.maximum(value, high - shift)


def redraw(counts: Array, draws: int, seed: int = SEED) -> Iterator[Array]:
    """Multinomial draws of `counts` (K,), as (B, K) int64 pieces that add up to `draws` rows.

    A cell of few rows is cheaper to draw row by row, a big one as one binomial; the split is exact.
    """
    generator = np.random.Generator(np.random.SFC64(seed))
    total, heavy = int(counts.sum()), counts >= _HEAVY
    light = int(counts[~heavy].sum())
    owner = np.repeat(np.flatnonzero(~heavy), counts[~heavy])  # (light,) the cell of each row of the small cells
    shares = np.append(counts[heavy], light) / total
    step = max(1, _CHUNK // (len(counts) + light))
    for start in range(0, draws, step):
        rows = min(step, draws - start)
        large = generator.multinomial(total, shares, size=rows)  # (B, heavy + 1)
        drawn = np.zeros((rows, len(counts)), np.int64)
        drawn[:, heavy] = large[:, :-1]
        _scatter(drawn, owner, large[:, -1], generator)
        yield drawn


def _scatter(drawn: Array, owner: Array, sizes: Array, generator: np.random.Generator) -> None:
    """Draw `sizes[b]` of the rows in `owner`, with replacement, and count them by cell into `drawn[b]`."""
    if not len(owner):
        return
    cells = owner[generator.integers(0, len(owner), int(sizes.sum()))]
    cells += np.repeat(np.arange(len(drawn)) * drawn.shape[1], sizes)
    drawn += np.bincount(cells, minlength=drawn.size).reshape(drawn.shape)


_POISSON_CDF = np.cumsum([math.exp(-1) / math.factorial(k) for k in range(18)])


def poisson_weights(ids: Array, draws: int) -> Array:
    """How often each row counts in each of `draws` bootstrap samples: Poisson(1) numbers hashed from its id.

    The weight of an id is the same in every process and every batch, so sums over shards merge, the rows of one
    person (give the person as id) rise and fall together, and two models are resampled alike.

    Args:
        ids: (N,) of anything that prints as itself, strings as a rule.

    Returns:
        (N, draws) uint8.

    Reference: Chamandy et al., "Estimating uncertainty for massive data streams", Google 2012.
    """
    digests = b"".join(blake2b(str(name).encode(), digest_size=8).digest() for name in ids)
    keys = np.frombuffer(digests, "<u8").astype(np.uint64)
    steps = np.arange(1, draws + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = keys[:, None] + steps  # (N, draws), a splitmix64 stream for each id; wraps on purpose
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    uniform = ((mixed ^ (mixed >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53
    counts: Array = np.searchsorted(_POISSON_CDF, uniform, side="right").astype(np.uint8)
    return counts
