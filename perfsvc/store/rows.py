"""The rows lie in perfsvc/rows.py; this is their former address."""

from perfsvc.rows import (
    AlertDetail,
    AlertEventRow,
    AlertGuardRow,
    AlertRow,
    ChangeRow,
    CommitRow,
    GuardRow,
    JobRow,
    NotificationRow,
    PointRow,
    ProjectRow,
    RunnerRow,
    RunRow,
    SeriesRow,
    Words,
    to_json,
)

__all__ = [
    "AlertDetail",
    "AlertEventRow",
    "AlertGuardRow",
    "AlertRow",
    "ChangeRow",
    "CommitRow",
    "GuardRow",
    "JobRow",
    "NotificationRow",
    "PointRow",
    "ProjectRow",
    "RunRow",
    "RunnerRow",
    "SeriesRow",
    "Words",
    "to_json",
]
