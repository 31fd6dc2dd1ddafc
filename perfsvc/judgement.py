"""Judge series: points in; changes, verdict, and what could be seen out. Pure; the pipeline keeps the answer."""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perfsvc import detect
from perfsvc.detect.family import is_worse
from perfsvc.detect.noise import estimate_noise
from perfsvc.detect.online import SAME_WITHIN
from perfsvc.detect.scale import to_scale
from perfsvc.model import Change, ChangeKind, ChangeState, Direction, Verdict
from perfsvc.rows import ChangeRow, CommitRow, PointRow, SeriesRow
from perfsvc.settings import DetectSection

#: With fewer points than this a series that sees nothing yet is new, not noisy.
FEW_POINTS = 10

#: An improvement is news for so many points.
NEWS_POINTS = 30

#: What the overview draws of a series.
LAST_VALUES = 30


@dataclass(frozen=True, slots=True)
class Case:
    """A series to be judged, with what is kept of its changes."""

    series: SeriesRow
    points: Sequence[PointRow]
    kept: Sequence[ChangeRow]
    minimum_effect: float

    @property
    def values(self) -> list[float]:
        """A value that a failing guard vouches against is no evidence for a level: it is left out."""
        return [math.nan if p.value is None or p.wrong else p.value for p in self.points]


@dataclass(frozen=True, slots=True)
class Finding:
    """A change found in the series tonight, beside the one that is kept of it."""

    change: Change
    kept: ChangeRow | None
    worse: bool
    last_good: PointRow
    first_bad: PointRow
    environment_moved: bool
    recent: bool  #: among the newest points

    @property
    def told(self) -> bool:
        """Reported already: it is not tested again."""
        return self.kept is not None and self.kept.state is ChangeState.REPORTED


@dataclass(frozen=True, slots=True)
class Judged:
    """What there is to say of a series; its points may be forgotten."""

    series: SeriesRow
    newest: PointRow | None
    points: int  #: with a value
    last_values: tuple[float, ...]  #: oldest first
    findings: tuple[Finding, ...]
    withdrawn: tuple[ChangeRow, ...]  #: kept changes that later data do not show any more
    p_worse: tuple[float, ...]  #: what it brings into the night's family; without a candidate 1
    p_better: tuple[float, ...]
    sigma: float | None
    minimum_detectable_effect: float | None
    suspect: bool = False  #: its newest point is odd: one more run of that commit would tell


def judge(
    series: SeriesRow,
    points: Sequence[PointRow],
    kept: Sequence[ChangeRow],
    options: DetectSection,
    minimum_effect: float,
) -> Judged:
    """One series by itself. Of many, `judge_all` says the same, sooner."""
    return judge_all([Case(series, points, kept, minimum_effect)], options)[0]


def judge_all(cases: Sequence[Case], options: DetectSection) -> list[Judged]:
    """Find the changes of each series, and match them with those that are kept."""
    values = [case.values for case in cases]
    found = _find(cases, values, options.alpha)
    return [_judged(*one, options) for one in zip(cases, values, found, strict=True)]


def _judged(case: Case, values: list[float], found: Sequence[Change], options: DetectSection) -> Judged:
    pairs = _match(found, case.kept, case.points)
    findings = tuple(_finding(case, change, row, values) for change, row in pairs)
    matched = {row.id for _, row in pairs if row is not None}
    shown = [p.value for p in case.points if p.value is not None]
    exact = case.series.exact
    return Judged(
        series=case.series,
        newest=case.points[-1] if case.points else None,
        points=len(shown),
        last_values=tuple(shown[-LAST_VALUES:]),
        findings=findings,
        withdrawn=tuple(c for c in case.kept if c.state is not ChangeState.WITHDRAWN and c.id not in matched),
        p_worse=_p_values(findings, worse=True),
        p_better=_p_values(findings, worse=False),
        sigma=0.0 if exact else _sigma(values),
        minimum_detectable_effect=0.0
        if exact
        else detect.minimum_detectable_effect(values, alpha=options.alpha, minimum_effect=case.minimum_effect),
        suspect=not exact and _is_suspect(case, values, found),
    )


def _is_suspect(case: Case, values: list[float], found: Sequence[Change]) -> bool:
    if detect.suspect(values, found) is None:
        return False
    spread = [_spread(p) for p in case.points]
    return not spread[-1] > _widest(spread)


def _sigma(values: list[float]) -> float | None:
    """Of one point. Two values at least: one alone does not scatter."""
    scaled = to_scale(values, "log").x
    return estimate_noise(scaled).sigma if len(scaled) > 1 else None


# --- finding ----------------------------------------------------------------------------------------------------------


def _find(cases: Sequence[Case], values: Sequence[list[float]], alpha: float) -> list[list[Change]]:
    """The changes of each series. Those that look for the same effect share each pass over time."""
    found: list[list[Change]] = [[] for _ in cases]
    alike: dict[float, list[int]] = defaultdict(list)
    for i, case in enumerate(cases):
        if case.series.exact:
            found[i] = detect.exact_changes(values[i])
        else:
            alike[case.minimum_effect].append(i)
    for effect, members in alike.items():
        batch = detect.detect_batch([values[i] for i in members], alpha=alpha, minimum_effect=effect)
        for i, changes in zip(members, batch, strict=True):
            found[i] = _without_noisy_runs(changes, cases[i], values[i], alpha)
    return found


