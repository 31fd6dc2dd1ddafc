"""The clock: which times are refused, which are caught up, and a night from its due time to its runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from apscheduler.schedulers.background import BackgroundScheduler

from perfsvc import jobs, work
from perfsvc.dispatch import Embedded
from perfsvc.errors import NotFound, SettingsError
from perfsvc.model import Device, JobKind, JobState
from perfsvc.rows import JobRow
from perfsvc.runner.locks import device_lock
from perfsvc.schedule import Clock, latest_due, order_night, trigger
from perfsvc.schedule import clock as clock_module
from perfsvc.schedule.due import shifting_hours
from perfsvc.settings import Settings
from perfsvc.store import Store, queries, writes
from tests.cli.toy import Toy

DAY = timedelta(days=1)
NIGHTLY = "30 3 * * *"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def fires(cron: str, zone: str, start: str, days: int) -> list[str]:
    """Local times at which it is due."""
    due, moment, found = trigger(cron, zone), at(start), []
    while (following := due.get_next_fire_time(None, moment)) and following < at(start) + days * DAY:
        found.append(f"{following:%m-%d %H:%M}")
        moment = following + timedelta(seconds=1)
    return found


# --- which times ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cron", "zone", "word"),
    [
        ("30 3 * *", "UTC", "wanted five fields"),
        ("", "UTC", "wanted five fields"),
        ("30 3 * * 0", "UTC", "weekdays by name"),
        ("30 3 * * 1-5", "UTC", "weekdays by name"),
        ("61 3 * * *", "UTC", "cron = '61 3"),
        ("30 x * * *", "UTC", "cron = '30 x"),
        (NIGHTLY, "Mars/Olympus", "no such zone"),
        (NIGHTLY, "../../etc/passwd", "no such zone"),
        ("30 2 * * *", "Europe/Berlin", "02:xx in Europe/Berlin comes twice or never"),
        ("0 1 * * *", "America/New_York", "01:xx"),
        ("0 */2 * * *", "Europe/Berlin", "02:xx"),
        ("0 1-4 * * *", "Europe/London", "01:xx"),
        ("0 * * * *", "Europe/Berlin", "02:xx"),
    ],
)
def test_a_night_that_would_not_be_what_was_meant_is_refused(cron: str, zone: str, word: str) -> None:
    with pytest.raises(SettingsError, match=r"\[night\]") as told:
        trigger(cron, zone)
    assert word in str(told.value)


@pytest.mark.parametrize(
    ("cron", "zone"),
    [
        (NIGHTLY, "UTC"),
        ("30 2 * * *", "UTC"),
        ("30 2 * * *", "Asia/Tokyo"),  # its clocks never change
        ("30 1 * * *", "Europe/Berlin"),
        (NIGHTLY, "Europe/Berlin"),
        ("0 4 * * sun", "America/New_York"),
        ("*/5 * * * *", "UTC"),
    ],
)
def test_other_nights_are_taken(cron: str, zone: str) -> None:
    trigger(cron, zone)


def test_hours_that_shift_are_the_zones_own() -> None:
    assert shifting_hours(ZoneInfo("Europe/Berlin"), 2026) == {2}
    assert shifting_hours(ZoneInfo("Europe/London"), 2026) == {1}
    assert shifting_hours(ZoneInfo("America/New_York"), 2026) == {1, 2}
    assert shifting_hours(ZoneInfo("Australia/Lord_Howe"), 2026) == {1, 2}
    assert shifting_hours(ZoneInfo("UTC"), 2026) == set()


def test_when_clocks_change_each_night_comes_once() -> None:
    assert fires(NIGHTLY, "Europe/Berlin", "2026-03-28T12:00", 2) == ["03-29 03:30", "03-30 03:30"]
    assert fires(NIGHTLY, "Europe/Berlin", "2026-10-24T12:00", 2) == ["10-25 03:30", "10-26 03:30"]


def test_sunday_is_sunday() -> None:
    assert fires("0 4 * * sun", "UTC", "2026-11-16T00:00", 7) == ["11-22 04:00"]


def test_the_due_time_that_has_just_been() -> None:
    due = trigger(NIGHTLY, "UTC")
    assert latest_due(due, at("2026-11-21T03:30:07"), DAY) == at("2026-11-21T03:30")
    assert latest_due(due, at("2026-11-21T03:29:59"), DAY) == at("2026-11-20T03:30")
    assert latest_due(due, at("2026-11-21T03:29:59"), timedelta(hours=1)) is None
    assert latest_due(trigger("0 4 1 * *", "UTC"), at("2026-11-21T12:00"), DAY) is None
    assert latest_due(trigger(NIGHTLY, "Europe/Berlin"), at("2026-07-01T12:00"), DAY) == at("2026-07-01T01:30")
    assert latest_due(trigger("* * * * *", "UTC"), at("2026-11-21T12:00:30"), DAY) == at("2026-11-21T12:00")


# --- a night ----------------------------------------------------------------------------------------------------------


class Night:
    """The toy project, known to a store, with the runner `box` and a schedule for 03:30."""

    def __init__(self, store: Store, toy: Toy, home: Path) -> None:
        self.store, self.toy, self.settings = store, toy, Settings.load(toy.folder, home=home)
        self.project = work.register_project(store, toy.folder, self.settings).id
        _, self.runner = work.register_runner(store, Device.CPU, "box")
        self.schedule = self.keep(NIGHTLY)

    def keep(self, cron: str, timezone: str = "UTC") -> int:
        with self.store.writing() as tx:
            return writes.jobs.keep_schedule(
                tx, self.project, "night", cron=cron, timezone=timezone, kind=JobKind.NIGHTLY
            )

    def order(self, now: str, *runners: str) -> list[int]:
        return order_night(self.store, self.schedule, at(now), runners or ("box",))

    def was_done(self, when: datetime) -> None:
        with self.store.writing() as tx:
            writes.jobs.set_last_due(tx, self.schedule, when)

    def jobs(self) -> list[JobRow]:
        with self.store.reading() as tx:
            return queries.jobs(tx)

    def close(self, job: int) -> None:
        jobs.claim(self.store, job, 1, at("2026-11-21T04:00"))
        jobs.complete(self.store, job, 1, JobState.DONE, at("2026-11-21T05:00"))


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    return Toy.plant(tmp_path_factory.mktemp("planted") / "toy")


@pytest.fixture
def night(
    sqlite_store: Store, planted: Toy, tmp_path: Path, clean_environment: None, monkeypatch: pytest.MonkeyPatch
) -> Night:
    monkeypatch.setenv("PERFSVC_HOME", str(tmp_path))
    return Night(sqlite_store, planted.copied(tmp_path / "toy"), tmp_path)


def test_it_orders_the_newest_commits_that_the_runner_lacks_and_measures_with_the_branchs_suite(night: Night) -> None:
    night.toy.git("checkout", "--quiet", "HEAD~1")  # where somebody stands does not matter
    assert len(night.order("2026-11-21T03:30:02")) == 1
    (job,) = night.jobs()
    assert job.spec["commits"] == night.toy.hashes[::-1]
    assert (job.kind, job.runner, job.suite_revision) == (JobKind.NIGHTLY, "box", night.toy.hashes[-1])
    assert job.due_at == at("2026-11-21T03:30")


def test_two_clocks_order_a_night_once_whenever_they_look(night: Night) -> None:
    assert len(night.order("2026-11-21T03:30:59")) == 1
    assert night.order("2026-11-21T03:31:01") == []
    assert night.order("2026-11-21T23:00:00") == []
    assert len(night.jobs()) == 1


def test_two_clocks_at_the_same_moment_order_a_night_once(night: Night) -> None:
    together = threading.Barrier(2)

    def order() -> None:
        together.wait(10)
        night.order("2026-11-21T03:30:00")

    threads = [threading.Thread(target=order) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(night.jobs()) == 1


def test_a_night_is_not_ordered_on_top_of_one_that_is_not_done(night: Night) -> None:
    (first,) = night.order("2026-11-21T03:30")
    assert night.order("2026-11-22T03:30") == []
    night.close(first)
    assert len(night.order("2026-11-23T03:30")) == 1


def test_only_runners_that_somebody_serves_get_work(night: Night) -> None:
    work.register_runner(night.store, Device.CUDA, "gone-cuda")
    assert len(night.order("2026-11-21T03:30", "box", "never-seen")) == 1
    assert [job.runner for job in night.jobs()] == ["box"]


def test_what_cannot_be_ordered_is_told(night: Night) -> None:
    with pytest.raises(NotFound, match="no enabled schedule 99"):
        order_night(night.store, 99, at("2026-11-21T03:30"), ["box"])
    night.keep("0 4 1 * *")
    assert night.order("2026-11-21T12:00") == []


# --- the clock --------------------------------------------------------------------------------------------------------


@pytest.fixture
def clock(night: Night) -> Iterator[Clock]:
    """One that is not started by itself, and is stopped."""
    clock = Clock(night.store, night.settings, ["box"])
    yield clock
    if clock._scheduler.running:
        clock.stop()


def wait_until(true: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert true()


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str]]:
    """Jobs that were done, and in which thread; nothing is measured."""
    found: list[tuple[int, str]] = []

    def play(store: Store, job: int, attempt: int, **_: Any) -> work.Done:
        jobs.claim(store, job, attempt, datetime.now(UTC))
        jobs.complete(store, job, attempt, JobState.DONE, datetime.now(UTC))
        found.append((job, threading.current_thread().name))
        return work.Done(job)

    monkeypatch.setattr(work, "work", play)
    return found


def test_a_missed_night_is_caught_up_once(night: Night, clock: Clock, done: list[tuple[int, str]]) -> None:
    night.was_done(datetime.now(UTC) - 3 * DAY)
    clock.start()
    wait_until(lambda: bool(done))
    clock.stop()
    assert len(night.jobs()) == 1
    again = Clock(night.store, night.settings, ["box"])
    again.start()
    again.stop()
    assert len(night.jobs()) == 1


def test_the_first_night_is_waited_for(night: Night, clock: Clock) -> None:
    clock.start()
    due = clock.next_night()
    clock.stop()
    assert due is not None
    assert due > datetime.now(UTC)
    assert f"{due:%H:%M}" == "03:30"
    assert night.jobs() == []


def test_a_schedule_that_cannot_be_is_left_out_and_the_others_go_on(night: Night, clock: Clock) -> None:
    with night.store.writing() as tx:
        other = writes.catalog.keep_project(tx, "other", now=datetime.now(UTC))
        writes.jobs.keep_schedule(tx, other, "night", cron="never", timezone="UTC", kind=JobKind.NIGHTLY)
    clock.start()
    assert clock.next_night() is not None


def test_the_clock_follows_the_table(night: Night, clock: Clock) -> None:
    clock.start()
    night.keep("15 4 * * *")
    clock._follow()
    due = clock.next_night()
    assert due is not None
    assert f"{due:%H:%M}" == "04:15"


def test_work_is_done_in_the_runners_own_thread_and_waits_its_turn(
    night: Night, clock: Clock, done: list[tuple[int, str]]
) -> None:
    for hour in (3, 4, 5):
        night.keep(f"{hour} {hour} * * *")
        (job,) = night.order(f"2026-11-21T0{hour}:30")
        with night.store.writing() as tx:
            tx.exec_driver_sql(f"UPDATE job SET kind = 'backfill' WHERE id = {job}")
    clock.start()
    wait_until(lambda: len(done) == 3)
    assert len({thread for _, thread in done}) == 1
    assert [job for job, _ in done] == sorted(job for job, _ in done)


def test_a_device_that_somebody_measures_on_is_left_to_them(
    night: Night, clock: Clock, done: list[tuple[int, str]]
) -> None:
    (job,) = night.order("2026-11-21T03:30")
    with device_lock(night.settings.home, Device.CPU):
        clock._work(job, 1)
        assert done == []
        assert night.jobs()[0].state is JobState.QUEUED
    clock._work(job, 1)
    assert [found for found, _ in done] == [job]


def test_a_long_job_piles_up_no_deliveries() -> None:
    scheduler = BackgroundScheduler(timezone="UTC")
    begun: list[tuple[int, int]] = []
    go_on = threading.Event()

    def long(job: int, attempt: int) -> None:
        begun.append((job, attempt))
        go_on.wait(10)

    embedded = Embedded(scheduler, ["box"], long)
    scheduler.start()
    for _ in range(5):
        embedded.deliver(1, 1, "box")
        embedded.deliver(2, 1, "box")
        embedded.deliver(3, 1, "not-here")
    wait_until(lambda: begun == [(1, 1)])
    go_on.set()
    wait_until(lambda: begun == [(1, 1), (2, 1)])
    embedded.deliver(1, 1, "box")  # done, so it may come again; the claim drops it
    wait_until(lambda: len(begun) == 3)
    scheduler.shutdown(wait=True)


def test_a_tick_that_fails_is_told_and_the_next_comes(
    night: Night, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def busy(*_: object) -> list[int]:
        tried.append(1)
        raise OSError("disk full")

    monkeypatch.setattr(clock_module, "TICK", timedelta(seconds=1))
    monkeypatch.setattr(jobs, "reap", busy)
    clock.start()
    wait_until(lambda: len(tried) >= 2)


def test_from_a_due_time_to_runs_in_the_store(night: Night, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    """Real git, real asv, real threads: the schedule is due, and in the end there is a job that is done."""
    for name, value in night.toy.environment.items():
        monkeypatch.setenv(name, value)
    night.toy.write("perfsvc.toml", "[night]\nlast = 2\n")
    night.keep("* * * * *")
    night.was_done(datetime.now(UTC) - timedelta(hours=1))
    clock.start()
    wait_until(lambda: any(job.state is JobState.DONE for job in night.jobs()), 60)
    clock.stop()
    done = night.jobs()[-1]
    assert (done.state, done.kind, done.done) == (JobState.DONE, JobKind.NIGHTLY, 1.0)
    with night.store.reading() as tx:
        runs = queries.runs(tx, night.project)
        alerts = queries.alerts(tx, night.project)
        series = queries.series(tx, night.project)
    assert [run.commit.hash for run in runs if run.job == done.id] == night.toy.hashes[1:]
    assert {run.machine for run in runs} == {"box"}
    assert {row.label for row in series} == {"speed.time_work", "speed.track_steps"}
    assert [alert.first_bad.hash for alert in alerts if alert.first_bad] == [night.toy.hashes[2]]
    assert (night.settings.home / "alerts.log").is_file()


def test_stopped_in_the_middle_it_gives_the_job_back(
    night: Night, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_work = threading.Event()

    def measure(_: object, commits: list[str], **asked: Any) -> Iterator[Any]:
        at_work.set()
        while not asked["cancelled"]():
            time.sleep(0.01)
        raise work.doing.processes.Interrupted("stopped")
        yield

    monkeypatch.setattr(work.doing.agent, "measure", measure)
    (job,) = night.order("2026-11-21T03:30")
    clock.start()
    assert at_work.wait(10)
    clock.stop()
    (row,) = night.jobs()
    assert (row.id, row.state, row.attempt) == (job, JobState.QUEUED, 2)
