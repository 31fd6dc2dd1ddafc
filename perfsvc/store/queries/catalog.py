"""What there is: projects, runners, commits."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, exists, select

from perfsvc.errors import NotFound
from perfsvc.model import JobState
from perfsvc.rows import (
    CommitRow,
    ProjectRow,
    RunnerRow,
)
from perfsvc.store import tables as t

COMMIT = ("id", "hash", "position", "authored_at", "author", "subject")


def commit_row(row: Any, prefix: str = "") -> CommitRow:
    return CommitRow(*(getattr(row, f"{prefix}{name}") for name in COMMIT))


def commit_columns(alias: Any, prefix: str = "") -> list[ColumnElement[Any]]:
    return [alias.c[name].label(f"{prefix}{name}") for name in COMMIT]


def commits(tx: Connection, project_id: int) -> list[CommitRow]:
    """The watched line, oldest first; where git's order is not known, every commit in order of author date."""
    order = select(*commit_columns(t.commit)).where(t.commit.c.project_id == project_id)
    line = tx.execute(order.where(t.commit.c.position.is_not(None)).order_by(t.commit.c.position)).all()
    if not line:
        line = tx.execute(order.order_by(t.commit.c.authored_at, t.commit.c.hash)).all()
    return [commit_row(row) for row in line]


def find_commit(tx: Connection, project_id: int, start: str) -> CommitRow:
    """The commit whose hash begins with `start`. Raises: NotFound when none or several do."""
    query = select(*commit_columns(t.commit)).where(
        t.commit.c.project_id == project_id, t.commit.c.hash.startswith(start, autoescape=True)
    )
    found = tx.execute(query.limit(2)).all()
    if len(found) != 1:
        raise NotFound(f"{'no commit' if not found else 'more than one commit'} begins with {start!r}")
    return commit_row(found[0])


def commit_order(commit: CommitRow) -> tuple[bool, int, float, str]:
    """Sorts by position where it is known, else by author date; commits off the line come first."""
    return (commit.position is not None, commit.position or 0, commit.authored_at.timestamp(), commit.hash)


def projects(tx: Connection) -> list[ProjectRow]:
    on_line = exists().where(t.commit.c.project_id == t.project.c.id, t.commit.c.position.is_not(None))
    rows = tx.execute(select(t.project, on_line.label("on_line")).order_by(t.project.c.name))
    return [ProjectRow(r.id, r.name, r.repository, r.branch, r.commit_url, bool(r.on_line)) for r in rows]


def project(tx: Connection, name: str) -> ProjectRow:
    """Raises: NotFound, naming those that there are."""
    known = projects(tx)
    for row in known:
        if row.name == name:
            return row
    names = ", ".join(row.name for row in known) or "none yet"
    raise NotFound(f"there is no project {name!r}; known: {names}")


def waiting_projects(tx: Connection) -> list[ProjectRow]:
    """Projects with runs that wait for judgement, and no job at work that will judge them when it ends."""
    waits = select(t.run.c.project_id).where(t.run.c.judged_at.is_(None))
    works = select(t.job.c.project_id).where(t.job.c.state == JobState.RUNNING)
    ids = select(t.project.c.id).where(t.project.c.id.in_(waits), t.project.c.id.not_in(works))
    found = set(tx.execute(ids).scalars())
    return [row for row in projects(tx) if row.id in found] if found else []


def runners(tx: Connection) -> list[RunnerRow]:
    rows = tx.execute(select(t.runner).order_by(t.runner.c.name))
    return [RunnerRow(r.id, r.name, r.device, r.machine_facts, r.created_at, r.last_seen_at) for r in rows]
