"""Every table of the store, by subject. The one baseline revision is made from them; nobody outside `store` sees them.

Seconds and bytes are SI, ratios are ratios, times are UTC. A name is the same here, in model.py and on the screen.
"""

from perfsvc.store.columns import metadata
from perfsvc.store.tables.catalog import commit, environment, project, runner, token
from perfsvc.store.tables.findings import (
    alert,
    alert_event,
    alert_guard,
    change,
    claim_result,
    experiment,
    experiment_pair,
    notification,
)
from perfsvc.store.tables.measured import (
    benchmark,
    fact,
    guard_result,
    measurement,
    metric,
    run,
    series,
    series_state,
    skip,
)
from perfsvc.store.tables.work import job, schedule

__all__ = [
    "alert",
    "alert_event",
    "alert_guard",
    "benchmark",
    "change",
    "claim_result",
    "commit",
    "environment",
    "experiment",
    "experiment_pair",
    "fact",
    "guard_result",
    "job",
    "measurement",
    "metadata",
    "metric",
    "notification",
    "project",
    "run",
    "runner",
    "schedule",
    "series",
    "series_state",
    "skip",
    "token",
]
