"""Several rounds of one run -> one outcome for each case. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from perfsvc.model import Measurement, Skip

#: Fewer values than this have no quartiles worth the name: with few rounds the samples inside them are asked instead.
ENOUGH = 4

Case = tuple[str, tuple[str, ...]]
Spread = tuple[float | None, float | None]


def merge_rounds(rounds: Iterable[Iterable[Measurement | Skip]]) -> Iterator[Measurement | Skip]:
    """What each case came to, in the order first met.

    A case that failed in one round keeps the others; one that was measured in none keeps its first reason.
    """
    cases: dict[Case, list[Measurement | Skip]] = {}
    for outcomes in rounds:
        for outcome in outcomes:
            cases.setdefault((outcome.benchmark, outcome.params), []).append(outcome)
    for met in cases.values():
        measured = [outcome for outcome in met if isinstance(outcome, Measurement)]
        yield _merged(measured) if measured else met[0]


def _merged(rounds: Sequence[Measurement]) -> Measurement:
    medians = tuple(each.value for each in rounds)
    samples = tuple(sample for each in rounds for sample in each.samples)
    q25, q75 = quartiles(medians) if len(medians) >= ENOUGH else _within(rounds, samples)
    return replace(rounds[0], value=median(medians), q25=q25, q75=q75, rounds=medians, samples=samples)


def _within(rounds: Sequence[Measurement], samples: Sequence[float]) -> Spread:
    """The spread inside the rounds: of their samples where all kept them, else the middle of asv's own quartiles."""
    if len(samples) >= ENOUGH and all(each.samples for each in rounds):
        return quartiles(samples)
    lows = [each.q25 for each in rounds if each.q25 is not None]
    highs = [each.q75 for each in rounds if each.q75 is not None]
    return (median(lows), median(highs)) if lows and highs else (None, None)


def median(values: Sequence[float]) -> float:
    """The median; of two middle ones near the largest float, whose sum has none, the lower."""
    middle = statistics.median(values)
    return middle if math.isfinite(middle) else statistics.median_low(values)


def quartiles(values: Sequence[float]) -> Spread:
    """The quartiles of two values or more; nothing where they lie beyond the largest float."""
    q25, _, q75 = statistics.quantiles(values, n=4, method="inclusive")
    return (q25, q75) if math.isfinite(q25) and math.isfinite(q75) else (None, None)
