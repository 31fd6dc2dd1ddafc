"""The clock: nights are ordered, silent runners reaped, lost deliveries repeated, the outbox emptied.

One process of many is active: the one that holds the lock. It orders rows and starts threads.
The `schedule` table is the truth; APScheduler keeps its jobs in memory and is rebuilt from the table at each start.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from perfsvc import git, jobs, pipeline, work
from perfsvc.dispatch import Embedded
from perfsvc.errors import JobConflict, NotFound, PerfsvcError, SettingsError
from perfsvc.model import JobKind
from perfsvc.settings import Settings
from perfsvc.store import Store, queries, writes

log = structlog.get_logger()

TICK = timedelta(seconds=30)
OUTBOX_TICK = timedelta(seconds=10)

#: A night that was missed by less than this is caught up, once; an older one is let go.
CATCH_UP = timedelta(hours=24)

#: Local hours that a change of clocks repeats or leaves out.
UNSAFE_HOURS = range(1, 3)


def trigger(cron: str, timezone: str) -> CronTrigger:
    """When a schedule is due. Raises: SettingsError: no cron line, numbers for weekdays, an unsafe hour."""
    fields = cron.split()
    if len(fields) != 5:
        raise SettingsError(f"[night] cron = {cron!r}: wanted five fields: minute hour day month weekday")
    if any(c.isdigit() for c in fields[4]):
        raise SettingsError(f"[night] cron = {cron!r}: weekdays by name (mon, sun), since numbers mean different days")
    try:
        zone = ZoneInfo(timezone)
        found = CronTrigger.from_crontab(cron, timezone=zone)
    except (ValueError, KeyError) as error:
        raise SettingsError(f"[night] cron = {cron!r}, timezone = {timezone!r}: {error}") from None
    if timezone != "UTC" and fields[1].isdigit() and int(fields[1]) in UNSAFE_HOURS:
        raise SettingsError(
            f"[night] cron = {cron!r}: 01:00 to 03:00 in {timezone} comes twice or never when clocks change"
        )
    return found


class Clock:
    """The ticks of one service. `start` returns at once; `stop` ends what waits, and asks what runs to end."""

    def __init__(self, store: Store, settings: Settings, runners: list[str]) -> None:
        self.store = store
        self.settings = settings
        self.stopping = threading.Event()
        self._scheduler = BackgroundScheduler(timezone="UTC")
        self._embedded = Embedded(self._scheduler, runners, self._work)

    def start(self) -> None:
        jobs.at_start(self.store, _now())
        self._tick(self._reconcile, TICK)
        self._tick(self._reap, TICK)
        self._tick(self._send, OUTBOX_TICK)
        for row in self._schedules():
            due = trigger(row.cron, row.timezone)
            self._scheduler.add_job(self._night, due, args=(row.id,), id=f"night {row.id}", coalesce=True)
            if _missed(due, row.last_due_at, _now()):
                self._scheduler.add_job(self._night, args=(row.id,), name=f"missed night {row.id}")
        self._scheduler.start()
        self._reconcile()

    def stop(self) -> None:
        self.stopping.set()
        self._scheduler.shutdown(wait=True)

    def next_night(self) -> datetime | None:
        due = [job.next_run_time for job in self._scheduler.get_jobs() if str(job.id).startswith("night ")]
        return min(due, default=None)

    def _tick(self, step: Callable[[], Any], every: timedelta) -> None:
        self._scheduler.add_job(
            step, IntervalTrigger(seconds=int(every.total_seconds())), max_instances=1, coalesce=True
        )

    def _schedules(self) -> list[Any]:
        with self.store.reading() as tx:
            return writes.jobs.schedules(tx)

    def _reconcile(self) -> None:
        jobs.reconcile(self.store, self._embedded.deliver, _now())

    def _reap(self) -> None:
        for job_id in jobs.reap(self.store, _now()):
            log.warning("a runner fell silent; its job waits for the next attempt", job=job_id)

    def _send(self) -> None:
        pipeline.send(self.store, self.settings, _now())

    def _night(self, schedule_id: int) -> None:
        try:
            ordered = order_night(self.store, schedule_id, _now())
            log.info("night ordered", schedule=schedule_id, jobs=ordered)
        except PerfsvcError as error:
            log.error("night could not be ordered", schedule=schedule_id, error=str(error))
        self._reconcile()

    def _work(self, job_id: int, attempt: int) -> None:
        if self.stopping.is_set():
            return
        try:
            done = work.work(self.store, job_id, attempt, cancelled=self.stopping.is_set, gives_back=True)
            log.info("job ended", job=job_id, state=done.state.value, message=done.message)
        except JobConflict as error:
            log.info("delivery dropped", job=job_id, reason=str(error))
        self._send()


def order_night(store: Store, schedule_id: int, now: datetime) -> list[int]:
    """Order what is due now: for each runner, the branch's newest commits that it lacks. Twice orders once."""
    with store.reading() as tx:
        row = next((r for r in writes.jobs.schedules(tx) if r.id == schedule_id), None)
        if row is None:
            raise NotFound(f"there is no enabled schedule {schedule_id}")
        project = queries.project(tx, row.project)
        runners = queries.runners(tx)
    folder = Path(project.repository)
    settings = Settings.load(folder)
    place = work.register_project(store, folder, settings)
    due_at = now.replace(second=0, microsecond=0)
    suite = git.resolve(folder, settings.project.branch)
    ordered = []
    for runner in runners:
        if row.device and runner.device.value != row.device:
            continue
        commits = work.unmeasured(store, place, runner.name, settings.night.last)
        job = jobs.order(
            store,
            project_id=place.id,
            runner_id=runner.id,
            kind=JobKind.NIGHTLY,
            spec={"commits": commits},
            now=now,
            suite_revision=suite,
            schedule_id=schedule_id,
            due_at=due_at,
        )
        if job is not None:
            ordered.append(job)
    with store.writing() as tx:
        writes.jobs.set_last_due(tx, schedule_id, due_at)
    return ordered


def _missed(due: CronTrigger, last: datetime | None, now: datetime) -> bool:
    """Was there a due time since the last night, while nobody was here? The very first night is waited for."""
    if last is None:
        return False
    after = max(last + timedelta(minutes=1), now - CATCH_UP)
    following = due.get_next_fire_time(None, after)
    return following is not None and following <= now


def _now() -> datetime:
    return datetime.now(UTC)
