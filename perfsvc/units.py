"""Numbers as people read them: never without a unit, never a ratio without its direction. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

SECONDS = "seconds"
BYTES = "bytes"
COUNT = "1"

#: What stands where there is no number.
NOTHING = "no value"

_TIME_STEPS: tuple[tuple[float, str], ...] = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_BYTE_STEPS: tuple[tuple[float, str], ...] = tuple(
    (1024.0**k, name) for k, name in ((4, "TiB"), (3, "GiB"), (2, "MiB"), (1, "KiB"), (0, "B"))
)
_AGE_STEPS = (("year", 365 * 86400), ("month", 30 * 86400), ("day", 86400), ("hour", 3600), ("minute", 60))

#: Below this a change has no direction worth a word.
SAME_WITHIN = 5e-4


@dataclass(frozen=True, slots=True)
class Scale:
    """A prefix that suits a whole column or axis: divide by `factor`, write `unit`."""

    factor: float
    unit: str

    def of(self, value: float) -> float:
        return value / self.factor


def scale(unit: str, largest: float) -> Scale:
    """The prefix that shows `largest` with one to three digits before the point (seconds stay at or below s)."""
    size = abs(largest)
    if unit == SECONDS:
        steps = _TIME_STEPS
    elif unit == BYTES:
        steps = _BYTE_STEPS
    else:
        return Scale(1.0, "" if unit == COUNT else unit)
    if size == 0 or not math.isfinite(size):
        return Scale(*steps[0] if unit == SECONDS else steps[-1])
    for factor, name in steps:
        if size >= factor * 0.9995:  # 0.9999 ms is written 1.00 ms, not 1000 µs
            return Scale(factor, name)
    return Scale(*steps[-1])


def value(number: float | None, unit: str, noun: str = "") -> str:
    """`3.42 ms`, `1.5 MiB`, `12 operators`; `noun` is what a bare count counts."""
    if number is None or math.isnan(number):
        return NOTHING
    fitting = scale(unit, number)
    shown = _digits(fitting.of(number)) if unit in (SECONDS, BYTES) else _count(number)
    return " ".join(part for part in (shown, fitting.unit or noun) if part)


def seconds(number: float | None) -> str:
    return value(number, SECONDS)


def duration(number: float | None) -> str:
    """How long something took, for people who wait: `45 s`, `12 min`, `3 h 5 min`."""
    if number is None:
        return "not known"
    if number < 60:
        return f"{number:.0f} s" if number >= 10 else f"{number:.1f} s"
    minutes = round(number / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 commit`, `2 commits`, `1,204 series`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def change(
    ratio: float | None, unit: str, metric: str, *, before: float | None = None, after: float | None = None
) -> str:
    """`1.23x slower` for times, `1.10x more operators` for the rest; without a ratio the two levels speak."""
    if ratio is None or not math.isfinite(ratio) or ratio <= 0:
        if before is None or after is None:
            return "changed from or to nothing"
        return f"from {value(before, unit, metric)} to {value(after, unit, metric)}"
    if _same(ratio):
        return "no change in time" if unit == SECONDS else f"no change in {metric}"
    return f"{times(ratio)} {_direction(ratio, unit, metric)}"


def times(ratio: float) -> str:
    """`1.23x`, always how many times, never below 1: the direction is in the word that follows."""
    size = max(ratio, 1 / ratio)
    if size < 1.02:
        return f"{size:.3f}x"
    if size < 10:
        return f"{size:.2f}x"
    return f"{size:.1f}x" if size < 100 else f"{size:,.0f}x" if size < 1e6 else f"{size:.1e}x"


def interval(low: float | None, high: float | None, unit: str, metric: str) -> str:
    """`1.18x to 1.29x slower`; an interval across 1 names both directions. Empty when there is none."""
    if low is None or high is None or low <= 0 or not math.isfinite(low):
        return ""
    if not math.isfinite(high):
        return f"at least {change(low, unit, metric)}"
    towards, away = _direction(low, unit, metric), _direction(high, unit, metric)
    if towards == away:
        first, last = (low, high) if low > 1 else (high, low)
        return f"{times(first)} to {times(last)} {away}"
    return f"{times(low)} {towards} to {times(high)} {away}"


def _same(ratio: float) -> bool:
    return abs(math.log(ratio)) < SAME_WITHIN


def _direction(ratio: float, unit: str, metric: str) -> str:
    if unit == SECONDS:
        return "slower" if ratio > 1 else "faster"
    return f"{'more' if ratio > 1 else 'less'} {metric}".rstrip()


def effect(minimum: float | None) -> str:
    """What a series can see: `can see changes of 1.8 % or more`."""
    if minimum is None or not math.isfinite(minimum):
        return "cannot tell yet what it can see"
    if minimum == 0:
        return "can see any change"
    return f"can see changes of {percent(minimum)} or more"


def percent(share: float) -> str:
    """`1.8 %`, `45 %`, `0.02 %`."""
    points = abs(share) * 100
    if points == 0:
        return "0 %"
    sign = "-" if share < 0 else ""
    if points < 0.01:
        return f"{sign}less than 0.01 %"
    return f"{sign}{points:.2g} %" if points < 10 else f"{sign}{points:,.0f} %"


def margin(error: float | None, tolerance: float | None) -> str:
    """An error against what is allowed: `0.31 of the tolerance`, `4.2x the tolerance`. Empty where not numeric."""
    if error is None or tolerance is None:
        return ""
    if math.isnan(error):
        return "error is not a number"
    if tolerance == 0:
        return "exact" if error == 0 else f"off by {error:.2g}, none allowed"
    ratio = error / tolerance
    if math.isinf(ratio):
        return "error is infinite"
    if ratio > 1:
        return f"{times(ratio)} the tolerance"
    return "less than 0.01 of the tolerance" if 0 < ratio < 0.005 else f"{ratio:.2f} of the tolerance"


def age(then: datetime | None, now: datetime) -> str:
    """`3 hours ago`, `in 5 minutes`, `just now`."""
    if then is None:
        return "never"
    elapsed = (now - then).total_seconds()
    for name, size in _AGE_STEPS:
        if abs(elapsed) >= size:
            shown = count(int(abs(elapsed) // size), name)
            return f"{shown} ago" if elapsed > 0 else f"in {shown}"
    return "just now" if elapsed >= 0 else "in a moment"


def _digits(number: float) -> str:
    """Three digits that count: 3.42, 34.2, 342, 1,200."""
    size = abs(number)
    if size == 0:
        return "0"
    if size < 0.01 or not math.isfinite(size):
        return f"{number:.2g}"
    places = 2 if size < 9.995 else 1 if size < 99.95 else 0
    return f"{number:,.{places}f}" if size < 1e6 else f"{number:.3g}"


def _count(number: float) -> str:
    """Whole numbers whole, up to where they are read; others with three digits."""
    if math.isfinite(number) and number == int(number) and abs(number) < 1e12:
        return f"{int(number):,}"
    return _digits(number)
