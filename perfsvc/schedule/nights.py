"""Order a night: for each runner that somebody serves, the branch's newest commits that it lacks."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from perfsvc import git, jobs, work
from perfsvc.errors import NotFound
from perfsvc.model import JobKind, JobState
from perfsvc.schedule.due import latest_due, trigger
from perfsvc.settings import Settings
from perfsvc.store import Store, queries, writes

log = structlog.get_logger()

#: A night that was missed by less than this is caught up, once; an older one is let go.
CATCH_UP = timedelta(hours=24)

WAITING = (JobState.QUEUED, JobState.RUNNING)


def order_night(store: Store, schedule_id: int, now: datetime, runners: Collection[str]) -> list[int]:
    """Order what is due now. Ids of the jobs; whoever asks twice, or from two processes, orders once.

    A runner whose last night is still waiting or at work gets no second one on top.
    Raises: NotFound, GitError, SettingsError.
    """
    with store.reading() as tx:
        row = next((r for r in writes.jobs.schedules(tx) if r.id == schedule_id), None)
        if row is None:
            raise NotFound(f"there is no enabled schedule {schedule_id}")
        project = queries.project(tx, row.project)
        known = queries.runners(tx)
        open_jobs = queries.jobs(tx, project.id, states=WAITING)
    due_at = latest_due(trigger(row.cron, row.timezone), now, CATCH_UP)
    if due_at is None or (row.last_due_at is not None and due_at <= row.last_due_at):
        return []
    folder = Path(project.repository)
    settings = Settings.load(folder)
    place = work.register_project(store, folder, settings)
    suite = git.resolve(folder, settings.project.branch)
    busy = {job.runner for job in open_jobs if job.kind is JobKind.NIGHTLY}
    ordered = []
    for runner in known:
        if runner.name not in runners or (row.device and runner.device.value != row.device):
            continue
        if runner.name in busy:
            log.warning("the night before is not done yet; none is ordered on top", runner=runner.name)
            continue
        job = jobs.order(
            store,
            project_id=place.id,
            runner_id=runner.id,
            kind=JobKind.NIGHTLY,
            spec={"commits": work.unmeasured(store, place, runner.name, settings.night.last)},
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
