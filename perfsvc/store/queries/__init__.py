"""Every reading question, one function each, one or two statements each. Pages, API and command line share them."""

from perfsvc.store.queries.alerts import alert, alert_guards, alerts, changes, guards_of_alerts
from perfsvc.store.queries.catalog import commits, find_commit, project, projects, runners, waiting_projects
from perfsvc.store.queries.measured import commits_of_job, measured_commits
from perfsvc.store.queries.outbox import due_notifications, notifications
from perfsvc.store.queries.points import points, points_of
from perfsvc.store.queries.runs import (
    guard_history,
    guards,
    job,
    jobs,
    newest_run_id,
    newest_runs,
    runs,
)
from perfsvc.store.queries.series import one_series, series, verdict_counts, worst_series
from perfsvc.store.queries.tokens import find_token, tokens

__all__ = [
    "alert",
    "alert_guards",
    "alerts",
    "changes",
    "commits",
    "commits_of_job",
    "due_notifications",
    "find_commit",
    "find_token",
    "guard_history",
    "guards",
    "guards_of_alerts",
    "job",
    "jobs",
    "measured_commits",
    "newest_run_id",
    "newest_runs",
    "notifications",
    "one_series",
    "points",
    "points_of",
    "project",
    "projects",
    "runners",
    "runs",
    "series",
    "tokens",
    "verdict_counts",
    "waiting_projects",
    "worst_series",
]
