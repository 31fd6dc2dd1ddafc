"""What was found out: changes, the state of each series, alerts with their history, and what people are to be told."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from perfsvc.model import AlertKind, AlertState, Cause, Change, ChangeState, Verdict
from perfsvc.store import tables as t
from perfsvc.store.rows import GuardRow, PointRow

LAST_VALUES = 30


def waiting_runs(tx: Connection, project_id: int) -> list[int]:
    """Runs that are stored and not judged yet."""
    return list(
        tx.execute(select(t.run.c.id).where(t.run.c.project_id == project_id, t.run.c.judged_at.is_(None))).scalars()
    )


def series_of_runs(tx: Connection, run_ids: Sequence[int]) -> list[int]:
    """The series that these runs touch."""
    found: set[int] = set()
    for start in range(0, len(run_ids), 500):
        chunk = run_ids[start : start + 500]
        query = select(t.measurement.c.series_id).where(t.measurement.c.run_id.in_(chunk)).distinct()
        found.update(tx.execute(query).scalars())
    return sorted(found)


def all_series(tx: Connection, project_id: int) -> list[int]:
    return list(tx.execute(select(t.series.c.id).where(t.series.c.project_id == project_id)).scalars())


def mark_judged(tx: Connection, run_ids: Sequence[int], now: datetime) -> None:
    for start in range(0, len(run_ids), 500):
        chunk = run_ids[start : start + 500]
        tx.execute(update(t.run).where(t.run.c.id.in_(chunk)).values(judged_at=now))


def mark_waiting(tx: Connection, project_id: int) -> None:
    """Have every run judged again, as after a changed setting or a rewritten history."""
    tx.execute(update(t.run).where(t.run.c.project_id == project_id).values(judged_at=None))


# --- changes ----------------------------------------------------------------------------------------------------------


def keep_change(
    tx: Connection,
    change: Change,
    *,
    kept: int | None,
    series_id: int,
    state: ChangeState,
    worse: bool,
    last_good: PointRow,
    first_bad: PointRow,
    q: float | None,
    explanation: str,
    now: datetime,
) -> int:
    """Store a change, or bring the kept one to tonight's numbers. Its id."""
    columns: dict[str, Any] = {
        "kind": change.kind,
        "state": state,
        "last_good_id": last_good.commit.id,
        "first_bad_id": first_bad.commit.id,
        "worse": worse,
        "ratio": _finite(change.ratio),
        "ratio_low": _finite(change.ratio_low),
        "ratio_high": _finite(change.ratio_high),
        "before": change.before,
        "after": change.after,
        "p": change.p,
        "q": q,
        "auc": change.auc,
        "sigma": change.sigma,
        "n_before": change.n_before,
        "n_after": change.n_after,
        "flags": sorted(change.flags),
        "explanation": explanation,
        "withdrawn_at": None,
    }
    if kept is not None:
        tx.execute(update(t.change).where(t.change.c.id == kept).values(columns))
        return kept
    columns |= {"series_id": series_id, "found_at": now}
    return int(tx.execute(insert(t.change).values(columns).returning(t.change.c.id)).scalar_one())


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def withdraw_changes(tx: Connection, change_ids: Iterable[int], now: datetime) -> None:
    for change_id in change_ids:
        tx.execute(
            update(t.change).where(t.change.c.id == change_id).values(state=ChangeState.WITHDRAWN, withdrawn_at=now)
        )


def operators(tx: Connection, run_ids: Sequence[int], benchmark: str, params: str) -> dict[str, int] | None:
    """What the newest of these runs told of the operators of a case; None where it told nothing."""
    query = (
        select(t.fact.c.operators)
        .where(t.fact.c.run_id.in_(run_ids), t.fact.c.benchmark == benchmark, t.fact.c.params == params)
        .order_by(t.fact.c.id.desc())
    )
    return next((dict(found) for found in tx.execute(query).scalars() if found), None)


# --- states -----------------------------------------------------------------------------------------------------------


def keep_state(
    tx: Connection,
    project_id: int,
    series_id: int,
    points: Sequence[PointRow],
    *,
    verdict: Verdict,
    ratio: float | None,
    sigma: float | None,
    minimum_detectable_effect: float | None,
) -> None:
    values = [p.value for p in points if p.value is not None]
    newest = points[-1] if points else None
    columns = {
        "project_id": project_id,
        "verdict": verdict,
        "ratio": None if ratio is None else _finite(ratio),
        "latest": newest.value if newest else None,
        "latest_commit_id": newest.commit.id if newest else None,
        "latest_at": newest.measured_at if newest else None,
        "points": len(values),
        "last_values": values[-LAST_VALUES:],
        "sigma": sigma,
        "minimum_detectable_effect": minimum_detectable_effect,
    }
    there = update(t.series_state).where(t.series_state.c.series_id == series_id).values(columns)
    if not tx.execute(there).rowcount:
        tx.execute(insert(t.series_state).values(columns | {"series_id": series_id}))


