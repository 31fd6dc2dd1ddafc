"""What all series of one machine share from run to run: a warm afternoon, a neighbour. Its fluctuation is taken out.

factor of a run = the median, over the machine's series, of log value - the level of that series

The levels are those of the series' own segments: a running median of 31 points is half old, half new beside a step, so
that the factor had bumps there, and the steps of some series came out as smaller ones of all others.

A commit that slows everything is shared as well. So levels are fitted to the factor first, and stay in the series: only
what scatters about them is subtracted. Of the newest two runs nobody knows yet what they are: they stay as they are.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from perfsvc.detect.confirmation import LEAST_SIDE, confirm
from perfsvc.detect.noise import estimate_noise
from perfsvc.detect.segments import candidates
from perfsvc.stats import Floats, median

LEAST_SERIES = 20  #: with a value in a run: the median of fewer would carry their own noise into all others
ALPHA = 0.01


def machine_fluctuation(series: Sequence[Floats]) -> Floats:
    """What of the machine's factor is noise: [t], logarithms; 0 where fewer than 20 series have a value.

    Shapes: each series [t], one place a run of the machine in time order, NaN = missing. A series with a value that is
    not positive takes no part.
    """
    logs = [np.log(values) for values in series if _has_logarithm(values)]
    fluctuation = np.zeros(len(series[0]) if len(series) else 0)
    if len(logs) < LEAST_SERIES:
        return fluctuation
    deviations_st = _deviations(logs)
    shared = np.flatnonzero(np.isfinite(deviations_st).sum(axis=0) >= LEAST_SERIES)
    factor = np.nanmedian(deviations_st[:, shared], axis=0)
    fluctuation[shared] = factor - _levels(factor)
    fluctuation[max(0, len(fluctuation) - LEAST_SIDE + 1) :] = 0.0
    return fluctuation


def without_fluctuation(series: Sequence[Floats]) -> list[Floats]:
    """The series of one machine, each value divided by what its run had in common with the others.

    Shapes: as `machine_fluctuation`; a series with a value that is not positive comes back as it is.
    """
    shared = np.exp(-machine_fluctuation(series))
    return [values * shared if _has_logarithm(values) else values for values in series]


def _has_logarithm(values: Floats) -> bool:
    present = values[np.isfinite(values)]
    return bool(len(present)) and bool((present > 0.0).all())


def _deviations(logs: Sequence[Floats]) -> Floats:
    """[s, t]: each series less the median of its own segment, before any test."""
    own = [x[np.isfinite(x)] for x in logs]
    cuts = candidates(own, [estimate_noise(x).sigma for x in own])
    deviations_st = np.full((len(logs), len(logs[0])), np.nan)
    for row, x, present, at in zip(deviations_st, logs, own, cuts, strict=True):
        row[np.isfinite(x)] = present - _medians(present, at)
    return deviations_st


def _medians(x: Floats, cuts: Sequence[int]) -> Floats:
    levels = np.empty(len(x))
    for left, right in itertools.pairwise([0, *cuts, len(x)] if len(x) else []):
        levels[left:right] = median(x[left:right])
    return levels


def _levels(factor: Floats) -> Floats:
    """Of the factor: what the series' own segments did not take, such as a new level that is three points old."""
    noise = estimate_noise(factor)
    (cuts,) = candidates([factor], [noise.sigma])
    standing, _ = confirm(factor, cuts, noise, alpha=ALPHA, minimum_effect=0.0)
    return _medians(factor, [step.at for step in standing])