def _without_noisy_runs(changes: list[Change], case: Case, values: list[float], alpha: float) -> list[Change]:
    """A noisy run is no evidence for a level. It can only take a change away: without a change nothing is looked at."""
    if not changes:
        return changes
    spread = [_spread(p) for p in case.points]
    widest = _widest(spread)
    if not any(r > widest for r in spread):
        return changes
    return detect.detect_changes(values, alpha=alpha, minimum_effect=case.minimum_effect, spread=spread)


def _widest(spread: Sequence[float]) -> float:
    """Beyond it a run is noisy, among those of its series; infinite where no run's spread is known."""
    known = [r for r in spread if not math.isnan(r)]
    return detect.NOISY_SPREAD * float(np.median(known)) if known else math.inf


def _spread(point: PointRow) -> float:
    """(q75 - q25) / median of a commit's runs; NaN where it is not known."""
    if not point.value or point.q25 is None or point.q75 is None:
        return math.nan
    return (point.q75 - point.q25) / abs(point.value)


# --- matching ---------------------------------------------------------------------------------------------------------


def _match(
    found: Sequence[Change], kept: Sequence[ChangeRow], points: Sequence[PointRow]
) -> list[tuple[Change, ChangeRow | None]]:
    """Pair each change found with the kept one it is, if any; of several ways to pair the nearest, and the standing."""
    rows = {row.id: row for row in kept}
    near = sorted(
        (away, row.state is ChangeState.WITHDRAWN, row.id, i)
        for row in kept
        for i, change in enumerate(found)
        if (away := _distance(change, row, points)) is not None
    )
    paired: dict[int, ChangeRow] = {}
    for _, _, row_id, i in near:
        if row_id in rows and i not in paired:
            paired[i] = rows.pop(row_id)
    return [(change, paired.get(i)) for i, change in enumerate(found)]


def _distance(change: Change, row: ChangeRow, points: Sequence[PointRow]) -> int | None:
    """How many points lie between a change and a kept one; None: they are not the same.

    The same: of one kind, the same way, and either the kept range holds the new first point, as when a commit between
    was measured later, or, for a step, the two are within reach.
    """
    if row.kind is not change.kind or (change.after > change.before) != (row.after > row.before):
        return None
    first, last = _index(row.last_good, points), _index(row.first_bad, points)
    if first is None or last is None:
        return None
    away = abs(last - change.index)
    if first < change.index <= last:
        return away
    return away if away <= (0 if change.kind is ChangeKind.EXACT else SAME_WITHIN) else None


def _index(commit: CommitRow, points: Sequence[PointRow]) -> int | None:
    """The commit's place among the points; where it is no point any more, that of the next one. None: off the line."""
    by_git = bool(points) and points[0].commit.position is not None
    if by_git and commit.position is None:
        return None
    return bisect_left(points, _place(commit, by_git), key=lambda p: _place(p.commit, by_git))


def _place(commit: CommitRow, by_git: bool) -> tuple[float, str]:
    return (commit.position or 0, "") if by_git else (commit.authored_at.timestamp(), commit.hash)


def _finding(case: Case, change: Change, kept: ChangeRow | None, values: list[float]) -> Finding:
    before = next(i for i in range(change.index - 1, -1, -1) if not math.isnan(values[i]))
    return Finding(
        change=change,
        kept=kept,
        worse=is_worse(change, case.series.direction),
        last_good=case.points[before],
        first_bad=case.points[change.index],
        environment_moved=_environment_moved(case.points, before, change),
        recent=change.index >= len(case.points) - NEWS_POINTS,
    )


def _environment_moved(points: Sequence[PointRow], before: int, change: Change) -> bool:
    """Did the environment move where the level did? A step may start one point off; an exact change is where it is."""
    blur = 0 if change.kind is ChangeKind.EXACT else 1
    around = points[max(0, before - blur) : change.index + 1 + blur]
    known = [p.environment for p in around if p.environment]
    return any(a != b for a, b in itertools.pairwise(known))


# --- telling ----------------------------------------------------------------------------------------------------------


def _p_values(findings: Sequence[Finding], *, worse: bool) -> tuple[float, ...]:
    return tuple(f.change.p for f in findings if f.worse is worse and is_tested(f)) or (1.0,)


def is_tested(finding: Finding) -> bool:
    """Steps are; not exact changes, which are certain, nor trends, nor what is flagged, nor what was told before."""
    return finding.change.kind is ChangeKind.STEP and not finding.change.flags and not finding.told


def family(judged: Sequence[Judged], *, worse: bool) -> dict[float, float]:
    """p -> q over all series that are judged together: of what has a small q, at most that share is false.

    What was told leaves the family, which makes the others' q larger: judging twice never tells more.
    """
    p_values = [p for one in judged for p in (one.p_worse if worse else one.p_better)]
    return dict(zip(p_values, detect.q_values(p_values), strict=True))


def verdict(judged: Judged, standing: Sequence[Finding]) -> tuple[Verdict, float | None]:
    """The word for the series today, and the ratio of the newest change that stands (`standing`: oldest first)."""
    newest = judged.newest
    ratio = standing[-1].change.ratio if standing else None
    if newest is None or newest.value is None:
        return Verdict.NO_DATA, None
    if newest.wrong:
        return Verdict.WRONG, ratio
    if standing:
        return _word(judged.series.direction, standing[-1]), ratio
    if not judged.series.exact and judged.minimum_detectable_effect is None:
        return (Verdict.NEW if judged.points < FEW_POINTS else Verdict.NOISY), None
    return (Verdict.SUSPECT if judged.suspect else Verdict.STEADY), None


def _word(direction: Direction, finding: Finding) -> Verdict:
    if direction is Direction.NEITHER:
        return Verdict.CHANGED
    return Verdict.SLOWER if finding.worse else Verdict.FASTER
