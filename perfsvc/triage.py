"""What people do with alerts, the same for command line, API and pages. Every step is written down with who and why."""

from __future__ import annotations

from datetime import UTC, datetime

from perfsvc import alerts
from perfsvc.errors import NotFound
from perfsvc.rows import AlertRow
from perfsvc.store import Store, queries, writes


def acknowledge(store: Store, alert_id: int, *, actor: str, reason: str = "") -> AlertRow:
    """Say that somebody looks at it."""
    return _step(store, alert_id, "acknowledge", actor, reason)


def accept(store: Store, alert_id: int, *, actor: str, reason: str) -> AlertRow:
    """It is real and it is meant: the new level is the level."""
    return _step(store, alert_id, "accept", actor, reason)


def dismiss(store: Store, alert_id: int, *, actor: str, reason: str) -> AlertRow:
    """It is not real, or nobody's business."""
    return _step(store, alert_id, "dismiss", actor, reason)


def reopen(store: Store, alert_id: int, *, actor: str, reason: str = "") -> AlertRow:
    """It asks for somebody after all."""
    return _step(store, alert_id, "reopen", actor, reason)


def exclude(store: Store, run_id: int, *, actor: str, reason: str) -> None:
    """Leave a run out of every series, as when the machine was busy; the next `process` judges its series anew."""
    alerts.require_name_and_reason("exclude", actor=actor, reason=reason)
    with store.writing() as tx:
        if not writes.runs.exclude_run(tx, run_id, f"{reason} ({actor})"):
            raise NotFound(f"there is no run {run_id}")


def _step(store: Store, alert_id: int, action: str, actor: str, reason: str) -> AlertRow:
    now = datetime.now(UTC)
    with store.writing() as tx:
        found = queries.alert(tx, alert_id).alert
        state = alerts.step(found.state, action, actor=actor, reason=reason)
        writes.alerts.set_alert_state(tx, alert_id, state, actor=actor, action=action, reason=reason, now=now)
        writes.alerts.settle_verdicts(tx, alert_id)
        return queries.alert(tx, alert_id).alert
