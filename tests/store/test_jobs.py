"""The life of a job's row: each step is won once."""

from __future__ import annotations

from datetime import timedelta

import pytest

from perfsvc.model import Device, JobKind, JobState
from perfsvc.rows import JobRow
from perfsvc.store import Store, queries, writes
from tests.bench import NOON

LEASE = NOON + timedelta(minutes=10)
LATER = NOON + timedelta(minutes=11)


@pytest.fixture
def job(store: Store) -> int:
    """A queued job for the runner `box`."""
    with store.writing() as tx:
        project = writes.catalog.keep_project(tx, "attention", now=NOON)
        runner = writes.catalog.keep_runner(tx, "box", Device.CPU, {}, now=NOON)
        found = writes.jobs.add_job(
            tx, project_id=project, runner_id=runner, kind=JobKind.NIGHTLY, spec={"commits": ["a"]}, now=NOON
        )
    assert found is not None
    return found


def row(store: Store, job: int) -> JobRow:
    with store.reading() as tx:
        return queries.job(tx, job)


def claim(store: Store, job: int, attempt: int = 1) -> bool:
    with store.writing() as tx:
        return writes.jobs.claim(tx, job, attempt, lease_until=LEASE, now=NOON)


def finish(store: Store, job: int, attempt: int, state: JobState = JobState.DONE) -> bool:
    with store.writing() as tx:
        return writes.jobs.finish(tx, job, attempt, state, message="", now=NOON)


def reap(store: Store) -> list[int]:
    with store.writing() as tx:
        return writes.jobs.reap(tx, now=LATER, max_attempts=3)


def test_of_two_claims_one_wins(store: Store, job: int) -> None:
    assert [claim(store, job), claim(store, job)] == [True, False]
    found = row(store, job)
    assert (found.state, found.attempt, found.lease_until) == (JobState.RUNNING, 1, LEASE)


def test_only_the_attempt_whose_turn_it_is_may_claim(store: Store, job: int) -> None:
    assert not claim(store, job, attempt=2)
    assert row(store, job).state is JobState.QUEUED


def test_a_job_that_ended_is_done(store: Store, job: int) -> None:
    claim(store, job)
    assert finish(store, job, 1)
    found = row(store, job)
    assert (found.state, found.done, found.ended_at, found.lease_until) == (JobState.DONE, 1.0, NOON, None)
    assert not finish(store, job, 1)


def test_a_silent_job_is_queued_again_and_its_old_attempt_is_stale(store: Store, job: int) -> None:
    claim(store, job)
    with store.writing() as tx:
        assert writes.jobs.renew(tx, job, 1, lease_until=LEASE, done=0.5, message="building")
    assert reap(store) == [job]
    found = row(store, job)
    assert (found.state, found.attempt, found.done) == (JobState.QUEUED, 2, 0.0)
    assert not finish(store, job, 1)
    with store.writing() as tx:
        assert not writes.jobs.renew(tx, job, 1, lease_until=LEASE, done=0.6, message="late")
    assert claim(store, job, attempt=2)
    assert not finish(store, job, 1)
    assert finish(store, job, 2)


def test_a_job_that_is_at_work_is_not_reaped(store: Store, job: int) -> None:
    claim(store, job)
    with store.writing() as tx:
        writes.jobs.renew(tx, job, 1, lease_until=LATER + timedelta(minutes=1), done=0.5, message="")
    assert reap(store) == []


def test_after_three_silent_attempts_a_job_has_failed(store: Store, job: int) -> None:
    for attempt in (1, 2, 3):
        claim(store, job, attempt)
        assert reap(store) == ([job] if attempt < 3 else [])
    found = row(store, job)
    assert (found.state, found.message) == (JobState.FAILED, "no word from the runner in 3 attempts")


def test_a_queued_job_is_cancelled_at_once(store: Store, job: int) -> None:
    with store.writing() as tx:
        assert writes.jobs.cancel(tx, job, now=NOON)
    assert row(store, job).state is JobState.CANCELLED
    assert not claim(store, job)
    with store.writing() as tx:
        assert not writes.jobs.cancel(tx, job, now=NOON)


def test_a_running_job_is_told_to_stop(store: Store, job: int) -> None:
    claim(store, job)
    with store.writing() as tx:
        assert writes.jobs.cancel(tx, job, now=NOON)
    assert (row(store, job).state, row(store, job).cancel_requested) == (JobState.RUNNING, True)
    assert finish(store, job, 1, JobState.CANCELLED)


def test_a_silent_job_that_was_to_stop_is_not_begun_again(store: Store, job: int) -> None:
    claim(store, job)
    with store.writing() as tx:
        writes.jobs.cancel(tx, job, now=NOON)
    assert reap(store) == []
    assert row(store, job).state is JobState.CANCELLED


def test_a_runner_may_give_a_job_back(store: Store, job: int) -> None:
    claim(store, job)
    with store.writing() as tx:
        assert writes.jobs.release(tx, job, 1, message="the service stopped")
        assert not writes.jobs.release(tx, job, 1, message="again")
    assert (row(store, job).state, row(store, job).attempt) == (JobState.QUEUED, 2)


def test_after_a_pause_of_the_service_running_jobs_get_a_fresh_lease(store: Store, job: int) -> None:
    claim(store, job)
    with store.writing() as tx:
        assert writes.jobs.grant_leases(tx, lease_until=LATER + timedelta(minutes=1)) == 1
    assert reap(store) == []


def test_what_was_delivered_long_ago_is_delivered_again(store: Store, job: int) -> None:
    with store.writing() as tx:
        assert [(w.id, w.attempt, w.name) for w in writes.jobs.undelivered(tx, before=NOON)] == [(job, 1, "box")]
        writes.jobs.mark_delivered(tx, job, NOON)
        assert writes.jobs.undelivered(tx, before=NOON) == []
        assert len(writes.jobs.undelivered(tx, before=LATER)) == 1
    claim(store, job)
    with store.reading() as tx:
        assert writes.jobs.undelivered(tx, before=LATER) == []


def test_two_schedulers_order_a_night_once(store: Store, job: int) -> None:
    with store.writing() as tx:
        project = queries.project(tx, "attention").id
        runner = queries.runners(tx)[0].id
        schedule = writes.jobs.keep_schedule(
            tx, project, "night", cron="30 3 * * *", timezone="UTC", kind=JobKind.NIGHTLY
        )
        ordered = [
            writes.jobs.add_job(
                tx,
                project_id=project,
                runner_id=runner,
                kind=JobKind.NIGHTLY,
                spec={},
                now=NOON,
                schedule_id=schedule,
                due_at=due,
            )
            for due in (NOON, NOON, LATER)
        ]
    assert [one is not None for one in ordered] == [True, False, True]


def test_a_schedule_is_brought_up_to_date(store: Store, job: int) -> None:
    with store.writing() as tx:
        project = queries.project(tx, "attention").id
        for cron in ("30 3 * * *", "0 4 * * *"):
            schedule = writes.jobs.keep_schedule(tx, project, "night", cron=cron, timezone="UTC", kind=JobKind.NIGHTLY)
        writes.jobs.set_last_due(tx, schedule, NOON)
        (found,) = writes.jobs.schedules(tx)
    assert (found.cron, found.last_due_at, found.project) == ("0 4 * * *", NOON, "attention")


def test_commits_of_a_job_are_those_that_it_brought_in(store: Store, job: int) -> None:
    with store.reading() as tx:
        assert queries.commits_of_job(tx, job) == set()
