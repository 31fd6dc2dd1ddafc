"""What a series could show: the smallest step that would be found within five points, most of the time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy import special

from perfsvc.detect.confirmation import MEDIAN_SE, MOST_PLACES, SIDE, weigh_step
from perfsvc.detect.noise import Noise, estimate_noise
from perfsvc.detect.scale import LOG, scaled_effect, to_scale
from perfsvc.detect.segments import LOSS_CAP, penalty
from perfsvc.stats import Floats

WITHIN = 5  #: points of the new level
POWER_Z = 0.84  #: four steps in five: the normal quantile of 0.8
LARGEST = 1.0  #: a series that shows nothing below a doubling is too noisy to say
# A sigma from ten points is often much too small; with this, four in five holds from twelve points on (simulated).
SIGMA_DOUBT = 5.0
FINENESS = 0.05  #: of the answer, in sigma


def minimum_detectable_effect(
    values: Sequence[float] | Floats, *, scale: str = LOG, alpha: float = 0.01, minimum_effect: float = 0.01
) -> float | None:
    """The smallest slowdown (0.02 = 2 %) of which four in five are found with five points; None where none can be told.

    None: too few points, or too noisy to see less than a doubling.
    Shapes: values [n] in time order, NaN = missing, as for `detect_changes`.
    """
    scaled = to_scale(values, scale)
    noise = estimate_noise(scaled.x)
    sigmas = _detectable_sigmas(min(len(scaled.x), MOST_PLACES), _doubtful(noise.rho, len(scaled.x)), alpha)
    if sigmas is None:
        return None
    effect = sigmas * _sigma_of_levels(noise) * (1.0 + SIGMA_DOUBT / len(scaled.x))
    if effect > scaled_effect(scaled, LARGEST):
        return None
    return max(minimum_effect, math.expm1(effect) if scaled.unit is None else effect)


def _sigma_of_levels(noise: Noise) -> float:
    """sigma about the level: an AR(1)'s differences show sqrt(1 - rho) and sqrt(1 - rho^2) of it at lags 1 and 2."""
    return noise.sigma * 2.0 / (math.sqrt(1.0 - noise.rho) + math.sqrt(1.0 - noise.rho**2))


@lru_cache(maxsize=4096)
def _detectable_sigmas(n: int, rho: float, alpha: float) -> float | None:
    """The same in sigma: where a typical picture of the step is confirmed, and what four in five need beyond."""
    if n < WITHIN:
        return None
    noise = Noise(1.0, rho)
    low, high = 0, 400  # in units of FINENESS
    if not _is_found(n, high * FINENESS, noise, alpha):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _is_found(n, middle * FINENESS, noise, alpha) else (middle, high)
    luck = MEDIAN_SE * math.sqrt((1.0 / WITHIN + 1.0 / min(n, SIDE)) * noise.inflation)
    return high * FINENESS + POWER_Z * luck


def _is_found(n: int, step: float, noise: Noise, alpha: float) -> bool:
    """Would n points of noise and five points `step` sigma higher be a candidate, and stand?"""
    old = _typical_sample(n)
    new = _typical_sample(WITHIN)
    gain = float(np.minimum((new + step) ** 2, LOSS_CAP).sum() - np.minimum(new**2, LOSS_CAP).sum())
    x = np.concatenate((old, new + step))
    residuals = np.concatenate((old, new))
    found = weigh_step(x, 0, n, n + WITHIN, residuals, noise, np.ones(n + WITHIN, dtype=bool))
    return gain >= penalty(n + WITHIN) and found.stands(alpha, 0.0)


def _typical_sample(n: int) -> Floats:
    """n values that lie as a normal sample of sigma 1 does on average (Blom 1958), in no particular order."""
    scores: Floats = special.ndtri((np.arange(1, n + 1) - 0.375) / (n + 0.25))
    return scores


def _doubtful(rho: float, n: int) -> float:
    """rho as high as it may well be once a step has been added, to the next twentieth; 0 stays."""
    return min(0.9, math.ceil(20.0 * (rho + 1.0 / math.sqrt(n))) / 20.0) if rho > 0.0 else 0.0
