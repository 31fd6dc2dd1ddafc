"""The life of a job, as runners and schedulers see it: whatever delivers it, it is done once."""

from __future__ import annotations

from datetime import timedelta

import pytest

from perfsvc import jobs
from perfsvc.errors import JobConflict, NotFound
from perfsvc.jobs import HEARTBEAT, LEASE, MAX_ATTEMPTS, REDELIVER_AFTER
from perfsvc.model import Device, Heartbeat, JobKind, JobState
from perfsvc.rows import JobRow
from perfsvc.store import Store, queries, writes
from tests.bench import NOON

SECOND = timedelta(seconds=1)
SILENT = LEASE + SECOND


@pytest.fixture
def ids(store: Store) -> tuple[int, int]:
    """A project and the runner `box`."""
    with store.writing() as tx:
        project = writes.catalog.keep_project(tx, "attention", now=NOON)
        return project, writes.catalog.keep_runner(tx, "box", Device.CPU, {}, now=NOON)


@pytest.fixture
def job(store: Store, ids: tuple[int, int]) -> int:
    """Ordered at noon, not delivered."""
    return ordered(store, ids)


def ordered(store: Store, ids: tuple[int, int], *, delivered: bool = False) -> int:
    found = jobs.order(
        store,
        project_id=ids[0],
        runner_id=ids[1],
        kind=JobKind.BACKFILL,
        spec={"commits": ["a", "b"]},
        now=NOON,
        delivered=delivered,
    )
    assert found is not None
    return found


def row(store: Store, job: int) -> JobRow:
    with store.reading() as tx:
        return queries.job(tx, job)


def beat(store: Store, job: int, attempt: int = 1, *, after: timedelta = HEARTBEAT) -> Heartbeat:
    return jobs.heartbeat(store, job, attempt, NOON + after, done=0.5, message="benchmarks")


def delivered(store: Store, after: timedelta) -> list[tuple[int, int, str]]:
    found: list[tuple[int, int, str]] = []
    jobs.reconcile(store, lambda *told: found.append(told), NOON + after)
    return found


def test_a_second_claim_is_refused_in_words(store: Store, job: int) -> None:
    claimed = jobs.claim(store, job, 1, NOON)
    assert (claimed.state, claimed.attempt, claimed.lease_until) == (JobState.RUNNING, 1, NOON + LEASE)
    with pytest.raises(JobConflict, match=f"job {job}: attempt 1 was to begin, but it is running at attempt 1"):
        jobs.claim(store, job, 1, NOON)
    with pytest.raises(NotFound):
        jobs.claim(store, 4711, 1, NOON)


def test_a_heartbeat_says_go_on_stop_or_lost(store: Store, job: int) -> None:
    jobs.claim(store, job, 1, NOON)
    assert beat(store, job) is Heartbeat.OK
    assert (row(store, job).done, row(store, job).message) == (0.5, "benchmarks")
    assert row(store, job).lease_until == NOON + HEARTBEAT + LEASE
    jobs.cancel(store, job, NOON)
    assert beat(store, job) is Heartbeat.CANCEL
    assert beat(store, job, attempt=2) is Heartbeat.LOST


def test_a_sleeper_whose_job_was_given_to_another_is_told(store: Store, job: int) -> None:
    jobs.claim(store, job, 1, NOON)
    assert jobs.reap(store, NOON + SILENT) == [job]
    assert jobs.accepts(row(store, job), 1)  # nobody has begun the next: what is done may still come in
    jobs.claim(store, job, 2, NOON + SILENT)
    assert not jobs.accepts(row(store, job), 1)
    assert jobs.accepts(row(store, job), 2)
    assert beat(store, job, 1) is Heartbeat.LOST
    with pytest.raises(JobConflict, match="attempt 1 was to end as done, but it is running at attempt 2"):
        jobs.complete(store, job, 1, JobState.DONE, NOON)
    jobs.complete(store, job, 2, JobState.DONE, NOON, message="2 measured")
    assert (row(store, job).state, row(store, job).message) == (JobState.DONE, "2 measured")


