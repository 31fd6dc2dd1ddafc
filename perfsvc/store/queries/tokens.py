"""Who may come in."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select, select

from perfsvc.rows import TokenRow
from perfsvc.store import tables as t
from perfsvc.tokens import Scope


def tokens(tx: Connection) -> list[TokenRow]:
    """Every token that was ever made, oldest first."""
    return [_row(row) for row in tx.execute(_query().order_by(t.token.c.id))]


def find_token(tx: Connection, digest: str) -> TokenRow | None:
    """The token with this hash, also when it is revoked or has expired."""
    row = tx.execute(_query().where(t.token.c.digest == digest)).first()
    return None if row is None else _row(row)


def _query() -> Select[Any]:
    columns = (t.token, t.project.c.name.label("project"))
    return select(*columns).outerjoin(t.project, t.project.c.id == t.token.c.project_id)


def _row(row: Any) -> TokenRow:
    return TokenRow(
        row.id,
        row.name,
        tuple(Scope(word) for word in row.scopes),
        row.project,
        row.created_at,
        row.expires_at,
        row.revoked_at,
        row.last_used_at,
    )
