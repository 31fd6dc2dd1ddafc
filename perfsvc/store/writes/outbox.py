"""Messages to people, each written with the state that it tells of, or not at all."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from perfsvc.store import tables as t


def add_notification(
    tx: Connection, project_id: int, channel: str, dedupe_key: str, payload: dict[str, Any], now: datetime
) -> bool:
    """Put a message into the outbox, once per key. False: it is, or was, there already."""
    same = (t.notification.c.channel == channel, t.notification.c.dedupe_key == dedupe_key)
    if tx.execute(select(t.notification.c.id).where(*same)).first() is not None:
        return False
    columns = {"project_id": project_id, "channel": channel, "dedupe_key": dedupe_key, "payload": payload}
    tx.execute(insert(t.notification).values(columns | {"created_at": now, "next_at": now, "tries": 0}))
    return True


def begin_sending(tx: Connection, notification_id: int, tries: int, until: datetime) -> bool:
    """Take a message for one more try. False: another sender has it. `until`: from then on, whoever took it is dead."""
    mine = update(t.notification).where(
        t.notification.c.id == notification_id, t.notification.c.tries == tries, t.notification.c.next_at.is_not(None)
    )
    return bool(tx.execute(mine.values(tries=tries + 1, next_at=until)).rowcount)


def mark_sent(tx: Connection, notification_id: int, now: datetime) -> None:
    mine = update(t.notification).where(t.notification.c.id == notification_id)
    tx.execute(mine.values(sent_at=now, next_at=None, error=""))


def mark_failed(tx: Connection, notification_id: int, error: str, next_at: datetime | None) -> None:
    """`next_at` None: given up, and shown."""
    mine = update(t.notification).where(t.notification.c.id == notification_id)
    tx.execute(mine.values(error=error, next_at=next_at))
