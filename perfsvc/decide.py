"""Alerts out of what is stored: group findings, narrow ranges, resolve what is over. Between alerts.py and the store."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from perfsvc import alerts, units
from perfsvc.judgement import Finding
from perfsvc.model import STANDING, AlertKind, AlertState, Cause, ChangeKind, ChangeState, Outcome
from perfsvc.store import queries, writes
from perfsvc.store.rows import AlertDetail, AlertGuardRow, AlertRow, ChangeRow, CommitRow, GuardRow, SeriesRow

SERVICE = "perfsvc"  #: the actor of what the service does by itself


@dataclass(slots=True)
class _Desk:
    """What one pass works with."""

    tx: Connection
    project_id: int
    now: datetime
    place: Mapping[int, int]  #: commit id -> number along the line
    commit: Mapping[int, CommitRow]  #: the other way round
    opened: set[int] = field(default_factory=set)
    moved: set[int] = field(default_factory=set)
    touched: set[int] = field(default_factory=set)


def decide(tx: Connection, project_id: int, now: datetime) -> tuple[list[AlertRow], list[AlertRow]]:
    """Open, join, narrow, resolve and withdraw alerts. The opened ones, and those whose state moved."""
    line = queries.commits(tx, project_id)
    desk = _Desk(tx, project_id, now, {c.id: i for i, c in enumerate(line)}, dict(enumerate(line)))
    _decide_changes(desk)
    _decide_guards(desk)
    _describe(desk)
    rows = {row.id: row for row in queries.alerts(tx, project_id)}
    return [rows[i] for i in sorted(desk.opened)], [rows[i] for i in sorted(desk.moved - desk.opened)]


# --- changes ----------------------------------------------------------------------------------------------------------


def _decide_changes(desk: _Desk) -> None:
    reported = queries.changes(desk.tx, desk.project_id, states=[ChangeState.REPORTED])
    new = [c for c in reported if c.worse and c.alert is None and c.last_good.id in desk.place]
    findings = [
        alerts.Finding(
            c.id,
            desk.place[c.last_good.id],
            desk.place[c.first_bad.id],
            blurred=c.kind is ChangeKind.STEP,
            badness=_badness(c),
        )
        for c in new
    ]
    for group in alerts.group(findings, _kept(desk, AlertKind.REGRESSION)):
        alert_id = _opened(desk, group, AlertKind.REGRESSION)
        writes.judging.join_alert(desk.tx, alert_id, (f.key for f in group.findings if isinstance(f.key, int)))
    _close_changes(desk)


def _badness(change: ChangeRow) -> float:
    """How many times worse; from nothing to something counts as very much."""
    if not change.ratio:
        return float("inf")
    return max(change.ratio, 1 / change.ratio)


def _kept(desk: _Desk, kind: AlertKind) -> list[alerts.Standing]:
    return [
        alerts.Standing(
            row.id,
            row.kind,
            row.state,
            -1 if row.last_good is None else desk.place.get(row.last_good.id, -1),
            desk.place[row.first_bad.id],
            row.worst_ratio or float("inf"),
        )
        for row in queries.alerts(desk.tx, desk.project_id)
        if row.kind is kind and row.first_bad is not None and row.first_bad.id in desk.place
    ]


def _opened(desk: _Desk, group: alerts.Group, kind: AlertKind) -> int:
    """The group's alert: a new one, or the one it joins, reopened where the news is worse than what was decided on."""
    alert_id = group.alert
    if alert_id is None:
        alert_id = writes.judging.open_alert(desk.tx, desk.project_id, kind, now=desk.now)
        desk.opened.add(alert_id)
        _event(desk, alert_id, "opened", "")
    elif group.reopened:
        _move(desk, alert_id, AlertState.OPEN, "reopen", "what joined it is worse than what was decided on")
    else:
        _event(desk, alert_id, "joined", units.count(len(group.findings), "finding"))
    after = desk.commit[group.after].id if group.after >= 0 else None
    writes.judging.set_range(desk.tx, alert_id, after, desk.commit[group.upto].id)
    desk.touched.add(alert_id)
    return alert_id


