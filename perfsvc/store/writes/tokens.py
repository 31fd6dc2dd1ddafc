"""Tokens, as their hashes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import Connection, insert, or_, update

from perfsvc.store import tables as t
from perfsvc.tokens import Scope

#: A token that is used all the time is written to so often.
TOUCHED = timedelta(minutes=1)


def add_token(
    tx: Connection,
    name: str,
    digest: str,
    scopes: Iterable[Scope],
    *,
    project_id: int | None,
    expires_at: datetime | None,
    now: datetime,
) -> int:
    """Its id. `project_id`: for that project alone."""
    columns = {
        "name": name,
        "digest": digest,
        "scopes": [scope.value for scope in scopes],
        "project_id": project_id,
        "expires_at": expires_at,
        "created_at": now,
    }
    return int(tx.execute(insert(t.token).values(columns).returning(t.token.c.id)).scalar_one())


def revoke_token(tx: Connection, token_id: int, now: datetime) -> bool:
    """From now on it opens nothing. False: there is none, or it was revoked before."""
    revoked = update(t.token).where(t.token.c.id == token_id, t.token.c.revoked_at.is_(None)).values(revoked_at=now)
    return tx.execute(revoked).rowcount == 1


def touch_token(tx: Connection, token_id: int, now: datetime) -> None:
    """It was used now, give or take `TOUCHED`."""
    stale = or_(t.token.c.last_used_at.is_(None), t.token.c.last_used_at < now - TOUCHED)
    tx.execute(update(t.token).where(t.token.c.id == token_id, stale).values(last_used_at=now))
