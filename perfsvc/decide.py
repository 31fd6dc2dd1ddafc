"""Alerts out of what is stored: group, narrow, resolve, withdraw. The hand between alerts.py and the store."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from perfsvc import alerts, detect, units, wording
from perfsvc.model import STANDING, AlertKind, AlertState, ChangeKind, ChangeState, Outcome
from perfsvc.rows import AlertRow, ChangeRow, CommitRow, GuardRow, Words
from perfsvc.store import queries, writes

SERVICE = "perfsvc"  #: the actor of what the service does by itself

GuardKey = tuple[str, str]  # machine, test


@dataclass(slots=True)
class _Desk:
    """What one pass works with."""

    tx: Connection
    project_id: int
    now: datetime
    line: Sequence[CommitRow]
    place: Mapping[int, int]  #: commit id -> number along the line
    alerts: dict[int, AlertRow]  #: as they were when the pass began
    state: dict[int, AlertState]  #: as they are now
    opened: set[int] = field(default_factory=set)

    def event(self, alert_id: int, action: str, reason: str) -> None:
        writes.alerts.add_event(self.tx, alert_id, actor=SERVICE, action=action, reason=reason, now=self.now)

    def move(self, alert_id: int, action: str, reason: str) -> None:
        state = alerts.step(self.state[alert_id], action, actor=SERVICE, reason=reason)
        writes.alerts.set_alert_state(
            self.tx, alert_id, state, actor=SERVICE, action=action, reason=reason, now=self.now
        )
        self.state[alert_id] = state

    def of_kind(self, kind: AlertKind) -> list[int]:
        return [row.id for row in self.alerts.values() if row.kind is kind]


def decide(tx: Connection, project_id: int, now: datetime) -> tuple[list[AlertRow], list[AlertRow]]:
    """Open, join, narrow, resolve and withdraw alerts. Those that opened and stand, and those whose state moved.

    What opened and was over at once is history: it is kept, and nobody is told.
    """
    line = queries.commits(tx, project_id)
    kept = {row.id: row for row in queries.alerts(tx, project_id)}
    place = {commit.id: i for i, commit in enumerate(line)}
    desk = _Desk(tx, project_id, now, line, place, kept, {row.id: row.state for row in kept.values()})
    _decide_changes(desk)
    _decide_guards(desk)
    rows = {row.id: row for row in queries.alerts(tx, project_id)}
    opened = [rows[i] for i in sorted(desk.opened) if rows[i].state in STANDING]
    moved = [rows[i] for i, before in sorted(kept.items()) if rows[i].state is not before.state]
    return opened, moved


# --- changes ----------------------------------------------------------------------------------------------------------


def _decide_changes(desk: _Desk) -> None:
    standing = [state for state in ChangeState if state is not ChangeState.WITHDRAWN]
    found = [c for c in queries.changes(desk.tx, desk.project_id, states=standing) if _on_line(desk, c)]
    told = {c.id: c for c in found if c.state is ChangeState.REPORTED and c.worse}
    newest = _newest(desk, found)
    kept: dict[int, list[ChangeRow]] = {alert_id: [] for alert_id in desk.of_kind(AlertKind.REGRESSION)}
    for change in told.values():
        if change.alert is not None:
            kept[change.alert].append(change)
    for alert_id, changes in kept.items():
        _reopen(desk, alert_id, changes, newest)
    members: dict[int, list[ChangeRow]] = {}
    for group in alerts.group(
        (_finding(desk, c) for c in told.values() if c.alert is None),
        [alerts.Standing(i, desk.state[i], tuple(_finding(desk, c) for c in kept[i])) for i in kept],
    ):
        alert_id = _settle(desk, group, AlertKind.REGRESSION)
        writes.alerts.join_alert(desk.tx, alert_id, (f.key for f in group.joined if isinstance(f.key, int)))
        members[alert_id] = [told[f.key] for f in group.findings if isinstance(f.key, int)]
    for row in _standing(desk, AlertKind.REGRESSION):
        _close_or_describe(desk, row, members.get(row.id, []), newest)


def _on_line(desk: _Desk, change: ChangeRow) -> bool:
    return change.last_good.id in desk.place and change.first_bad.id in desk.place


def _newest(desk: _Desk, changes: Sequence[ChangeRow]) -> dict[int, ChangeRow]:
    """Each series' newest change: the level that it led to holds today."""
    return {c.series: c for c in sorted(changes, key=lambda c: (desk.place[c.first_bad.id], c.id))}


