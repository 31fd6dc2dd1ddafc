"""Projects, runners and commits."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from perfsvc.model import Commit, Device, Json
from perfsvc.store import tables as t


def keep_project(
    tx: Connection, name: str, *, now: datetime, repository: str = "", branch: str = "main", commit_url: str = ""
) -> int:
    """The project's id. A known one is brought up to date; what is given empty stays as it was."""
    given = {"repository": repository, "branch": branch, "commit_url": commit_url}
    known = tx.execute(select(t.project).where(t.project.c.name == name)).mappings().first()
    if known is None:
        return _inserted(tx, t.project, name=name, created_at=now, **given)
    moved = {column: value for column, value in given.items() if value and known[column] != value}
    if moved:
        tx.execute(update(t.project).where(t.project.c.id == known["id"]).values(moved))
    return int(known["id"])


def keep_runner(tx: Connection, name: str, device: Device, machine_facts: Json, *, now: datetime) -> int:
    """The runner's id; seen now."""
    facts = {"device": device, "machine_facts": dict(machine_facts), "last_seen_at": now}
    known = tx.execute(select(t.runner.c.id).where(t.runner.c.name == name)).scalar()
    if known is None:
        return _inserted(tx, t.runner, name=name, created_at=now, labels={}, **facts)
    tx.execute(update(t.runner).where(t.runner.c.id == known).values(facts))
    return int(known)


def keep_line(tx: Connection, project_id: int, line: Sequence[Commit]) -> None:
    """Make `line` the watched branch's first-parent line, oldest first. Commits that left it lose their position."""
    if not line or _is_kept(tx, project_id, line):
        return
    tx.execute(update(t.commit).where(t.commit.c.project_id == project_id).values(position=None))
    known: dict[str, int] = {
        row.hash: row.id
        for row in tx.execute(select(t.commit.c.hash, t.commit.c.id).where(t.commit.c.project_id == project_id))
    }
    new = [_columns(c, position) | {"project_id": project_id} for position, c in enumerate(line) if c.hash not in known]
    if new:
        tx.execute(insert(t.commit), new)
    for position, commit in enumerate(line):
        if commit.hash in known:
            tx.execute(update(t.commit).where(t.commit.c.id == known[commit.hash]).values(_columns(commit, position)))


def _is_kept(tx: Connection, project_id: int, line: Sequence[Commit]) -> bool:
    """A first-parent line is known by its tip and its length."""
    kept = tx.execute(
        select(t.commit.c.position).where(t.commit.c.project_id == project_id, t.commit.c.hash == line[-1].hash)
    ).scalar()
    newest = tx.execute(select(func.max(t.commit.c.position)).where(t.commit.c.project_id == project_id)).scalar()
    return kept is not None and kept == newest == len(line) - 1


def keep_commit(tx: Connection, project_id: int, commit: Commit) -> int:
    """The commit's id. What git told before is not overwritten by the little that a result file knows."""
    known = tx.execute(
        select(t.commit.c.id, t.commit.c.subject).where(
            t.commit.c.project_id == project_id, t.commit.c.hash == commit.hash
        )
    ).first()
    if known is None:
        return _inserted(tx, t.commit, project_id=project_id, **_columns(commit, commit.position))
    if commit.subject and not known.subject:
        told = {k: v for k, v in _columns(commit, None).items() if k != "position"}
        tx.execute(update(t.commit).where(t.commit.c.id == known.id).values(told))
    return int(known.id)


def _columns(commit: Commit, position: int | None) -> dict[str, Any]:
    return {
        "hash": commit.hash,
        "position": position,
        "parents": list(commit.parents),
        "authored_at": commit.authored_at,
        "author": commit.author,
        "subject": commit.subject,
        "trailers": [list(pair) for pair in commit.trailers],
        "changed_paths": list(commit.changed_paths),
    }


def _inserted(tx: Connection, table: Any, **values: Any) -> int:
    return int(tx.execute(insert(table).values(values).returning(table.c.id)).scalar_one())


def touch_runner(tx: Connection, runner_id: int, now: datetime) -> None:
    tx.execute(update(t.runner).where(t.runner.c.id == runner_id).values(last_seen_at=now))
