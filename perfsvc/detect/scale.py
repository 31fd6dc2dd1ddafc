"""From values as they were given to the numbers the method works on, and back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perfsvc.stats import Floats, median, ratio_of

MOST_DIGITS = 1e15  #: beyond the typical size by more than a float's digits, a value would overflow

LOG, LINEAR = "log", "linear"


@dataclass(frozen=True, slots=True)
class Scaled:
    """The points that are there, on a scale where a difference of 0.01 is about 1 %."""

    x: Floats  #: [n] logarithms, or multiples of `unit`
    places: np.ndarray[tuple[int, ...], np.dtype[np.intp]]  #: [n] index of each point in the values as given
    unit: float | None  #: None: x is logarithmic

    def value(self, x: float) -> float:
        """Back to the unit of the values."""
        if self.unit is not None:
            return x * self.unit
        return math.exp(x) if x < 709.0 else math.inf

    def ratio(self, before: float, after: float) -> float:
        """New level over old, both given on the scale."""
        return ratio_of(self.value(before), self.value(after))


def to_scale(values: Sequence[float] | Floats, scale: str) -> Scaled:
    """Drop what is missing; logarithms where all values are positive, else multiples of the typical size.

    NaN is missing. So is an infinity: it is a clock that did not tick or a rate over no time, and no measurement.
    Zero and negative values have no logarithm: one of them puts the whole series on the linear scale.
    Raises: ValueError when `scale` is neither "log" nor "linear".
    """
    if scale not in (LOG, LINEAR):
        raise ValueError(f'scale is "log" or "linear", not {scale!r}')
    given = np.asarray(values, dtype=float)
    places = np.flatnonzero(np.isfinite(given))
    x = given[places]
    if scale == LOG and (x > 0.0).all():
        return Scaled(np.log(x), places, None)
    unit = _typical_size(x)
    return Scaled(x / unit, places, unit)


def _typical_size(x: Floats) -> float:
    """The median absolute value; of a series that is mostly 0, the median of the rest."""
    sizes = np.abs(x[x != 0.0])
    if not len(sizes):
        return 1.0
    largest = float(sizes.max())
    middle = median(np.abs(x) / largest) * largest  # divided first: a sum of two huge values overflows
    return max(middle if middle > 0.0 else float(np.sort(sizes)[len(sizes) // 2]), largest / MOST_DIGITS)


def scaled_effect(scaled: Scaled, fraction: float) -> float:
    """A relative step upwards (0.01 = 1 %) on the scale of the series."""
    return math.log1p(fraction) if scaled.unit is None else fraction