def _event(desk: _Desk, alert_id: int, action: str, reason: str) -> None:
    writes.judging.add_event(desk.tx, alert_id, actor=SERVICE, action=action, reason=reason, now=desk.now)


def _move(desk: _Desk, alert_id: int, state: AlertState, action: str, reason: str) -> None:
    writes.judging.set_alert_state(desk.tx, alert_id, state, actor=SERVICE, action=action, reason=reason, now=desk.now)
    desk.moved.add(alert_id)
    desk.touched.add(alert_id)


def _close_changes(desk: _Desk) -> None:
    """Withdraw alerts of which nothing is left, resolve those whose levels have all come back."""
    for row in _standing(desk, AlertKind.REGRESSION):
        members = queries.changes(desk.tx, desk.project_id, alert_id=row.id)
        left = [c for c in members if c.state is not ChangeState.WITHDRAWN]
        if members and not left:
            _move(desk, row.id, AlertState.WITHDRAWN, "withdraw", "later data do not show it any more")
        elif left and all(_recovered(desk, left)):
            _move(desk, row.id, AlertState.RESOLVED, "resolve", "every level is back where it was")


def _standing(desk: _Desk, kind: AlertKind) -> list[AlertRow]:
    return [row for row in queries.alerts(desk.tx, desk.project_id, states=STANDING) if row.kind is kind]


def _recovered(desk: _Desk, members: Sequence[ChangeRow]) -> Iterable[bool]:
    points = queries.points_of(desk.tx, sorted({c.series for c in members}))
    for change in members:
        since = desk.place.get(change.first_bad.id, 0)
        later = [
            p.value
            for p in points.get(change.series, [])
            if p.value is not None and not p.wrong and desk.place.get(p.commit.id, -1) >= since
        ]
        yield alerts.is_recovered(change.before, change.after, later, exact=change.kind is ChangeKind.EXACT)


# --- guards -----------------------------------------------------------------------------------------------------------


def _decide_guards(desk: _Desk) -> None:
    """A guard that fails at its newest commit is an alert, from its first failure after its last pass on."""
    histories: dict[tuple[str, str], list[GuardRow]] = defaultdict(list)
    for row in queries.guard_history(desk.tx, desk.project_id):
        if row.outcome in (Outcome.PASSED, Outcome.FAILED) and row.commit.id in desk.place:
            histories[(row.machine, row.test)].append(row)
    kept = _kept_guards(desk)
    failing: dict[tuple[str, str], tuple[GuardRow, GuardRow | None, GuardRow]] = {}
    for key, history in histories.items():
        if history[-1].outcome is Outcome.FAILED:
            failing[key] = (*_first_failure(history), history[-1])
        elif key in kept:
            writes.judging.recover_alert_guard(desk.tx, kept[key], *key, desk.now)
            desk.touched.add(kept[key])
    for key in failing.keys() & kept.keys():
        _keep_guard(desk, kept[key], failing[key])
    new = [
        alerts.Finding(key, desk.place[good.commit.id] if good else -1, desk.place[bad.commit.id])
        for key, (bad, good, _) in failing.items()
        if key not in kept
    ]
    for group in alerts.group(new, _kept(desk, AlertKind.WRONG)):
        alert_id = _opened(desk, group, AlertKind.WRONG)
        for finding in group.findings:
            assert isinstance(finding.key, tuple)
            _keep_guard(desk, alert_id, failing[finding.key])
    for alert in _standing(desk, AlertKind.WRONG):
        if all(guard.recovered_at for guard in queries.alert_guards(desk.tx, alert.id)):
            _move(desk, alert.id, AlertState.RESOLVED, "resolve", "every guard passes again")


def _kept_guards(desk: _Desk) -> dict[tuple[str, str], int]:
    """(machine, test) -> the alert that it fails in; recovered ones are news when they fail again."""
    return {
        (guard.machine, guard.test): row.id
        for row in queries.alerts(desk.tx, desk.project_id)
        if row.kind is AlertKind.WRONG and row.state not in (AlertState.RESOLVED, AlertState.WITHDRAWN)
        for guard in queries.alert_guards(desk.tx, row.id)
        if guard.recovered_at is None
    }


