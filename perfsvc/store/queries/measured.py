"""What is there already: the commits that need not be measured again."""

from __future__ import annotations

from sqlalchemy import Connection, select

from perfsvc.store import tables as t


def measured_commits(tx: Connection, project_id: int, machine: str) -> set[str]:
    """Hashes of the commits with a run on this machine that counts."""
    query = (
        select(t.commit.c.hash)
        .join(t.run, t.run.c.commit_id == t.commit.c.id)
        .where(t.run.c.project_id == project_id, t.run.c.machine == machine, t.run.c.excluded.is_(None))
    )
    return set(tx.execute(query).scalars())


def commits_of_job(tx: Connection, job_id: int) -> set[str]:
    """Hashes of the commits whose runs this job, whatever the attempt, has brought in."""
    query = select(t.commit.c.hash).join(t.run, t.run.c.commit_id == t.commit.c.id).where(t.run.c.job_id == job_id)
    return set(tx.execute(query).scalars())