def _finding(desk: _Desk, change: ChangeRow) -> alerts.Finding:
    return alerts.Finding(
        change.id,
        desk.place[change.last_good.id],
        desk.place[change.first_bad.id],
        blurred=change.kind is ChangeKind.STEP,
        badness=wording.badness(change),
    )


def _reopen(desk: _Desk, alert_id: int, changes: Sequence[ChangeRow], newest: Mapping[int, ChangeRow]) -> None:
    """What the service closed by itself it opens by itself, when later data say so."""
    if desk.state[alert_id] is AlertState.WITHDRAWN and changes:
        desk.move(alert_id, "reopen", "later data show it again")
    if desk.state[alert_id] is AlertState.RESOLVED and any(newest[c.series].id == c.id for c in changes):
        desk.move(alert_id, "reopen", "the level is not back after all")


def _close_or_describe(
    desk: _Desk, row: AlertRow, members: Sequence[ChangeRow], newest: Mapping[int, ChangeRow]
) -> None:
    """Withdraw an alert of which nothing is left, resolve one whose levels have all come back."""
    if not members:
        desk.move(row.id, "withdraw", "later data do not show it any more")
        return
    _describe(desk, row, wording.of_changes(row, members, *detect.cause_of(_facts(members))))
    if all(_is_recovered(change, newest[change.series]) for change in members):
        desk.move(row.id, "resolve", "every level is back where it was")


def _facts(members: Sequence[ChangeRow]) -> detect.Facts:
    """What the changes of one alert tell of its cause: a machine whose environment stood is a witness for the code."""
    witnesses = {c.machine for c in members if not c.environment_moved}
    return detect.Facts(
        exact=any(c.kind is ChangeKind.EXACT and not c.environment_moved for c in members),
        environment_moved=not witnesses,
        machines_moved=max(0, len(witnesses) - 1),
    )


def _is_recovered(change: ChangeRow, newest: ChangeRow) -> bool:
    return newest.id != change.id and alerts.is_recovered(change.before, change.after, newest.after)


# --- guards -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Failing:
    """A guard that fails at its newest commit, from its first failure after its last pass on."""

    good: GuardRow | None
    bad: GuardRow
    newest: GuardRow


def _decide_guards(desk: _Desk) -> None:
    histories = _histories(desk)
    failing = {key: found for key, history in histories.items() if (found := _failing(history)) is not None}
    kept = _kept_guards(desk)
    for key, alert_id in kept.items():
        if key not in failing:
            writes.alerts.recover_alert_guard(desk.tx, alert_id, *key, desk.now)
    # A guard that fails anew is worse than whatever was decided about the others.
    new = [_failure(desk, key, failing[key], badness=math.inf) for key in failing.keys() - kept.keys()]
    of_alert: dict[int, list[alerts.Finding]] = defaultdict(list)
    for key in failing.keys() & kept.keys():
        of_alert[kept[key]].append(_failure(desk, key, failing[key]))
    standing = [alerts.Standing(i, desk.state[i], tuple(findings)) for i, findings in of_alert.items()]
    for group in alerts.group(new, standing):
        alert_id = _settle(desk, group, AlertKind.WRONG)
        for finding in group.findings:
            assert isinstance(finding.key, tuple)
            if (before := kept.get(finding.key, alert_id)) != alert_id:
                writes.alerts.drop_alert_guard(desk.tx, before, *finding.key)
            _keep_guard(desk, alert_id, failing[finding.key])
    _close_guards(desk, histories.keys())


