"""Detectors under one interface: values in time order in, the first slow points of what each would tell people out.

Ours; asv's step detection, Apache Otava and kernel PELT as their packages do it; the one-point rules of Bencher,
Conbench, rustc-perf and Perfherder written from their documentation, at their defaults. What a one-point rule says of
several points in a row counts once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

import numpy as np
from scipy import special

from perfsvc.detect import detect_batch
from perfsvc.model import Change, ChangeKind
from perfsvc.stats import Floats, mad_sigma, median

Places = list[int]
ALPHA = 0.01


@dataclass(frozen=True, slots=True)
class Rule:
    """A name, how it finds slowdowns in many series, and the package that it needs."""

    name: str
    find: Callable[[Sequence[Floats]], list[Places]]
    package: str = ""

    @property
    def is_here(self) -> bool:
        return not self.package or find_spec(self.package) is not None


def each(find: Callable[[Floats], Places]) -> Callable[[Sequence[Floats]], list[Places]]:
    """A rule for one series as a rule for many."""
    return lambda series: [find(values) for values in series]


def slowdowns(changes: Sequence[Change]) -> Places:
    """What would be told: a trend is shown, and a flagged step is measured again."""
    return [c.index for c in changes if c.ratio > 1.0 and not c.flags and c.kind is ChangeKind.STEP]


def ours(series: Sequence[Floats]) -> list[Places]:
    return [slowdowns(changes) for changes in detect_batch(series, alpha=ALPHA)]


def asv(threshold: float) -> Callable[[Floats], Places]:
    """What asv publish calls a regression."""

    def find(values: Floats) -> Places:
        detection = import_module("asv.step_detect")
        _, _, regressions = detection.detect_regressions(detection.detect_steps(values.tolist()), threshold=threshold)
        return [after for _, after, _, _ in regressions or ()]

    return find


def otava(values: Floats) -> Places:
    points, _ = import_module("otava.analysis").compute_change_points(values.tolist())
    return [point.index for point in points if point.stats.mean_2 > point.stats.mean_1]


def kernel_pelt(values: Floats) -> Places:
    """rbf kernel on logarithms, segments of three points at least, a penalty of 2 ln n a change."""
    x = np.log(values)
    z = (x - median(x)) / (mad_sigma(np.diff(x)) / math.sqrt(2.0))
    fitted = import_module("ruptures").KernelCPD(kernel="rbf", min_size=3).fit(z[:, None])
    edges = [0, *fitted.predict(pen=2.0 * math.log(len(x)))]
    return [
        at
        for left, at, right in zip(edges, edges[1:], edges[2:], strict=False)
        if median(x[at:right]) > median(x[left:at])
    ]


LEAST = 10  #: points before a one-point rule speaks


def point_by_point(is_slow: Callable[[Floats, float], bool]) -> Callable[[Floats], Places]:
    """A rule that holds each new point against what came before it."""

    def find(values: Floats) -> Places:
        slow = [place for place in range(LEAST, len(values)) if is_slow(values[:place], float(values[place]))]
        return [place for place in slow if place - 1 not in slow]

    return find


def bencher(before: Floats, value: float) -> bool:
    """Student's t at .99 over the last 64."""
    last = before[-64:]
    limit = special.stdtrit(len(last) - 1, 0.99)
    return bool(value > last.mean() + limit * last.std(ddof=1))


def conbench(before: Floats, value: float) -> bool:
    """Five standard deviations above the mean of the last 100."""
    last = before[-100:]
    return bool(value > last.mean() + 5.0 * last.std(ddof=1))


def rustc_perf(before: Floats, value: float) -> bool:
    """A relative move beyond the third quartile of past moves by three times their inter-quartile range."""
    moves = np.abs(np.diff(before[-101:]) / before[-101:][:-1])
    q1, q3 = np.quantile(moves, (0.25, 0.75))
    return bool(value / before[-1] - 1.0 > q3 + 3.0 * (q3 - q1))


def perfherder(values: Floats) -> Places:
    """Student's t over 7 between the 12 points before and the 12 from there on, and a step of 2 %; the peak of each."""
    ts = np.zeros(len(values))
    for at in range(12, len(values) - 11):
        old, new = values[at - 12 : at], values[at : at + 12]
        pooled = math.sqrt((old.var(ddof=1) + new.var(ddof=1)) / 12.0)
        if pooled > 0 and new.mean() / old.mean() > 1.02:
            ts[at] = (new.mean() - old.mean()) / pooled
    return [at for at in range(1, len(ts) - 1) if ts[at] > 7.0 and ts[at] == ts[max(0, at - 6) : at + 7].max()]


OURS = Rule("ours", ours)
RULES: Sequence[Rule] = (
    OURS,
    Rule("asv, 5 %", each(asv(0.05)), "asv"),
    Rule("asv, 1 %", each(asv(0.01)), "asv"),
    Rule("Apache Otava", each(otava), "otava"),
    Rule("kernel PELT", each(kernel_pelt), "ruptures"),
    Rule("Bencher t .99", each(point_by_point(bencher))),
    Rule("Conbench z 5", each(point_by_point(conbench))),
    Rule("rustc-perf IQR", each(point_by_point(rustc_perf))),
    Rule("Perfherder", each(perfherder)),
)