def settle_verdicts(tx: Connection, alert_id: int, *, stands: bool) -> None:
    """What was decided on an alert holds for its series at once; the next judgement says the same."""
    members = select(t.change).where(t.change.c.alert_id == alert_id, t.change.c.state == ChangeState.REPORTED)
    for change in tx.execute(members):
        there = update(t.series_state).where(
            t.series_state.c.series_id == change.series_id,
            t.series_state.c.verdict.in_([Verdict.STEADY, Verdict.SLOWER]),
        )
        verdict = Verdict.SLOWER if stands else Verdict.STEADY
        tx.execute(there.values(verdict=verdict, ratio=change.ratio if stands else None))


# --- alerts -----------------------------------------------------------------------------------------------------------


def open_alert(tx: Connection, project_id: int, kind: AlertKind, *, now: datetime) -> int:
    columns = {"project_id": project_id, "kind": kind, "state": AlertState.OPEN, "created_at": now, "updated_at": now}
    return int(tx.execute(insert(t.alert).values(columns).returning(t.alert.c.id)).scalar_one())


def describe_alert(
    tx: Connection,
    alert_id: int,
    *,
    title: str,
    explanation: str,
    cause: Cause,
    worst_ratio: float | None,
    owner: str,
    now: datetime,
) -> None:
    """What an alert says."""
    columns = {
        "title": title,
        "explanation": explanation,
        "cause": cause,
        "worst_ratio": worst_ratio,
        "owner": owner,
        "updated_at": now,
    }
    tx.execute(update(t.alert).where(t.alert.c.id == alert_id).values(columns))


def set_range(tx: Connection, alert_id: int, last_good: int | None, first_bad: int) -> None:
    """The commits (by id) that an alert can come from: after the last good one up to the first bad one."""
    tx.execute(update(t.alert).where(t.alert.c.id == alert_id).values(last_good_id=last_good, first_bad_id=first_bad))


def join_alert(tx: Connection, alert_id: int, change_ids: Iterable[int]) -> None:
    for change_id in change_ids:
        tx.execute(update(t.change).where(t.change.c.id == change_id).values(alert_id=alert_id))


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
    tx.execute(
        update(t.alert_guard)
        .where(
            t.alert_guard.c.alert_id == alert_id,
            t.alert_guard.c.machine == machine,
            t.alert_guard.c.test == test,
            t.alert_guard.c.recovered_at.is_(None),
        )
        .values(recovered_at=now)
    )


def set_alert_state(
    tx: Connection, alert_id: int, state: AlertState, *, actor: str, action: str, reason: str, now: datetime
) -> None:
    """Move an alert, and write down who did it, when and why."""
    tx.execute(update(t.alert).where(t.alert.c.id == alert_id).values(state=state, updated_at=now))
    add_event(tx, alert_id, actor=actor, action=action, reason=reason, now=now)


def add_event(tx: Connection, alert_id: int, *, actor: str, action: str, reason: str, now: datetime) -> None:
    tx.execute(insert(t.alert_event).values(alert_id=alert_id, at=now, actor=actor, action=action, reason=reason))


# --- the outbox -------------------------------------------------------------------------------------------------------


def add_notification(
    tx: Connection, project_id: int, channel: str, dedupe_key: str, payload: dict[str, Any], now: datetime
) -> bool:
    """Put a message into the outbox, once per key. Written with the state that it tells of, or not at all."""
    known = tx.execute(
        select(func.count()).where(t.notification.c.channel == channel, t.notification.c.dedupe_key == dedupe_key)
    ).scalar_one()
    if known:
        return False
    columns = {"project_id": project_id, "channel": channel, "dedupe_key": dedupe_key, "payload": payload}
    tx.execute(insert(t.notification).values(columns | {"created_at": now, "next_at": now, "tries": 0}))
    return True


def due_notifications(tx: Connection, now: datetime) -> list[Any]:
    query = select(t.notification).where(t.notification.c.next_at <= now).order_by(t.notification.c.id)
    return list(tx.execute(query))


def mark_sent(tx: Connection, notification_id: int, now: datetime) -> None:
    tx.execute(
        update(t.notification)
        .where(t.notification.c.id == notification_id)
        .values(sent_at=now, next_at=None, error="", tries=t.notification.c.tries + 1)
    )


def mark_failed(tx: Connection, notification_id: int, error: str, next_at: datetime | None) -> None:
    """`next_at` None: given up, and shown."""
    tx.execute(
        update(t.notification)
        .where(t.notification.c.id == notification_id)
        .values(error=error, next_at=next_at, tries=t.notification.c.tries + 1)
    )