def _histories(desk: _Desk) -> dict[GuardKey, list[GuardRow]]:
    """What each guard that ever failed said along the line. Not run and not applicable say nothing."""
    spoken = (Outcome.PASSED, Outcome.FAILED)
    found: dict[GuardKey, list[GuardRow]] = defaultdict(list)
    for row in queries.guard_history(desk.tx, desk.project_id, outcomes=spoken, ever_failed=True):
        if row.commit.id in desk.place:
            found[(row.machine, row.test)].append(row)
    return found


def _failing(history: Sequence[GuardRow]) -> _Failing | None:
    if history[-1].outcome is not Outcome.FAILED:
        return None
    passes = [i for i, row in enumerate(history) if row.outcome is Outcome.PASSED]
    good = passes[-1] if passes else -1
    return _Failing(history[good] if passes else None, history[good + 1], history[-1])


def _kept_guards(desk: _Desk) -> dict[GuardKey, int]:
    """(machine, test) -> the alert that it fails in; recovered ones are news when they fail again."""
    open_to_it = [i for i in desk.of_kind(AlertKind.WRONG) if desk.state[i] not in alerts.CLOSED]
    return {
        (guard.machine, guard.test): alert_id
        for alert_id, guards in queries.guards_of_alerts(desk.tx, open_to_it).items()
        for guard in guards
        if guard.recovered_at is None
    }


def _failure(desk: _Desk, key: GuardKey, found: _Failing, *, badness: float = 1.0) -> alerts.Finding:
    after = desk.place[found.good.commit.id] if found.good else -1
    return alerts.Finding(key, after, desk.place[found.bad.commit.id], badness=badness)


def _keep_guard(desk: _Desk, alert_id: int, found: _Failing) -> None:
    good = found.good.commit.id if found.good else None
    writes.alerts.keep_alert_guard(desk.tx, alert_id, found.newest, last_good=good, first_bad=found.bad.commit.id)


def _close_guards(desk: _Desk, spoken: Collection[GuardKey]) -> None:
    """Resolve an alert whose guards all pass again; withdraw it where no run that counts says anything of them."""
    rows = _standing(desk, AlertKind.WRONG)
    guards = queries.guards_of_alerts(desk.tx, [row.id for row in rows])
    for row in rows:
        mine = guards.get(row.id, [])
        if any(guard.recovered_at is None for guard in mine):
            _describe(desk, row, wording.of_guards(row, mine))
        elif any((guard.machine, guard.test) in spoken for guard in mine):
            desk.move(row.id, "resolve", "every guard passes again")
        else:
            desk.move(row.id, "withdraw", "the runs that showed it do not count any more")


# --- alerts -----------------------------------------------------------------------------------------------------------


def _settle(desk: _Desk, group: alerts.Group, kind: AlertKind) -> int:
    """The group's alert: a new one, or the one it joins, reopened where the news is worse than what was decided on."""
    alert_id = group.alert
    if alert_id is None:
        alert_id = writes.alerts.open_alert(desk.tx, desk.project_id, kind, now=desk.now)
        desk.opened.add(alert_id)
        desk.state[alert_id] = AlertState.OPEN
        desk.event(alert_id, "opened", "")
    elif group.reopened:
        desk.move(alert_id, "reopen", "what joined it is worse than what was decided on")
    elif group.joined:
        desk.event(alert_id, "joined", units.count(len(group.joined), "finding"))
    good = desk.line[group.after].id if group.after >= 0 else None
    bad = desk.line[group.upto].id
    row = desk.alerts.get(alert_id)
    if row is None or (row.last_good and row.last_good.id, row.first_bad and row.first_bad.id) != (good, bad):
        writes.alerts.set_range(desk.tx, alert_id, good, bad)
    return alert_id


def _standing(desk: _Desk, kind: AlertKind) -> list[AlertRow]:
    return [row for row in queries.alerts(desk.tx, desk.project_id, states=STANDING) if row.kind is kind]


def _describe(desk: _Desk, row: AlertRow, words: Words) -> None:
    said = Words(row.title, row.explanation, row.cause, row.worst_ratio, row.owner)
    if words != said:
        writes.alerts.describe_alert(desk.tx, row.id, words, now=desk.now)
