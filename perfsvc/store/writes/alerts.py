"""Alerts, what belongs to them, and what became of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from perfsvc.model import STANDING, AlertKind, AlertState, ChangeState, Evidence, Verdict
from perfsvc.rows import GuardRow, Words
from perfsvc.store import tables as t


def open_alert(tx: Connection, project_id: int, kind: AlertKind, *, now: datetime) -> int:
    columns = {"project_id": project_id, "kind": kind, "state": AlertState.OPEN, "created_at": now, "updated_at": now}
    return int(tx.execute(insert(t.alert).values(columns).returning(t.alert.c.id)).scalar_one())


def describe_alert(tx: Connection, alert_id: int, words: Words, *, now: datetime) -> None:
    columns = {
        "title": words.title,
        "explanation": words.explanation,
        "cause": words.cause,
        "worst_ratio": words.worst_ratio,
        "owner": words.owner,
        "updated_at": now,
    }
    tx.execute(update(t.alert).where(t.alert.c.id == alert_id).values(columns))


def set_range(tx: Connection, alert_id: int, last_good: int | None, first_bad: int) -> None:
    """The commits (by id) that an alert can come from: after the last good one up to the first bad one."""
    tx.execute(update(t.alert).where(t.alert.c.id == alert_id).values(last_good_id=last_good, first_bad_id=first_bad))


def join_alert(tx: Connection, alert_id: int, change_ids: Iterable[int]) -> None:
    """These changes belong to this alert now, and to no other."""
    rows = [{"key": change_id, "alert_id": alert_id} for change_id in change_ids]
    if rows:
        tx.execute(update(t.change).where(t.change.c.id == bindparam("key")), rows)


def keep_alert_guard(
    tx: Connection, alert_id: int, failing: GuardRow, *, last_good: int | None, first_bad: int
) -> None:
    """A guard that fails belongs to an alert; failing again updates its numbers."""
    identity = {"alert_id": alert_id, "machine": failing.machine, "test": failing.test}
    columns = {
        "guard": failing.guard,
        "variant": failing.variant,
        "last_good_id": last_good,
        "first_bad_id": first_bad,
        "error": failing.error,
        "tolerance": failing.tolerance,
        "message": failing.message,
        "recovered_at": None,
    }
    where = [t.alert_guard.c[name] == value for name, value in identity.items()]
    if not tx.execute(update(t.alert_guard).where(*where).values(columns)).rowcount:
        tx.execute(insert(t.alert_guard).values(identity | columns))


def recover_alert_guard(tx: Connection, alert_id: int, machine: str, test: str, now: datetime) -> None:
    mine = update(t.alert_guard).where(
        t.alert_guard.c.alert_id == alert_id,
        t.alert_guard.c.machine == machine,
        t.alert_guard.c.test == test,
        t.alert_guard.c.recovered_at.is_(None),
    )
    tx.execute(mine.values(recovered_at=now))


def drop_alert_guard(tx: Connection, alert_id: int, machine: str, test: str) -> None:
    """It turned out to belong to another alert."""
    tx.execute(
        delete(t.alert_guard).where(
            t.alert_guard.c.alert_id == alert_id, t.alert_guard.c.machine == machine, t.alert_guard.c.test == test
        )
    )


def set_alert_state(
    tx: Connection, alert_id: int, state: AlertState, *, actor: str, action: str, reason: str, now: datetime
) -> None:
    """Move an alert, and write down who did it, when and why."""
    tx.execute(update(t.alert).where(t.alert.c.id == alert_id).values(state=state, updated_at=now))
    add_event(tx, alert_id, actor=actor, action=action, reason=reason, now=now)


def add_event(tx: Connection, alert_id: int, *, actor: str, action: str, reason: str, now: datetime) -> None:
    tx.execute(insert(t.alert_event).values(alert_id=alert_id, at=now, actor=actor, action=action, reason=reason))


def set_evidence(tx: Connection, alert_id: int, evidence: Evidence) -> None:
    """What measuring by turns said of it."""
    tx.execute(update(t.alert).where(t.alert.c.id == alert_id).values(evidence=evidence))


def settle_verdicts(tx: Connection, alert_id: int) -> None:
    """What was decided on an alert holds for its series at once; the next judgement says the same."""
    state = t.series_state.c
    standing = (
        select(t.change.c.ratio)
        .join(t.alert, t.alert.c.id == t.change.c.alert_id)
        .join(t.commit, t.commit.c.id == t.change.c.first_bad_id)
        .where(t.change.c.series_id == state.series_id, t.change.c.worse.is_(True))
        .where(t.change.c.state == ChangeState.REPORTED, t.alert.c.state.in_(list(STANDING)))
        .correlate(t.series_state)
        .order_by(t.commit.c.position.desc(), t.commit.c.authored_at.desc())
        .limit(1)
    )
    mine = update(t.series_state).where(
        state.series_id.in_(select(t.change.c.series_id).where(t.change.c.alert_id == alert_id))
    )
    slower = mine.where(state.verdict.in_([Verdict.STEADY, Verdict.SLOWER]), standing.exists())
    tx.execute(slower.values(verdict=Verdict.SLOWER, ratio=standing.scalar_subquery()))
    steady = mine.where(state.verdict == Verdict.SLOWER, ~standing.exists())
    tx.execute(steady.values(verdict=Verdict.STEADY, ratio=None))
