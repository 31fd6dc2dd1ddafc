"""Messages to people: those that wait, those that have left, those that were given up."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from perfsvc.rows import NotificationRow
from perfsvc.store import tables as t


def notifications(tx: Connection, project_id: int | None = None, *, given_up: bool = False) -> list[NotificationRow]:
    """Oldest first. given_up: only those that no channel will take any more."""
    query = select(t.notification).order_by(t.notification.c.id)
    if project_id is not None:
        query = query.where(t.notification.c.project_id == project_id)
    if given_up:
        query = query.where(t.notification.c.next_at.is_(None), t.notification.c.sent_at.is_(None))
    return [_notification(row) for row in tx.execute(query)]


def due_notifications(tx: Connection, now: datetime) -> list[NotificationRow]:
    query = select(t.notification).where(t.notification.c.next_at <= now).order_by(t.notification.c.id)
    return [_notification(row) for row in tx.execute(query)]


def _notification(r: Row[Any]) -> NotificationRow:
    return NotificationRow(
        id=r.id,
        channel=r.channel,
        title=r.payload["title"],
        body=r.payload["body"],
        tries=r.tries,
        created_at=r.created_at,
        next_at=r.next_at,
        sent_at=r.sent_at,
        error=r.error,
    )
