"""Judge one series: points in; changes, verdict, and what it could see out. Pure; the pipeline keeps the answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from perfsvc import detect
from perfsvc.detect.family import is_worse
from perfsvc.detect.noise import estimate_noise
from perfsvc.detect.scale import to_scale
from perfsvc.model import Change, ChangeKind, ChangeState, Direction, Verdict
from perfsvc.settings import DetectSection
from perfsvc.store.rows import ChangeRow, PointRow, SeriesRow

#: A change found again may have moved by so many points: its boundary is fitted anew each night.
SAME_WITHIN = 10

#: With fewer points than this a series that sees nothing yet is new, not noisy.
FEW_POINTS = 10

#: An improvement is news for so many points.
NEWS_POINTS = 30


@dataclass(frozen=True, slots=True)
class Finding:
    """A change found in the series tonight, beside the one that is kept of it."""

    change: Change
    kept: ChangeRow | None
    worse: bool
    last_good: PointRow
    first_bad: PointRow
    environment_moved: bool


@dataclass(frozen=True, slots=True)
class Judged:
    """What there is to say of a series. `p_worse`, `p_better`: what it brings into the night's family."""

    series: SeriesRow
    points: tuple[PointRow, ...]
    findings: tuple[Finding, ...]
    withdrawn: tuple[ChangeRow, ...]  #: kept changes that later data do not show any more
    p_worse: float
    p_better: float
    sigma: float | None
    minimum_detectable_effect: float | None

    @property
    def values(self) -> list[float]:
        return [p.value for p in self.points if p.value is not None]


def judge(
    series: SeriesRow,
    points: Sequence[PointRow],
    kept: Sequence[ChangeRow],
    options: DetectSection,
    minimum_effect: float,
) -> Judged:
    """Find the changes of a series, and match them with those that are kept.

    A value that a failing guard vouches against is no evidence for a level: it is left out.
    """
    values = [math.nan if p.value is None or p.wrong else p.value for p in points]
    found = _find(series, values, points, options.alpha, minimum_effect)
    pairs = _match(found, kept, points)
    findings = tuple(_finding(series, change, row, values, points) for change, row in pairs)
    matched = {row.id for _, row in pairs if row is not None}
    standing = [row for row in kept if row.state is not ChangeState.WITHDRAWN]
    noise = estimate_noise(to_scale(values, "log").x)
    told = {f.kept.id for f in findings if f.kept and f.kept.state is ChangeState.REPORTED}
    fresh = [f for f in findings if not (f.kept and f.kept.id in told)]
    return Judged(
        series=series,
        points=tuple(points),
        findings=findings,
        withdrawn=tuple(row for row in standing if row.id not in matched),
        p_worse=_smallest_p(fresh, worse=True),
        p_better=_smallest_p(fresh, worse=False),
        sigma=0.0 if series.exact else noise.sigma,
        minimum_detectable_effect=0.0
        if series.exact
        else detect.minimum_detectable_effect(values, alpha=options.alpha, minimum_effect=minimum_effect),
    )


def _find(
    series: SeriesRow, values: list[float], points: Sequence[PointRow], alpha: float, minimum_effect: float
) -> list[Change]:
    if series.exact:
        return detect.exact_changes(values)
    spread = [_spread(p) for p in points]
    return detect.detect_changes(values, alpha=alpha, minimum_effect=minimum_effect, spread=spread)


def _spread(point: PointRow) -> float:
    """(q75 - q25) / median of a commit's runs; NaN where it is not known."""
    if not point.value or point.q25 is None or point.q75 is None:
        return math.nan
    return (point.q75 - point.q25) / abs(point.value)


def _match(
    found: Sequence[Change], kept: Sequence[ChangeRow], points: Sequence[PointRow]
) -> list[tuple[Change, ChangeRow | None]]:
    """Pair each change found with the kept one it is, if any: same kind, same way, the nearest within reach."""
    index = {p.commit.id: i for i, p in enumerate(points)}
    free = {row.id: row for row in kept if row.first_bad.id in index}
    pairs: list[tuple[Change, ChangeRow | None]] = []
    for change in found:
        reach = 0 if change.kind is ChangeKind.EXACT else SAME_WITHIN
        near = [
            (abs(index[row.first_bad.id] - change.index), row.state is ChangeState.WITHDRAWN, row.id)
            for row in free.values()
            if row.kind is change.kind
            and (change.after > change.before) == (row.after > row.before)
            and abs(index[row.first_bad.id] - change.index) <= reach
        ]
        best = free.pop(min(near)[2]) if near else None
        pairs.append((change, best))
    return pairs


def _finding(
    series: SeriesRow, change: Change, kept: ChangeRow | None, values: list[float], points: Sequence[PointRow]
) -> Finding:
    before = max(i for i in range(change.index) if not math.isnan(values[i]))
    good, bad = points[before], points[change.index]
    moved = bool(good.environment and bad.environment and good.environment != bad.environment)
    return Finding(change, kept, is_worse(change, series.direction), good, bad, moved)


def _smallest_p(findings: Sequence[Finding], *, worse: bool) -> float:
    steps = (f for f in findings if f.worse is worse and not f.change.flags and f.change.kind is ChangeKind.STEP)
    return min((f.change.p for f in steps), default=1.0)


def is_told(finding: Finding, q_worse: float, q_better: float, limit: float) -> bool:
    """Is this change reported? Exact ones at once; steps by the night's family; what was told stays told."""
    if finding.kept is not None and finding.kept.state is ChangeState.REPORTED:
        return True
    if finding.change.kind is ChangeKind.EXACT:
        return True
    if finding.change.kind is ChangeKind.TREND or finding.change.flags:
        return False
    return (q_worse if finding.worse else q_better) <= limit


def verdict(judged: Judged, standing: Sequence[Finding]) -> tuple[Verdict, float | None]:
    """The word for the series today, and the ratio of the newest change that stands (`standing`: oldest first)."""
    points = judged.points
    if not points or points[-1].value is None:
        return Verdict.NO_DATA, None
    if points[-1].wrong:
        return Verdict.WRONG, standing[-1].change.ratio if standing else None
    if standing:
        newest = standing[-1]
        return _word(judged.series.direction, newest), newest.change.ratio
    if not judged.series.exact and judged.minimum_detectable_effect is None:
        return (Verdict.NEW if len(judged.values) < FEW_POINTS else Verdict.NOISY), None
    return Verdict.STEADY, None


def _word(direction: Direction, finding: Finding) -> Verdict:
    if direction is Direction.NEITHER:
        return Verdict.CHANGED
    return Verdict.SLOWER if finding.worse else Verdict.FASTER