def test_silence_is_forgiven_so_often(store: Store, job: int) -> None:
    now = NOON
    for attempt in range(1, MAX_ATTEMPTS + 1):
        jobs.claim(store, job, attempt, now)
        assert jobs.reap(store, now + LEASE - SECOND) == []
        now += SILENT
        assert jobs.reap(store, now) == ([job] if attempt < MAX_ATTEMPTS else [])
    assert (row(store, job).state, row(store, job).attempt) == (JobState.FAILED, MAX_ATTEMPTS)
    assert "no word from the runner" in row(store, job).message


def test_when_the_service_was_away_nobody_is_called_silent(store: Store, job: int) -> None:
    jobs.claim(store, job, 1, NOON)
    back = NOON + timedelta(hours=3)
    assert jobs.at_start(store, back) == 1
    assert jobs.reap(store, back) == []
    assert beat(store, job, after=timedelta(hours=3)) is Heartbeat.OK


def test_what_waits_is_delivered_and_again_only_when_that_was_lost(store: Store, job: int) -> None:
    assert delivered(store, SECOND) == [(job, 1, "box")]
    assert delivered(store, REDELIVER_AFTER) == []
    assert delivered(store, REDELIVER_AFTER + 2 * SECOND) == [(job, 1, "box")]
    jobs.claim(store, job, 1, NOON)
    assert delivered(store, timedelta(hours=1)) == []


def test_what_somebody_begins_himself_is_not_delivered_beside_him(store: Store, ids: tuple[int, int]) -> None:
    job = ordered(store, ids, delivered=True)
    assert delivered(store, SECOND) == []
    assert delivered(store, REDELIVER_AFTER + SECOND) == [(job, 1, "box")]  # he never did


def test_delivered_twice_it_is_begun_once(store: Store, job: int) -> None:
    begun = []
    for job_id, attempt, _ in 2 * delivered(store, SECOND):
        try:
            begun.append(jobs.claim(store, job_id, attempt, NOON).id)
        except JobConflict:
            continue
    assert begun == [job]


def test_a_job_given_back_goes_on_at_once_as_the_next_attempt(store: Store, job: int) -> None:
    jobs.claim(store, job, 1, NOON)
    jobs.release(store, job, 1)
    found = row(store, job)
    assert (found.state, found.attempt, found.lease_until) == (JobState.QUEUED, 2, None)
    assert "goes on when it is back" in found.message
    assert delivered(store, SECOND) == [(job, 2, "box")]


def test_a_queued_job_is_cancelled_at_once_and_an_ended_one_not_at_all(store: Store, job: int) -> None:
    jobs.cancel(store, job, NOON)
    assert row(store, job).state is JobState.CANCELLED
    with pytest.raises(JobConflict, match="cannot be cancelled: it is cancelled at attempt 1"):
        jobs.cancel(store, job, NOON)
    with pytest.raises(JobConflict):
        jobs.claim(store, job, 1, NOON)
    with pytest.raises(NotFound):
        jobs.cancel(store, 4711, NOON)


def test_a_schedule_orders_a_time_once(store: Store, ids: tuple[int, int]) -> None:
    with store.writing() as tx:
        schedule = writes.jobs.keep_schedule(
            tx, ids[0], "night", cron="30 3 * * *", timezone="UTC", kind=JobKind.NIGHTLY
        )

    def order(due: timedelta) -> int | None:
        return jobs.order(
            store,
            project_id=ids[0],
            runner_id=ids[1],
            kind=JobKind.NIGHTLY,
            spec={"commits": []},
            now=NOON,
            schedule_id=schedule,
            due_at=NOON + due,
        )

    assert order(SECOND) is not None
    assert order(SECOND) is None
    assert order(2 * SECOND) is not None
