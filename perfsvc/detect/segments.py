"""Where a series may have changed level: the best piecewise constant fit, under a loss that no outlier can pull.

    minimise  sum of min(((x - level) / sigma)^2, 9)  +  2 ln n for every change

by exact dynamic programming over a list of K levels: cost_k = min(cost_k, min cost + penalty) + loss_k, point by point.
Sources: the Potts functional and its dynamic program, Friedrich, Kempe, Liebscher & Winkler 2008;
the truncated quadratic, Blake & Zisserman 1987.
Axes: s = series of a block, k = level, t = time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from perfsvc.stats import Floats, median

# A lone outlier costs its capped loss once, and a segment of its own would cost two penalties: it is never a segment.
LOSS_CAP = 9.0
PENALTY_PER_LOG_POINT = 2.0

#: Levels worth trying are medians of windows: (length, step).
WINDOWS = ((5, 2), (15, 5))
#: In a series this short every window counts, and three points may be all there is of a level.
SHORT = 40
WINDOWS_OF_SHORT = ((3, 1), (5, 1))
BIN = 0.5  #: levels nearer than this many sigma are one
MOST_LEVELS = 192

FAR = 1e9  #: sigmas

REFIT_REACH = 10  #: points either way
BLOCK = 128  #: series that share one pass; memory is about BLOCK x n x 3 numbers


def candidates(series: Sequence[Floats], sigmas: Sequence[float]) -> list[list[int]]:
    """For each series the first points of its new levels, before any test.

    Shapes: a series is [n], any n. Cost: n K per series, K <= 192 and mostly below 20.
    """
    standard = [standardise(x, sigma) for x, sigma in zip(series, sigmas, strict=True)]
    levels = [candidate_levels(z) for z in standard]
    found: list[list[int]] = [[] for _ in series]
    # Neighbours in this order need little padding, in time and in levels.
    order = sorted(
        (i for i, z in enumerate(standard) if len(z) > 1), key=lambda i: (len(levels[i]) // 8, len(standard[i]))
    )
    for first in range(0, len(order), BLOCK):
        block = order[first : first + BLOCK]
        for i, cuts in zip(block, best_cuts([standard[i] for i in block], [levels[i] for i in block]), strict=True):
            found[i] = refit(standard[i], cuts)
    return found


def standardise(x: Floats, sigma: float) -> Floats:
    """In sigmas from the median; what is a billion sigma out may be nearer, for its square must not overflow."""
    z: Floats = np.clip((x - median(x)) / sigma, -FAR, FAR) if len(x) else x
    return z


def penalty(n: int) -> float:
    """What one change costs; at least half a capped loss, also where a series is shorter than ten points."""
    return max(PENALTY_PER_LOG_POINT * math.log(n), 0.51 * LOSS_CAP)


def candidate_levels(z: Floats) -> Floats:
    """Running medians of a standardised series, one for each half sigma they visit; the most visited 192."""
    bins = np.concatenate([np.rint(m / BIN) for m in _running_medians(z)])
    visited, visits = np.unique(bins, return_counts=True)
    if len(visited) > MOST_LEVELS:
        visited = np.sort(visited[np.argsort(-visits, kind="stable")[:MOST_LEVELS]])
    levels: Floats = visited * BIN
    return levels


def _running_medians(z: Floats) -> list[Floats]:
    n = len(z)
    if n < 3:
        return [z]
    medians = []
    for length, step in WINDOWS_OF_SHORT if n < SHORT else WINDOWS:
        length = min(length, n - 1 + n % 2)  # odd, so that a median is one of the values
        windows = np.lib.stride_tricks.sliding_window_view(z, length)
        chosen = np.concatenate((windows[::step], windows[-1:]))  # the newest points always
        medians.append(np.partition(chosen, length // 2, axis=1)[:, length // 2])
    return medians


def best_cuts(series: Sequence[Floats], levels: Sequence[Floats]) -> list[list[int]]:
    """Exact minima of the functional, for many standardised series at once.

    Instead of n x K back pointers every level carries the start of its current segment, so memory is n numbers.
    """
    lengths = [len(z) for z in series]
    # Padding is harmless: after a series' end nothing is read, and a level out of reach only ever pays the cap.
    z_ts = np.zeros((max(lengths), len(series)))
    levels_ks = np.full((max(map(len, levels)), len(series)), 2.0 * FAR)
    for s, (z, own) in enumerate(zip(series, levels, strict=True)):
        z_ts[: len(z), s] = z
        levels_ks[: len(own), s] = own
    starts_ts = _forward(z_ts, levels_ks, np.array([penalty(n) for n in lengths]))
    return [_trace_back(starts_ts[:n, s].tolist()) for s, n in enumerate(lengths)]


def _forward(z_ts: Floats, levels_ks: Floats, penalty_s: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    """[t, s]: the start of the last segment in the best fit of the points up to t."""
    cost_ks = np.zeros_like(levels_ks)
    loss_ks = np.empty_like(levels_ks)
    start_ks = np.zeros(levels_ks.shape, dtype=np.int32)
    best_ks = np.empty(levels_ks.shape, dtype=bool)
    switched_ks = np.empty(levels_ks.shape, dtype=bool)
    starts_ts = np.zeros(z_ts.shape, dtype=np.int32)
    limit_s = penalty_s.copy()
    for t, z_s in enumerate(z_ts):
        np.greater(cost_ks, limit_s, out=switched_ks)
        np.minimum(cost_ks, limit_s, out=cost_ks)
        np.copyto(start_ks, t, where=switched_ks)
        np.subtract(levels_ks, z_s, out=loss_ks)
        np.multiply(loss_ks, loss_ks, out=loss_ks)
        np.minimum(loss_ks, LOSS_CAP, out=loss_ks)
        np.add(cost_ks, loss_ks, out=cost_ks)
        least_s = cost_ks.min(axis=0)
        np.equal(cost_ks, least_s, out=best_ks)
        np.multiply(start_ks, best_ks).max(axis=0, out=starts_ts[t])
        np.add(least_s, penalty_s, out=limit_s)
    return starts_ts


def _trace_back(starts: list[int]) -> list[int]:
    cuts: list[int] = []
    start = starts[-1]
    while start > 0:
        cuts.append(start)
        start = starts[start - 1]
    return cuts[::-1]


def refit(z: Floats, cuts: Sequence[int]) -> list[int]:
    """Move each cut, by at most ten points, to where absolute deviations from the levels on its two sides are least."""
    edges = [0, *cuts, len(z)]
    for i in range(1, len(edges) - 1):
        left, at, right = edges[i - 1], edges[i], edges[i + 1]
        before, after = median(z[left:at]), median(z[at:right])
        first = max(left + 1, at - REFIT_REACH)
        last = min(right - 1, at + REFIT_REACH)
        window = z[first:last]
        # Each point that joins the old level pays its distance to that one instead of to the new one.
        price = np.concatenate(([0.0], np.cumsum(np.abs(window - before) - np.abs(window - after))))
        edges[i] = first + int(np.argmin(price))
    return edges[1:-1]
