"""Let go of what is large and old. The points themselves stay: a series is worth its history."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, func, select, update

from perfsvc.store import tables as t


def drop_samples(tx: Connection, *, before: datetime) -> tuple[int, int]:
    """Forget the raw samples of runs that were stored before then. How many runs, how many bytes."""
    old = (t.run.c.stored_at < before, t.run.c.samples.is_not(None))
    runs, size = tx.execute(
        select(func.count(), func.coalesce(func.sum(func.length(t.run.c.samples)), 0)).where(*old)
    ).one()
    tx.execute(update(t.run).where(*old).values(samples=None))
    return int(runs), int(size)


def drop_messages(tx: Connection, *, before: datetime) -> int:
    """Forget messages that left before then; what waits, and what was given up, stays. How many."""
    return tx.execute(delete(t.notification).where(t.notification.c.sent_at < before)).rowcount
