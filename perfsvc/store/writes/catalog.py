"""Projects, runners and commits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from perfsvc.model import Commit, Device, Json
from perfsvc.store import tables as t


def keep_project(
    tx: Connection, name: str, *, now: datetime, repository: str = "", branch: str = "", commit_url: str = ""
) -> int:
    """The project's id. A known one is brought up to date; what is given empty stays as it was, at first "main"."""
    given = {"repository": repository, "branch": branch, "commit_url": commit_url}
    known = tx.execute(select(t.project).where(t.project.c.name == name)).mappings().first()
    if known is None:
        return _inserted(tx, t.project, name=name, created_at=now, **given | {"branch": branch or "main"})
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


def touch_runner(tx: Connection, runner_id: int, now: datetime) -> None:
    tx.execute(update(t.runner).where(t.runner.c.id == runner_id).values(last_seen_at=now))


def keep_line(tx: Connection, project_id: int, line: Sequence[Commit]) -> None:
    """Make `line` the watched branch's first-parent line, root first. Commits that left it lose their position.

    The line is whole: a shallow clone's is not, and does not belong here. Runs of commits that moved wait for
    judgement again, since their series have other points now.
    """
    if not line or _is_kept(tx, project_id, line):
        return
    commits = select(t.commit.c.id, t.commit.c.hash, t.commit.c.position, t.commit.c.subject)
    known = {row.hash: row for row in tx.execute(commits.where(t.commit.c.project_id == project_id))}
    place = {commit.hash: position for position, commit in enumerate(line)}
    moved = [row for row in known.values() if row.position != place.get(row.hash)]
    if moved:
        by_date = all(row.position is None for row in known.values())  # until now, every commit was in its series
        _write(tx, [{"key": row.id, "position": place.get(row.hash)} for row in moved])
        _judge_again(tx, [row.id for row in (known.values() if by_date else moved)])
    untold = [c for c in line if c.subject and c.hash in known and not known[c.hash].subject]
    if untold:
        _write(tx, [{"key": known[c.hash].id} | _told(c) for c in untold])
    new = [_told(c) | {"project_id": project_id, "position": place[c.hash]} for c in line if c.hash not in known]
    if new:
        tx.execute(insert(t.commit), new)


def _is_kept(tx: Connection, project_id: int, line: Sequence[Commit]) -> bool:
    """A first-parent line is known by its tip and its length."""
    kept = tx.execute(
        select(t.commit.c.position).where(t.commit.c.project_id == project_id, t.commit.c.hash == line[-1].hash)
    ).scalar()
    newest = tx.execute(select(func.max(t.commit.c.position)).where(t.commit.c.project_id == project_id)).scalar()
    return kept is not None and kept == newest == len(line) - 1


def _write(tx: Connection, rows: list[dict[str, Any]]) -> None:
    """Bring commits to these columns. `key`: the commit's id."""
    tx.execute(update(t.commit).where(t.commit.c.id == bindparam("key")), rows)


def _judge_again(tx: Connection, commit_ids: Iterable[int]) -> None:
    runs = update(t.run).where(t.run.c.commit_id == bindparam("key")).values(judged_at=None)
    tx.execute(runs, [{"key": commit_id} for commit_id in commit_ids])


def keep_commit(tx: Connection, project_id: int, commit: Commit) -> int:
    """The commit's id. What git told before is not overwritten by the little that a result file knows.

    It gets no position: that is the line's to tell.
    """
    known = tx.execute(
        select(t.commit.c.id, t.commit.c.subject).where(
            t.commit.c.project_id == project_id, t.commit.c.hash == commit.hash
        )
    ).first()
    if known is None:
        return _inserted(tx, t.commit, project_id=project_id, **_told(commit))
    if commit.subject and not known.subject:
        _write(tx, [{"key": known.id} | _told(commit)])
    return int(known.id)


def _told(commit: Commit) -> dict[str, Any]:
    return {
        "hash": commit.hash,
        "parents": list(commit.parents),
        "authored_at": commit.authored_at,
        "author": commit.author,
        "subject": commit.subject,
        "trailers": [list(pair) for pair in commit.trailers],
        "changed_paths": list(commit.changed_paths),
    }


def _inserted(tx: Connection, table: Any, **values: Any) -> int:
    return int(tx.execute(insert(table).values(values).returning(table.c.id)).scalar_one())
