"""Job rows and their life. Each step is one guarded UPDATE: whoever's guard still holds wins, the others are told."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, or_, select, update

from perfsvc.model import JobKind, JobState, Json
from perfsvc.store import tables as t

ENDED = (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


def add_job(
    tx: Connection,
    *,
    project_id: int,
    runner_id: int,
    kind: JobKind,
    spec: Json,
    now: datetime,
    suite_revision: str = "",
    schedule_id: int | None = None,
    due_at: datetime | None = None,
) -> int | None:
    """A queued job's id; None when this schedule's job for that time and runner was ordered already."""
    if schedule_id is not None:
        ordered = select(t.job.c.id).where(
            t.job.c.schedule_id == schedule_id, t.job.c.due_at == due_at, t.job.c.runner_id == runner_id
        )
        if tx.execute(ordered).first() is not None:
            return None
    columns = {
        "project_id": project_id,
        "runner_id": runner_id,
        "kind": kind,
        "state": JobState.QUEUED,
        "attempt": 1,
        "spec": dict(spec),
        "suite_revision": suite_revision,
        "schedule_id": schedule_id,
        "due_at": due_at,
        "created_at": now,
    }
    return int(tx.execute(insert(t.job).values(columns).returning(t.job.c.id)).scalar_one())


def claim(tx: Connection, job_id: int, attempt: int, *, lease_until: datetime, now: datetime) -> bool:
    """queued -> running for this attempt. False: somebody has it, or it is another attempt's turn."""
    return _moved(
        tx,
        job_id,
        attempt,
        JobState.QUEUED,
        state=JobState.RUNNING,
        lease_until=lease_until,
        started_at=now,
        message="",
    )


def renew(tx: Connection, job_id: int, attempt: int, *, lease_until: datetime, done: float, message: str) -> bool:
    """Extend the lease of a running attempt, with what it does now. False: it is not its job any more."""
    return _moved(tx, job_id, attempt, JobState.RUNNING, lease_until=lease_until, done=done, message=message)


def finish(tx: Connection, job_id: int, attempt: int, state: JobState, *, message: str, now: datetime) -> bool:
    """running -> ended. False: it is not this attempt's job any more."""
    assert state in ENDED
    columns: dict[str, Any] = {"state": state, "message": message, "ended_at": now, "lease_until": None}
    if state is JobState.DONE:
        columns["done"] = 1.0
    return _moved(tx, job_id, attempt, JobState.RUNNING, **columns)


def _moved(tx: Connection, job_id: int, attempt: int, found: JobState, /, **columns: Any) -> bool:
    guarded = update(t.job).where(t.job.c.id == job_id, t.job.c.attempt == attempt, t.job.c.state == found)
    return bool(tx.execute(guarded.values(columns)).rowcount)


def release(tx: Connection, job_id: int, attempt: int, *, message: str) -> bool:
    """running -> queued for the next attempt: the runner fell silent, or says itself that it cannot go on."""
    columns = {"attempt": attempt + 1, "lease_until": None, "delivered_at": None, "started_at": None, "done": 0.0}
    return _moved(tx, job_id, attempt, JobState.RUNNING, state=JobState.QUEUED, message=message, **columns)


def cancel(tx: Connection, job_id: int, *, now: datetime) -> bool:
    """A queued job ends at once; a running one is told at its next heartbeat. False: it has ended already."""
    queued = update(t.job).where(t.job.c.id == job_id, t.job.c.state == JobState.QUEUED)
    ended = queued.values(state=JobState.CANCELLED, ended_at=now, message="cancelled before it began")
    if tx.execute(ended).rowcount:
        return True
    running = update(t.job).where(t.job.c.id == job_id, t.job.c.state == JobState.RUNNING)
    return bool(tx.execute(running.values(cancel_requested=True)).rowcount)


def mark_delivered(tx: Connection, job_id: int, now: datetime) -> None:
    tx.execute(update(t.job).where(t.job.c.id == job_id).values(delivered_at=now))


def reap(tx: Connection, *, now: datetime, max_attempts: int) -> list[int]:
    """Jobs whose lease is over: queued again, failed after the last attempt, or cancelled. Ids of the queued."""
    expired = tx.execute(
        select(t.job.c.id, t.job.c.attempt, t.job.c.cancel_requested).where(
            t.job.c.state == JobState.RUNNING, t.job.c.lease_until < now
        )
    ).all()
    again: list[int] = []
    for job_id, attempt, cancelled in expired:
        if cancelled:
            finish(tx, job_id, attempt, JobState.CANCELLED, message="cancelled; the runner fell silent", now=now)
        elif attempt >= max_attempts:
            silence = f"no word from the runner in {attempt} attempts"
            finish(tx, job_id, attempt, JobState.FAILED, message=silence, now=now)
        elif release(tx, job_id, attempt, message=f"attempt {attempt} fell silent; waiting for the next"):
            again.append(job_id)
    return again


def grant_leases(tx: Connection, *, lease_until: datetime) -> int:
    """A fresh lease for every running job, once at start: it was the service that was away, not the runner."""
    running = update(t.job).where(t.job.c.state == JobState.RUNNING)
    return tx.execute(running.values(lease_until=lease_until)).rowcount


def undelivered(tx: Connection, *, before: datetime) -> list[Any]:
    """Queued jobs (id, attempt, runner's name) that were not delivered, or so long ago that the delivery is lost."""
    query = (
        select(t.job.c.id, t.job.c.attempt, t.runner.c.name)
        .join(t.runner, t.runner.c.id == t.job.c.runner_id)
        .where(
            t.job.c.state == JobState.QUEUED,
            or_(t.job.c.delivered_at.is_(None), t.job.c.delivered_at < before),
        )
        .order_by(t.job.c.id)
    )
    return list(tx.execute(query))


def keep_schedule(tx: Connection, project_id: int, name: str, *, cron: str, timezone: str, kind: JobKind) -> int:
    """The schedule's id; a known one is brought up to date."""
    where = (t.schedule.c.project_id == project_id, t.schedule.c.name == name)
    known = tx.execute(select(t.schedule.c.id).where(*where)).scalar()
    columns: dict[str, Any] = {"cron": cron, "timezone": timezone, "kind": kind}
    if known is not None:
        tx.execute(update(t.schedule).where(t.schedule.c.id == known).values(columns))
        return int(known)
    columns |= {"project_id": project_id, "name": name}
    return int(tx.execute(insert(t.schedule).values(columns).returning(t.schedule.c.id)).scalar_one())


def schedules(tx: Connection) -> list[Any]:
    """Enabled schedules with their project's name."""
    query = (
        select(t.schedule, t.project.c.name.label("project"))
        .join(t.project, t.project.c.id == t.schedule.c.project_id)
        .where(t.schedule.c.enabled.is_(True))
    )
    return list(tx.execute(query.order_by(t.schedule.c.id)))


def set_last_due(tx: Connection, schedule_id: int, due_at: datetime) -> None:
    tx.execute(update(t.schedule).where(t.schedule.c.id == schedule_id).values(last_due_at=due_at))
