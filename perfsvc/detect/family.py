"""One report asks of many series at once: of what it tells, at most a given share may be false."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from perfsvc.model import Change, ChangeKind, Direction


def q_values(p_values: Sequence[float]) -> list[float]:
    """Each p's smallest false discovery rate at which it would be told. One p per series, 1 where it has no candidate.

    Source: Benjamini & Hochberg 1995. Cost: O(n log n).
    """
    p = np.asarray(p_values, dtype=float)
    n = len(p)
    order = np.argsort(p, kind="stable")
    raw = p[order] * n / np.arange(1, n + 1)
    q = np.empty(n)
    q[order] = np.minimum(1.0, np.minimum.accumulate(raw[::-1])[::-1])
    return [float(value) for value in q]


def worse_p(changes: Sequence[Change], direction: Direction, *, since: int = 0) -> float:
    """What a series brings into the family: the smallest p of its steps for the worse at or after index `since`, or 1.

    A metric without a better direction is never alerted, and brings 1. So do flagged steps: they are re-measured.
    """
    return min((c.p for c in changes if c.index >= since and not c.flags and is_worse(c, direction)), default=1.0)


def is_worse(change: Change, direction: Direction) -> bool:
    """Did this step take the metric the wrong way? A trend is shown, and is not a step."""
    if change.kind is ChangeKind.TREND or direction is Direction.NEITHER:
        return False
    return change.ratio > 1.0 if direction is Direction.LOWER else change.ratio < 1.0
