"""How surprising a difference between pairs is, far out in the tail, where a normal curve is off by factors.

Control over nights and groups asks for probabilities of one in a million. There the score test, made for one in
twenty, promises too much: with a margin of 5 points and 1,000 images its one in a million is six. The saddlepoint has
a relative error of a few per cent however far out, for counts of any size.
"""

from __future__ import annotations

import math

_CENTRAL = 1e-4  # standard deviations from the mean within which the formula is 0 / 0


def normal_tail(deviations: float) -> float:
    """P(Z >= deviations) of a standard normal, to a relative precision of a double far out too; nan for nan."""
    return 0.5 * math.erfc(deviations / math.sqrt(2))


def deviation_tail(distance: float, error: float, *, below: bool, freedom: float = math.inf) -> float:
    """P of an estimate this far below (or above) a true value, by its standard error.

    Args:
        distance: estimate minus true value.
        error: standard error of the estimate; where it is 0 the estimate is taken for the truth.
        freedom: degrees of freedom of the error; infinite is a normal curve.
    """
    if math.isnan(distance) or math.isnan(error):
        return math.nan
    above = -distance if below else distance
    if error == 0:
        return 1.0 if above <= 0 else 0.0
    if math.isinf(freedom):
        return normal_tail(above / error)
    from scipy.special import stdtr

    return float(stdtr(freedom, -above / error))


def lost_tail(lost: float, gained: float, n: float, margin: float) -> float:
    """P of losing at least `lost - gained` more images than are gained, if `margin` of all are lost on average.

    How many images change at all is taken as is likeliest under that hypothesis (Tango's estimate), and the sum of n
    draws from {lost, gained, as before} by the saddlepoint of Lugannani and Rice with the second continuity
    correction. At margin 0 and above it is never below McNemar's exact conditional p. Enumerated for 50 to 2,000
    images, margins of 0 to 5 points and levels from 0.02 to 10**-6, a p at or below the level never comes more often
    than it says.

    Args:
        lost, gained: images only the baseline, only the candidate got right; fractions are allowed, for planning.
        n: all images.
        margin: in -1..1; below 0 it is gained.

    Returns:
        0..1; nan without images.

    Reference: Tango 1998 for the estimate; Butler, "Saddlepoint Approximations with Applications", 2007, section 1.2.
    """
    if n == 0:
        return math.nan
    surplus = lost - gained
    found = _saddlepoint(surplus, *_likeliest(lost, gained, n, margin), n)
    return max(_conditional(lost, gained), found) if margin >= 0 else found


def _likeliest(lost: float, gained: float, n: float, margin: float) -> tuple[float, float]:
    """The likeliest shares of lost and gained images, given that they differ by `margin`."""
    linear = -(2 * n - gained + lost) * margin - gained - lost
    root = math.sqrt(max(0.0, linear * linear - 8 * n * lost * margin * (1 + margin)))
    share = min(max(margin, 0.0, (root - linear) / (4 * n)), 1.0, (1 + margin) / 2)
    return share, share - margin


def _conditional(lost: float, gained: float) -> float:
    """P(X >= lost) of a binomial with `lost + gained` trials and 1/2."""
    from scipy.special import betainc

    return float(betainc(lost, gained + 1, 0.5)) if lost > 0 else 1.0


def _saddlepoint(surplus: float, up: float, down: float, n: float) -> float:
    """P(S >= surplus) of the sum S of n draws: +1 with chance `up`, -1 with `down`, else 0."""
    at = surplus - 0.5
    if at <= -n or up <= 0:
        return 1.0 if at < 0 else 0.0
    if at >= n:
        return 0.0
    same = 1 - up - down
    mean, variance = n * (up - down), n * (up + down - (up - down) ** 2)
    if variance <= 0 or (down <= 0 and at <= 0):
        return 1.0 if at < mean else 0.0
    if abs(at - mean) <= _CENTRAL * math.sqrt(variance):
        return normal_tail((at - mean) / math.sqrt(variance))
    # The tilt at which the mean is `at`: a root of (n - at) up u^2 - at same u - (n + at) down = 0.
    half = at * same
    tilt = (half + math.sqrt(half * half + 4 * (n * n - at * at) * up * down)) / (2 * (n - at) * up)
    s, total = math.log(tilt), same + up * tilt + down / tilt
    gain = (up * tilt - down / tilt) / total
    spread = n * ((up * tilt + down / tilt) / total - gain * gain)
    w = math.copysign(math.sqrt(max(0.0, 2 * (s * at - n * math.log(total)))), s)
    v = 2 * math.sinh(s / 2) * math.sqrt(spread)
    density = math.exp(-w * w / 2) / math.sqrt(2 * math.pi)
    return min(1.0, max(0.0, normal_tail(w) + density * (1 / v - 1 / w)))


def sign_p(first: int, second: int) -> float:
    """Exact two-sided p of the sign test: that of `first + second` rounds each is as likely to go either way.

    Reference: Arbuthnott, "An argument for divine providence", Philosophical Transactions 1710.
    """
    fewer, apart = min(first, second), first + second
    if 2 * fewer == apart:
        return 1.0
    from scipy.special import betainc  # P(X <= k) of Binomial(m, 1/2); holds for counts of a billion

    return min(1.0, 2 * float(betainc(apart - fewer, fewer + 1, 0.5)))
