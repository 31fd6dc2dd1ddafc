"""The life of a job: the row is the truth, whatever delivers it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from perfsvc.errors import JobConflict
from perfsvc.model import Heartbeat, JobKind, JobState, Json
from perfsvc.rows import JobRow
from perfsvc.store import Store, queries, writes

#: A runner that is silent for so long has lost its job. A laptop may sleep through a few minutes.
LEASE = timedelta(minutes=10)
HEARTBEAT = timedelta(seconds=15)
MAX_ATTEMPTS = 3

#: A delivery that nobody claimed for so long was lost.
REDELIVER_AFTER = timedelta(seconds=60)

#: Brings a job (id, attempt) to its runner (name). Whatever it does twice, `claim` lets happen once.
Deliver = Callable[[int, int, str], None]


def order(
    store: Store,
    *,
    project_id: int,
    runner_id: int,
    kind: JobKind,
    spec: Json,
    now: datetime,
    suite_revision: str = "",
    schedule_id: int | None = None,
    due_at: datetime | None = None,
    delivered: bool = False,
) -> int | None:
    """Put work into a runner's queue. Its id; None when this schedule ordered it for that time already.

    delivered: the caller begins it itself, at once.
    """
    with store.writing() as tx:
        job_id = writes.jobs.add_job(
            tx,
            project_id=project_id,
            runner_id=runner_id,
            kind=kind,
            spec=spec,
            now=now,
            suite_revision=suite_revision,
            schedule_id=schedule_id,
            due_at=due_at,
        )
        if delivered and job_id is not None:
            writes.jobs.mark_delivered(tx, job_id, now)
    return job_id


def claim(store: Store, job_id: int, attempt: int, now: datetime) -> JobRow:
    """Begin an attempt. Raises: JobConflict when somebody has it, or it is another attempt's turn."""
    with store.writing() as tx:
        if not writes.jobs.claim(tx, job_id, attempt, lease_until=now + LEASE, now=now):
            found = queries.job(tx, job_id)
            raise JobConflict(f"job {job_id}: attempt {attempt} was to begin, but it is {_at(found)}")
        return queries.job(tx, job_id)


def heartbeat(store: Store, job_id: int, attempt: int, now: datetime, *, done: float, message: str) -> Heartbeat:
    """The runner is at work; what it does now. `LOST`: stop, it is not yours any more."""
    with store.writing() as tx:
        if not writes.jobs.renew(tx, job_id, attempt, lease_until=now + LEASE, done=done, message=message):
            return Heartbeat.LOST
        return Heartbeat.CANCEL if queries.job(tx, job_id).cancel_requested else Heartbeat.OK


def complete(store: Store, job_id: int, attempt: int, state: JobState, now: datetime, *, message: str = "") -> None:
    """Close an attempt. Its runs are in already. Raises: JobConflict when it is not this attempt's any more."""
    with store.writing() as tx:
        if not writes.jobs.finish(tx, job_id, attempt, state, message=message, now=now):
            found = queries.job(tx, job_id)
            raise JobConflict(f"job {job_id}: attempt {attempt} was to end as {state.value}, but it is {_at(found)}")


def release(store: Store, job_id: int, attempt: int) -> None:
    """Give a job back, as when the service stops: the next attempt goes on with the commits that are not in yet."""
    with store.writing() as tx:
        writes.jobs.release(tx, job_id, attempt, message="the service stopped; goes on when it is back")


def accepts(job: JobRow, attempt: int) -> bool:
    """May this attempt's runs come in? Until a newer attempt is *claimed*, those of the last claimed one may."""
    if job.state is JobState.QUEUED:
        return attempt == job.attempt - 1
    return attempt == job.attempt


def cancel(store: Store, job_id: int, now: datetime) -> None:
    """Raises: NotFound; JobConflict when it has ended already."""
    with store.writing() as tx:
        found = queries.job(tx, job_id)
        if not writes.jobs.cancel(tx, job_id, now=now):
            raise JobConflict(f"job {job_id} cannot be cancelled: it is {_at(found)}")


def at_start(store: Store, now: datetime) -> int:
    """The service was away, not the runners: a fresh lease for every running job. How many."""
    with store.writing() as tx:
        return writes.jobs.grant_leases(tx, lease_until=now + LEASE)


def reap(store: Store, now: datetime) -> list[int]:
    """Jobs of runners that fell silent: queued for the next attempt, or failed after the third. Ids of the queued."""
    with store.writing() as tx:
        return writes.jobs.reap(tx, now=now, max_attempts=MAX_ATTEMPTS)


def reconcile(store: Store, deliver: Deliver, now: datetime) -> int:
    """Deliver what waits and was not delivered, or so long ago that the delivery was lost. How many."""
    with store.writing() as tx:
        waiting = writes.jobs.undelivered(tx, before=now - REDELIVER_AFTER)
        for job in waiting:
            writes.jobs.mark_delivered(tx, job.id, now)
    for job in waiting:
        deliver(job.id, job.attempt, job.name)
    return len(waiting)


def _at(job: JobRow) -> str:
    return f"{job.state.value} at attempt {job.attempt}"
