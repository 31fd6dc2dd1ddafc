"""Which candidates stand: each is tested against its neighbours, and the weakest goes first.

A step must be unlikely by one of two readings (ranks; how rarely this series strays that far), large enough to matter,
visible point by point, and a better description than a slope. With f = (1 + rho) / (1 - rho):

    p = min(1, 2 min(p1, p2) (places - 1) / f)

p1: Mann-Whitney, its z divided by sqrt f. p2: a binomial tail, to the power 1/f. The last factor pays for having chosen
the place: among the series' points, 320 at most.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perfsvc.detect.noise import Noise, spread_sigma
from perfsvc.stats import Floats, binomial_tail, mann_whitney, median, t_limit, two_sided_p, two_sided_z

SIDE = 80  #: points a side at most: what lies further back was another machine, another year
#: The place was chosen among all of the series' points: counting those of the two sides alone made up three times as
#: many changes in 300 heavy-tailed points. A longer history is no price for a new commit.
MOST_PLACES = 4 * SIDE
LEAST_SIDE = 3
LEAST_SIGMAS = 0.6  #: of the effect, in the pooled sigma of its two sides
LEAST_AUC = 0.65
LINE_MARGIN = 4.0  #: a slope that costs at most so many sigma^2 more than the step is the better description
# Of few points a slope fits nearly as well as a step: 4 took 14 of 100 steps of 5 sigma in 12 points for one, -2 one.
FEW, LINE_MARGIN_OF_FEW = 20, -2.0
CAP = 9.0  #: of one point's loss in that comparison, as in the fit
INTERVAL_ALPHA = 0.01  #: a 99 % interval, by t: 2.58 standard errors held the truth in 92 of 100 series of 10 points
MEDIAN_SE = 1.25  #: a median's standard error over a mean's: sqrt(pi / 2)


@dataclass(frozen=True, slots=True)
class Step:
    """One candidate and everything it is judged by. Levels and effect on the scale of the series, `after - before`."""

    at: int
    before: float
    after: float
    p: float
    auc: float  #: towards the new level: 1 = every new point lies beyond every old one
    sigma: float  #: pooled, of the two sides
    half_width: float  #: of the effect's 99 % interval
    n_before: int
    n_after: int
    counted: int  #: points of the smaller side that come from a quiet run
    line: tuple[float, float] | None  #: ends of a straight line that describes the two sides as well

    @property
    def effect(self) -> float:
        return self.after - self.before

    def stands(self, alpha: float, minimum_effect: float) -> bool:
        """Is this a real difference between the two sides? Whether it is a step or a slope is `line`."""
        return (
            self.p <= alpha
            and abs(self.effect) >= max(minimum_effect, LEAST_SIGMAS * self.sigma)
            and self.auc >= LEAST_AUC
            and self.counted >= LEAST_SIDE
        )


def confirm(
    x: Floats,
    cuts: Sequence[int],
    noise: Noise,
    *,
    alpha: float,
    minimum_effect: float,
    quiet: Sequence[bool] | None = None,
) -> tuple[list[Step], list[Step]]:
    """The steps that stand, and the trends: what stands as a difference and is as well described by a slope.

    Shapes: x [n]; quiet [n], False where the run was too noisy to count as one of a side's points.
    minimum_effect is on the scale of x: log(1.01) for 1 % where x is a logarithm.
    """
    edges = [0, *cuts, len(x)]
    is_quiet = np.ones(len(x), dtype=bool) if quiet is None else np.asarray(quiet, dtype=bool)
    residuals = np.concatenate([x[a:b] - median(x[a:b]) for a, b in itertools.pairwise(edges)]) if len(x) else x

    def weigh(i: int) -> Step:
        return weigh_step(x, edges[i - 1], edges[i], edges[i + 1], residuals, noise, is_quiet)

    steps = {edges[i]: weigh(i) for i in range(1, len(edges) - 1)}
    slopes: list[Step] = []
    while weak := [s for s in steps.values() if s.line is not None or not s.stands(alpha, minimum_effect)]:
        weakest = max(weak, key=lambda s: (s.p, -abs(s.effect)))
        if weakest.stands(alpha, minimum_effect):
            slopes.append(weakest)
        del steps[weakest.at]
        i = edges.index(weakest.at)
        edges.pop(i)
        left, right = edges[i - 1], edges[i]
        residuals[left:right] = x[left:right] - median(x[left:right])
        for neighbour in (i - 1, i):
            if 0 < neighbour < len(edges) - 1:
                steps[edges[neighbour]] = weigh(neighbour)
    return [steps[at] for at in sorted(steps)], _one_per_segment(slopes, edges)


def _one_per_segment(slopes: Sequence[Step], edges: Sequence[int]) -> list[Step]:
    """The widest slope of each segment that is left: the last one dropped, since every removal widens what remains."""
    last = {int(np.searchsorted(edges, slope.at, side="right")): slope for slope in slopes}
    return [last[segment] for segment in sorted(last)]


def weigh_step(
    x: Floats,
    left: int,
    at: int,
    right: int,
    residuals: Floats,
    noise: Noise,
    quiet: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
) -> Step:
    """Judge the step at `at` between the cuts around it. `residuals` [n]: of the whole series about its levels."""
    first, last = max(left, at - SIDE), min(right, at + SIDE)
    old, new = x[first:at], x[at:last]
    na, nb = len(old), len(new)
    before, after = median(old), median(new)
    effect = after - before
    f = noise.inflation
    ranks = mann_whitney(old, new)
    p1 = two_sided_p(two_sided_z(ranks.p) / math.sqrt(f)) if f > 1.0 else ranks.p
    sigma = spread_sigma(np.concatenate((old - before, new - after)), 2)
    p2 = _tail_p(old, new, before, after, residuals, max(sigma, noise.sigma)) ** (1.0 / f)
    counted = int(min(quiet[first:at].sum(), quiet[at:last].sum()))
    return Step(
        at=at,
        before=before,
        after=after,
        p=min(1.0, 2.0 * min(p1, p2) * (min(len(x), MOST_PLACES) - 1) / f),
        auc=ranks.auc if effect >= 0.0 else 1.0 - ranks.auc,
        sigma=sigma,
        half_width=_half_width(na, nb, max(sigma, noise.sigma), f),
        n_before=na,
        n_after=nb,
        counted=counted,
        line=_line(x[first:last], na, before, after, noise.sigma),
    )


def _half_width(na: int, nb: int, sigma: float, inflation: float) -> float:
    se = MEDIAN_SE * sigma * math.sqrt((1.0 / na + 1.0 / nb) * inflation)
    return t_limit(max(1, na + nb - 2), INTERVAL_ALPHA) * se


def _tail_p(old: Floats, new: Floats, before: float, after: float, residuals: Floats, sigma: float) -> float:
    """The chance that so many of the shorter side's points lie beyond the half-way line, were they the longer side's.

    The rate of such points is counted among all residuals, and is at least a normal tail's: in a short series the cut
    was put where residuals are smallest, and their count alone gave about twice as many false changes.
    """
    side, towards = (new, after - before) if len(new) <= len(old) else (old, before - after)
    sign = 1.0 if towards >= 0.0 else -1.0
    half = abs(towards) / 2.0
    hits = int(np.sum(sign * (side - (before + after) / 2.0) > 0.0))
    strays = int(np.sum(sign * residuals > half))
    rate = max((1 + strays) / (len(residuals) + 2), two_sided_p(half / sigma) / 2.0)
    return binomial_tail(hits, len(side), rate)


def _line(x: Floats, n_before: int, before: float, after: float, sigma: float) -> tuple[float, float] | None:
    """The ends of the least squares line through both sides, when it describes them as well as the step does."""
    n = len(x)
    if n < 2 * LEAST_SIDE:
        return None
    time = np.arange(n) - (n - 1) / 2.0
    slope = float(time @ x) / float(time @ time)
    line = x.mean() + slope * time
    step = np.where(np.arange(n) < n_before, before, after)
    loss = [float(np.minimum(((x - fit) / sigma) ** 2, CAP).sum()) for fit in (line, step)]
    margin = LINE_MARGIN if n >= FEW else LINE_MARGIN_OF_FEW
    return (float(line[0]), float(line[-1])) if loss[0] <= loss[1] + margin else None
