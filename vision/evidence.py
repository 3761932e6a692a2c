"""How much evidence a gate asks for, when many groups of many models are judged on many nights.

Two errors are possible, and each has a rate of its own; below, `a = (1 - confidence) / 2`, 0.025 for 95 %.

**A false alarm: "fail" where the loss is within the margin.** Night t may spend `a * share(t)`, with

    share(t) = 1 / (2.1097 (t + 1) ln^2(t + 1)),   t = 1, 2, ...   and all shares together 1

and among the night's findings (all models x gates x groups that have enough images) those fail which the step-up
procedure of Benjamini & Yekutieli takes at that level. Of what is reported as failing on night t, the expected share
that is false (the false discovery rate) is at most `a * share(t)`, however the findings depend on each other: groups
overlap, gates share images, candidates share a champion. Where nothing is worse than its margin every alarm is
false, so that rate is the chance of any alarm that night. Over nights the shares add up: the chance of ever raising
a false alarm on gates whose candidates are never worse is at most a, and in general the expected share of false ones
among all alarms raised so far is at most a (a night's false alarms are no larger a share of all than of its own). A sum
of chances needs no independence, and there is none: the same test images come every night, so that a champion lucky on
them is lucky every night. Asked at 0.05 every night, a year without effect would have meant 18 alarms; asked like this,
39 in 40 series have none, however long they run. What is assumed is that each p holds on its own night (see
vision/tails.py), and that what is asked does not depend on the answers.

Why not e-values? They too hold under any dependence (e-LOND, Xu & Ramdas 2024), and spend `a * share(t)` times one
more than the alarms so far. Before the first alarm that is this rule with 1/e in place of p, and 1/e is the larger: for
a likelihood ratio against the very difference that was seen, which nobody can know beforehand, 7 times at p = 0.01 and
12 times at 10**-6. After it their levels grow, which takes a memory of alarms that nobody has reviewed. This rule needs
the night's number only.

**A false pass: "pass" where the loss is the margin or more.** Passing takes the gate's whole interval on the good side,
so a finding that is worse passes with a chance of at most a, every night anew. A judgement passes only if all its
findings do, so it too is wrong with a chance of at most a, whatever their number: an intersection-union test (Berger
1982) needs no correction. Groups too small to be judged are no part of that claim.

**What nights cost.** Passing does not get harder at all: night 365 asks for what night 1 asked. Failing asks for
2.2 standard errors beyond the margin on night 1, 4.0 on night 30, 4.8 on night 365, 5.3 after ten years; what lies
between is undecided, not passed. With 10,000 images of which 7 % change, a standard error is 0.26 points: a loss of
1.2 points beyond the margin is found in 99 of 100 on night 1, one of 1.9 on night 365, one of 2.1 after ten years.
Shares of 6 / (pi^2 t^2) would ask for 5.2 and 6.0 standard errors then, and save 0.1 on night 1. A new champion
does not begin the count anew: with a promotion a night, each would have the whole rate to itself.

References: Foster & Stine, "Alpha-investing", JRSS B 2008, for spending over a sequence; Benjamini & Yekutieli, "The
control of the false discovery rate in multiple testing under dependency", Annals of Statistics 2001; Blanchard &
Roquain, "Two simple sufficient conditions for FDR control", 2008, for weights; Xu & Ramdas, "Online multiple testing
with e-values", AISTATS 2024; Berger, "Multiparameter hypothesis testing and acceptance sampling", Technometrics 1982.
"""

from __future__ import annotations

import math

import numpy as np

from vision.accumulator import Array

_TOTAL = 2.1097428012368919  # the sum of 1 / (n ln^2 n) over n = 2, 3, ...


def share(night: int) -> float:
    """The part of the error that night 1, 2, ... may spend; all nights together make 1.

    Raises:
        ValueError: if there is no such night.
    """
    if night < 1:
        raise ValueError(f"night must be 1 or more, got {night}")
    return 1 / (_TOTAL * (night + 1) * math.log(night + 1) ** 2)


def levels(p: Array, errors: Array, night: int = 1) -> Array:
    """The p at which each finding of a night counts as shown: those with `p <= levels(p, ...)` are discoveries.

    Args:
        p: (m,) one-sided p of all findings of the night; nan counts as 1.
        errors: (m,) the error that each finding's gate may make over all nights. Where they differ they are weights,
            and the rate held is their mean.

    Returns:
        (m,) levels. One that is not a discovery would have become one at its level, the others being as they are.

    Raises:
        ValueError: if the two differ in length, or errors are not between 0 and 1.
    """
    p, errors = np.asarray(p, np.float64), np.asarray(errors, np.float64)
    if p.shape != errors.shape or p.ndim != 1:
        raise ValueError(f"p and errors must both be (m,), got {p.shape} and {errors.shape}")
    if not ((errors > 0) & (errors < 1)).all():
        raise ValueError(f"errors must be between 0 and 1, got {errors.tolist()}")
    if not len(p):
        return np.empty(0)
    step = errors * share(night) / (len(p) * (1 / np.arange(1, len(p) + 1)).sum())  # of one rank, (m,)
    ranked = np.sort(np.nan_to_num(p, nan=1.0) / step)
    found = np.flatnonzero(ranked <= np.arange(1, len(p) + 1))
    count = int(found[-1]) + 1 if len(found) else 0
    taken: Array = np.nan_to_num(p, nan=1.0) <= step * count
    rank = np.minimum(np.where(taken, count, count + 1), len(p))
    limits: Array = step * rank
    return limits
