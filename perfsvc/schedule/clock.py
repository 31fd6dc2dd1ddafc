"""The ticks of one service. One process of many is active: the one that holds the lock.

The `schedule` table is the truth; APScheduler keeps its jobs in memory and follows the table at each tick.
Nothing is measured in the scheduler's own pool: each runner has a thread of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger
from sqlalchemy.exc import DBAPIError

from perfsvc import jobs, pipeline, work
from perfsvc.dispatch import Embedded
from perfsvc.errors import JobConflict, PerfsvcError, RunnerError
from perfsvc.runner.locks import device_lock
from perfsvc.schedule.due import latest_due, trigger
from perfsvc.schedule.nights import CATCH_UP, order_night
from perfsvc.settings import Settings
from perfsvc.store import Store, queries, writes

log = structlog.get_logger()

TICK = timedelta(seconds=30)
OUTBOX_TICK = timedelta(seconds=10)


class Clock:
    """`start` returns at once; `stop` ends what waits and gives back what runs: it goes on when we are back."""

    def __init__(self, store: Store, settings: Settings, runners: Sequence[str]) -> None:
        self.store = store
        self.settings = settings
        self.runners = tuple(runners)
        self.stopping = threading.Event()
        self._scheduler = BackgroundScheduler(timezone="UTC")
        self._embedded = Embedded(self._scheduler, runners, self._work)
        self._followed: dict[int, tuple[str, str]] = {}  #: schedule -> the (cron, timezone) that it was added with

    def start(self) -> None:
        jobs.at_start(self.store, _now())
        self._follow()
        for step, every in (
            (self._follow, TICK),
            (self._reconcile, TICK),
            (self._reap, TICK),
            (self._judge, TICK),
            (self._send, OUTBOX_TICK),
        ):
            self._tick(step, every)
        self._scheduler.start()
        self._reconcile()

    def stop(self) -> None:
        self.stopping.set()
        self._scheduler.shutdown(wait=True)

    def next_night(self) -> datetime | None:
        """When the next night begins, of whatever project."""
        due = [job.next_run_time for job in self._scheduler.get_jobs() if str(job.id).startswith("night ")]
        return min(due, default=None)

    def _tick(self, step: Callable[[], Any], every: timedelta) -> None:
        def guarded() -> None:
            try:
                step()
            except (PerfsvcError, DBAPIError, OSError) as error:  # the next tick may get through
                log.error("a tick failed", step=step.__name__, error=str(error))

        seconds = IntervalTrigger(seconds=int(every.total_seconds()))
        self._scheduler.add_job(guarded, seconds, max_instances=1, coalesce=True, misfire_grace_time=None)

    def _follow(self) -> None:
        """Do as the table says: new schedules, changed ones, and those that are gone; a night that was missed, once."""
        with self.store.reading() as tx:
            rows = {row.id: row for row in writes.jobs.schedules(tx)}
        for gone in self._followed.keys() - rows.keys():
            self._scheduler.remove_job(f"night {gone}")
            del self._followed[gone]
        for row in rows.values():
            if self._followed.get(row.id) != (row.cron, row.timezone):
                self._add_night(row)

    def _add_night(self, row: Any) -> None:
        try:
            due = trigger(row.cron, row.timezone)
        except PerfsvcError as error:  # one project's mistake is not the others' silence
            log.error("a schedule is left out", project=row.project, error=str(error))
            return
        changed = row.id in self._followed
        self._followed[row.id] = (row.cron, row.timezone)
        self._scheduler.add_job(
            self._night,
            due,
            args=(row.id,),
            id=f"night {row.id}",
            replace_existing=True,
            coalesce=True,
            misfire_grace_time=int(CATCH_UP.total_seconds()),  # a laptop that slept through it orders it on waking
        )
        missed = None if changed else latest_due(due, _now(), CATCH_UP)
        if missed is not None and row.last_due_at is not None and missed > row.last_due_at:
            self._scheduler.add_job(self._night, args=(row.id,), name=f"missed night {row.id}", misfire_grace_time=None)

    def _night(self, schedule_id: int) -> None:
        try:
            ordered = order_night(self.store, schedule_id, _now(), self.runners)
            log.info("night ordered", schedule=schedule_id, jobs=ordered)
        except (PerfsvcError, DBAPIError) as error:
            log.error("night could not be ordered", schedule=schedule_id, error=str(error))
        self._reconcile()

    def _reconcile(self) -> None:
        jobs.reconcile(self.store, self._embedded.deliver, _now())

    def _reap(self) -> None:
        for job_id in jobs.reap(self.store, _now()):
            log.warning("a runner fell silent; its job waits for the next attempt", job=job_id)

    def _judge(self) -> None:
        """Runs that came in from elsewhere, over HTTP or from a runner that was away."""
        with self.store.reading() as tx:
            waiting = queries.waiting_projects(tx)
        for project in waiting:
            try:
                settings = work.settings_of(project)
            except PerfsvcError as error:  # one project's mistake is not the others' silence
                log.error("a project's runs wait for its settings to be mended", project=project.name, error=str(error))
                continue
            done = pipeline.process(self.store, project.id, settings, _now())
            log.info("judged what came in", project=project.name, runs=done.runs, opened=len(done.opened))

    def _send(self) -> None:
        pipeline.send(self.store, self.settings, _now())

    def _work(self, job_id: int, attempt: int) -> None:
        """In the runner's own thread. A device that somebody measures on by hand is left to them: the job waits."""
        if self.stopping.is_set() or not self._device_is_free(job_id):
            return
        try:
            done = work.work(self.store, job_id, attempt, cancelled=self.stopping.is_set, gives_back=True)
            log.info("job ended", job=job_id, state=done.state.value, message=done.message)
        except JobConflict as error:
            log.info("delivery dropped", job=job_id, reason=str(error))
        self._send()

    def _device_is_free(self, job_id: int) -> bool:
        with self.store.reading() as tx:
            job = queries.job(tx, job_id)
        try:
            with device_lock(self.settings.home, job.device):
                return True
        except RunnerError as error:
            log.info("job waits", job=job_id, reason=str(error))
            return False


def _now() -> datetime:
    return datetime.now(UTC)
