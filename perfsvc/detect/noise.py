"""How much a series scatters from run to run, and how much of that one run hands on to the next."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from perfsvc.stats import MAD_TO_SIGMA, Floats, mad_sigma, median

#: No clock is better than this from run to run. Keeps a series of equal values from seeing changes in its last digit.
SIGMA_FLOOR = 0.0005

RHO_CEILING = 0.6

#: Points below which rho is taken as 0: a step lies within so many of the pairs 4 to 6 apart that it seems correlation.
RHO_NEEDS = 40


@dataclass(frozen=True, slots=True)
class Noise:
    """sigma of one point, in units of the scaled series (on the log scale 0.01 is 1 %); rho of neighbouring points."""

    sigma: float
    rho: float

    @property
    def inflation(self) -> float:
        """f: so many dependent points tell as much as one independent point (AR(1): Bayley & Hammersley 1946)."""
        return (1.0 + self.rho) / (1.0 - self.rho)


def estimate_noise(x: Floats) -> Noise:
    """From differences, which no step can widen by more than the few pairs that straddle it."""
    return Noise(_sigma(x), _rho(x))


def _sigma(x: Floats) -> float:
    # A median absolute difference of lag 1 and of lag 2: the second still sees noise that alternates.
    lags = [mad_sigma(x[lag:] - x[:-lag]) / math.sqrt(2.0) for lag in (1, 2) if len(x) > lag]
    return max(SIGMA_FLOOR, sum(lags) / len(lags)) if lags else SIGMA_FLOOR


def _rho(x: Floats) -> float:
    """From the variogram: neighbours of a correlated series differ less than points 4 to 6 apart do."""
    if len(x) < RHO_NEEDS:
        return 0.0
    far = median(np.concatenate([_differences(x, lag) for lag in (4, 5, 6)]))
    if far == 0.0:
        return 0.0
    near = median(_differences(x, 1))
    # 1.5/sqrt n is about the estimate's own error.
    return min(RHO_CEILING, max(0.0, 1.0 - (near / far) ** 2 - 1.5 / math.sqrt(len(x))))


def _differences(x: Floats, lag: int) -> Floats:
    """Absolute differences between points `lag` apart, less their median: that is the slope, and no correlation."""
    differences = x[lag:] - x[:-lag]
    return np.abs(differences - median(differences))


def spread_sigma(residuals: Floats, levels: int) -> float:
    """sigma from residuals about `levels` fitted medians, widened for the degrees of freedom they took."""
    n = len(residuals)
    return max(SIGMA_FLOOR, MAD_TO_SIGMA * median(np.abs(residuals)) * math.sqrt(n / max(1, n - levels)))
