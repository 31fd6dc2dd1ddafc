"""Is B slower than A? A sequential rule over pairs of runs measured side by side. Pure: pairs in, a judgement out.

The runs' order is A B B A, each a fresh process; d = log(B / A) of a pair. At each look the 1/6-trimmed mean of d is
held against its limit: Yuen's t (1974), h - 1 degrees of freedom, at that look's share of alpha (Bonferroni).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perfsvc.model import ExperimentVerdict
from perfsvc.stats import Floats, t_limit, trimmed_mean

LOOKS = (6, 10, 14, 20)  #: pairs after which one may look; between looks nobody judges
ALPHA = 0.005  #: chance of a wrong *different* over all looks together
# Growing, since six pairs rarely suffice: equal shares found 2 run-sigmas in .94 instead of .96 of all cases.
SHARES = (0.1, 0.2, 0.3, 0.4)
TRIM = 1.0 / 6.0  #: of the pairs at each end: a run that was disturbed moves nothing

Pair = tuple[float, float]  #: (A, B): medians of one run each, in the same unit


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one look at an experiment says. Ratios are B over A; the interval is the one the verdict was read from."""

    verdict: ExperimentVerdict
    estimate: float
    low: float
    high: float
    reason: str


def judge(pairs: Sequence[Pair], *, minimum_effect: float, look: int, control: Sequence[Pair] = ()) -> Judgement:
    """Judge the first pairs of an experiment at its look 1, 2, 3 or 4 (after 6, 10, 14, 20 pairs).

    *Different*: the interval excludes "equal" and the estimate is at least half the minimum effect. *Same*: the whole
    interval lies within the minimum effect. Otherwise *undecided*, which is never "no change".
    control: pairs of A against itself from the same session; where they differ there is no verdict.
    A pair with a value that is missing, infinite or not positive is left out, and its absence is told.
    Raises: ValueError when `look` is none of 1 to 4, or minimum_effect is not positive.
    """
    if look not in range(1, len(LOOKS) + 1):
        raise ValueError(f"look is 1 to {len(LOOKS)}, not {look}")
    if minimum_effect <= 0.0:
        raise ValueError(f"the minimum effect is a fraction above 0, not {minimum_effect}")
    wanted = LOOKS[look - 1]
    d, lost = _log_ratios(pairs[:wanted])
    if len(d) < LOOKS[0]:
        return _undecided(f"{len(d)} pairs, and the first look takes {LOOKS[0]}{lost}")
    estimate, limit = _estimate(d, look)
    interval = (math.exp(estimate), math.exp(estimate - limit), math.exp(estimate + limit))
    if complaint := _control_fails(control[:wanted], minimum_effect, look):
        return Judgement(ExperimentVerdict.UNDECIDED, *interval, complaint)
    smallest = math.log1p(minimum_effect)
    if abs(estimate) > limit and abs(estimate) >= smallest / 2.0:
        verdict, reason = ExperimentVerdict.DIFFERENT, f"B differs by {_percent(estimate)}, limit {_percent(limit)}"
    elif abs(estimate) + limit < smallest:
        verdict, reason = ExperimentVerdict.SAME, f"any difference is below {_percent(smallest)}"
    else:
        verdict, reason = (
            ExperimentVerdict.UNDECIDED,
            f"{_percent(estimate)} found, limit {_percent(limit)}{_what_next(look)}",
        )
    return Judgement(verdict, *interval, f"{reason}, {len(d)} pairs{lost}")


def _log_ratios(pairs: Sequence[Pair]) -> tuple[Floats, str]:
    values = np.asarray(pairs, dtype=float).reshape(-1, 2)
    usable = (np.isfinite(values) & (values > 0.0)).all(axis=1)
    lost = len(values) - int(usable.sum())
    d: Floats = np.log(values[usable, 1]) - np.log(values[usable, 0])
    return d, f" ({lost} without two values left out)" if lost else ""


def _estimate(d: Floats, look: int) -> tuple[float, float]:
    """The trimmed mean of d, and how far from 0 it must lie at this look."""
    trimmed = trimmed_mean(d, cut=TRIM)
    return trimmed.mean, t_limit(trimmed.df, ALPHA * SHARES[look - 1]) * trimmed.se


def _control_fails(control: Sequence[Pair], minimum_effect: float, look: int) -> str:
    d, _ = _log_ratios(control)
    if len(d) < LOOKS[0]:
        return "" if not control else f"no verdict: A against itself has {len(d)} pairs of {LOOKS[0]}"
    estimate, limit = _estimate(d, look)
    if abs(estimate) > limit and abs(estimate) >= math.log1p(minimum_effect) / 2.0:
        return f"no verdict: A against itself differs by {_percent(estimate)}"
    return ""


def _what_next(look: int) -> str:
    return f"; look again after {LOOKS[look]} pairs" if look < len(LOOKS) else "; no look is left"


def _undecided(reason: str) -> Judgement:
    return Judgement(ExperimentVerdict.UNDECIDED, math.nan, math.nan, math.nan, reason)


def _percent(d: float) -> str:
    return f"{100.0 * math.expm1(d):.2g} %"
