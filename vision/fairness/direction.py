"""Which way a figure of an audit gets better: gates and trends need to know what a loss is."""

from __future__ import annotations

from vision.fairness.rates import RATES

PARTS = {"difference": False, "ratio": True}
"""What of a rate's gap between groups, and whether more of it is better; `worst` goes with its rate."""

_DOWN = ("reference", "per_capita", "duplicates", "leakage", "labels", "correlations", "flagged")
_UP = ("agreement", "kappa")
_WHOLE = {"share.entropy": True, "share.max_min": False}


def higher_is_better(metric: str) -> bool:
    """Whether more of a figure is an improvement.

    >>> higher_is_better("top1.difference.gender.race"), higher_is_better("top1.worst"), higher_is_better("fpr.worst")
    (False, True, False)

    Raises:
        ValueError: if neither end is the better one, or nothing is known of the name.
    """
    first, part = (*metric.split("."), "")[:2]
    whole = f"{first}.{part}"
    if whole in _WHOLE:
        return _WHOLE[whole]
    if first in _UP or first in _DOWN:
        return first in _UP
    if part in PARTS and (first in RATES or first == "equalized_odds"):
        return PARTS[part]
    known = RATES[first].higher_is_better if first in RATES and part in ("", "worst") else None
    if known is None:
        raise ValueError(
            f"metric {metric!r} has no better end that is known; gate a difference, a ratio or share.entropy"
        )
    return known