def _first_failure(history: Sequence[GuardRow]) -> tuple[GuardRow, GuardRow | None]:
    """The first failure after the last pass, and that pass."""
    good = next((row for row in reversed(history) if row.outcome is Outcome.PASSED), None)
    bad = history[0] if good is None else history[history.index(good) + 1]
    return bad, good


def _keep_guard(desk: _Desk, alert_id: int, found: tuple[GuardRow, GuardRow | None, GuardRow]) -> None:
    bad, good, newest = found
    good_id = good.commit.id if good else None
    writes.judging.keep_alert_guard(desk.tx, alert_id, newest, last_good=good_id, first_bad=bad.commit.id)
    desk.touched.add(alert_id)


# --- words ------------------------------------------------------------------------------------------------------------


def explain(tx: Connection, series: SeriesRow, finding: Finding) -> str:
    """What the runs' facts say of a change: the operators that came and went with it."""
    case = (series.benchmark, json.dumps(series.params))
    before = writes.judging.operators(tx, finding.last_good.runs, *case)
    after = writes.judging.operators(tx, finding.first_bad.runs, *case)
    if before is None or after is None or before == after:
        return ""
    moved = sorted(set(before) | set(after), key=lambda name: (-abs(after.get(name, 0) - before.get(name, 0)), name))
    told = [
        f"{name} {before.get(name, 0)} -> {after.get(name, 0)}" for name in moved if before.get(name) != after.get(name)
    ]
    return "; ".join(told)


def _describe(desk: _Desk) -> None:
    for alert_id in desk.touched:
        detail = queries.alert(desk.tx, alert_id)
        words = _words_of_guards(detail) if detail.alert.kind is AlertKind.WRONG else _words_of_changes(desk, detail)
        title, cause, explanation = words
        left = [c for c in detail.changes if c.state is not ChangeState.WITHDRAWN]
        writes.judging.describe_alert(
            desk.tx,
            alert_id,
            title=title,
            cause=cause,
            explanation=explanation,
            worst_ratio=max((b for b in map(_badness, left) if b != float("inf")), default=None),
            owner=detail.commits[0].author if len(detail.commits) == 1 else "",
            now=desk.now,
        )


def _words_of_guards(detail: AlertDetail) -> tuple[str, Cause, str]:
    failing = [guard for guard in detail.guards if guard.recovered_at is None] or list(detail.guards)
    names = sorted({_guard_name(guard) for guard in failing})
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    title = f"{units.count(len(failing), 'guard')} failing: {shown}"
    return title, Cause.CODE, "results are wrong from this commit on; its timings are shown, never believed"


def _guard_name(guard: AlertGuardRow) -> str:
    return f"{guard.guard} ({guard.variant})" if guard.variant else guard.guard


def _words_of_changes(desk: _Desk, detail: AlertDetail) -> tuple[str, Cause, str]:
    left = [c for c in detail.changes if c.state is not ChangeState.WITHDRAWN] or list(detail.changes)
    worst = max(left, key=lambda c: (c.unit == units.SECONDS, _badness(c)))
    how = units.change(worst.ratio, worst.unit, worst.metric, before=worst.before, after=worst.after)
    others = f" and {units.count(len(left) - 1, 'other series', 'other series')}" if len(left) > 1 else ""
    exact = any(c.kind is ChangeKind.EXACT for c in left)
    moved = _environment_moved(desk, left)
    cause, why = alerts.cause_of(exact=exact and not moved, environment_moved=moved, canary_moved=False)
    operators = next((c.explanation for c in left if c.explanation), "")
    return f"{worst.label} {how}{others}", cause, f"{why}; operators: {operators}" if operators else why


def _environment_moved(desk: _Desk, members: Sequence[ChangeRow]) -> bool:
    """Did any member's environment differ between its last good and its first bad point?"""
    points = queries.points_of(desk.tx, sorted({c.series for c in members}))
    for change in members:
        found = {p.commit.id: p.environment for p in points.get(change.series, [])}
        good, bad = found.get(change.last_good.id, ""), found.get(change.first_bad.id, "")
        if good and bad and good != bad:
            return True
    return False
