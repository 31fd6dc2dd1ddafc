"""Runs, jobs, and what the guards said."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, select, tuple_

from perfsvc.errors import NotFound
from perfsvc.model import JobState, Outcome
from perfsvc.rows import GuardRow, JobRow, RunRow
from perfsvc.store import tables as t
from perfsvc.store.queries.catalog import commit_columns, commit_order, commit_row


def runs(
    tx: Connection, project_id: int, *, machine: str | None = None, limit: int = 100, before: int | None = None
) -> list[RunRow]:
    """Newest first. `before`: only those that follow this run (by id), for the next page."""
    query = _run_query(project_id).limit(limit)
    if machine:
        query = query.where(t.run.c.machine == machine)
    if before is not None:
        last = t.run.alias("last")
        stored_at = select(last.c.stored_at).where(last.c.id == before).scalar_subquery()
        query = query.where(tuple_(t.run.c.stored_at, t.run.c.id) < tuple_(stored_at, before))
    return [_run(row) for row in tx.execute(query)]


def newest_runs(tx: Connection, project_id: int) -> dict[str, RunRow]:
    """Machine -> its newest run."""
    newest = select(func.max(t.run.c.id)).where(t.run.c.project_id == project_id).group_by(t.run.c.machine)
    rows = tx.execute(_run_query(project_id).where(t.run.c.id.in_(newest)))
    return {row.machine: row for row in map(_run, rows)}


def _run_query(project_id: int) -> Select[Any]:

    def count(of: Any, *where: ColumnElement[bool]) -> Any:
        return select(func.count()).select_from(of).where(of.c.run_id == t.run.c.id, *where).scalar_subquery()

    return (
        select(
            t.run,
            t.project.c.name.label("project"),
            t.environment.c.digest,
            *commit_columns(t.commit, "of_"),
            count(t.guard_result, t.guard_result.c.outcome == Outcome.PASSED).label("n_passed"),
            count(t.guard_result, t.guard_result.c.outcome == Outcome.FAILED).label("n_failed"),
        )
        .join(t.project, t.project.c.id == t.run.c.project_id)
        .join(t.commit, t.commit.c.id == t.run.c.commit_id)
        .outerjoin(t.environment, t.environment.c.id == t.run.c.environment_id)
        .where(t.run.c.project_id == project_id)
        .order_by(t.run.c.stored_at.desc(), t.run.c.id.desc())
    )


def _run(r: Row[Any]) -> RunRow:
    return RunRow(
        id=r.id,
        project=r.project,
        machine=r.machine,
        env_name=r.env_name,
        commit=commit_row(r, "of_"),
        origin=r.origin,
        job=r.job_id,
        suite_revision=r.suite_revision,
        environment=r.digest or "",
        started_at=r.started_at,
        stored_at=r.stored_at,
        duration=r.duration,
        measurements=r.n_values,
        skips=r.n_skips,
        guards_passed=r.n_passed,
        guards_failed=r.n_failed,
        noisy=r.noisy,
        excluded=r.excluded,
        readings=r.readings,
        canary=r.canary,
        messages=tuple(r.messages),
    )


def jobs(
    tx: Connection,
    project_id: int | None = None,
    *,
    states: Iterable[JobState] | None = None,
    limit: int = 100,
) -> list[JobRow]:
    """Newest first."""
    query = _job_query().order_by(t.job.c.id.desc()).limit(limit)
    if project_id is not None:
        query = query.where(t.job.c.project_id == project_id)
    if states is not None:
        query = query.where(t.job.c.state.in_(list(states)))
    return [_job(row) for row in tx.execute(query)]


def job(tx: Connection, job_id: int) -> JobRow:
    """Raises: NotFound."""
    row = tx.execute(_job_query().where(t.job.c.id == job_id)).first()
    if row is None:
        raise NotFound(f"there is no job {job_id}")
    return _job(row)


def _job_query() -> Select[Any]:
    return (
        select(t.job, t.project.c.name.label("project"), t.runner.c.name.label("runner"), t.runner.c.device)
        .join(t.project, t.project.c.id == t.job.c.project_id)
        .join(t.runner, t.runner.c.id == t.job.c.runner_id)
    )


def _job(r: Row[Any]) -> JobRow:
    return JobRow(
        id=r.id,
        project=r.project,
        runner=r.runner,
        device=r.device,
        kind=r.kind,
        state=r.state,
        attempt=r.attempt,
        cancel_requested=r.cancel_requested,
        suite_revision=r.suite_revision,
        spec=r.spec,
        created_at=r.created_at,
        started_at=r.started_at,
        ended_at=r.ended_at,
        lease_until=r.lease_until,
        due_at=r.due_at,
        done=r.done,
        message=r.message,
    )


def guard_history(
    tx: Connection,
    project_id: int,
    *,
    machine: str | None = None,
    test: str | None = None,
    outcomes: Iterable[Outcome] | None = None,
    ever_failed: bool = False,
    limit: int | None = None,
) -> list[GuardRow]:
    """Every guard at every commit, in the order of the series; of several runs of a commit the newest speaks.

    outcomes: the others count as not there. ever_failed: only guards that failed at some commit, on some machine.
    limit: at most so many results, those of the newest commits.
    """
    query = (
        select(t.guard_result, t.run.c.machine, *commit_columns(t.commit, "commit_"))
        .join(t.run, t.run.c.id == t.guard_result.c.run_id)
        .join(t.commit, t.commit.c.id == t.run.c.commit_id)
        .where(t.run.c.project_id == project_id, t.run.c.excluded.is_(None))
        .order_by(t.commit.c.position.is_(None), t.commit.c.position.desc(), t.commit.c.authored_at.desc())
        .order_by(t.commit.c.hash.desc(), t.run.c.id.desc())
        .limit(limit)
    )
    if machine:
        query = query.where(t.run.c.machine == machine)
    if test:
        query = query.where(t.guard_result.c.test == test)
    if outcomes is not None:
        query = query.where(t.guard_result.c.outcome.in_(list(outcomes)))
    if ever_failed:
        query = query.where(t.guard_result.c.test.in_(_failed_tests(project_id)))
    newest: dict[tuple[str, str, int], GuardRow] = {}
    for r in tx.execute(query):
        key = (r.machine, r.test, r.commit_id)
        newest[key] = newest.get(key) or GuardRow(
            guard=r.guard,
            test=r.test,
            variant=r.variant,
            device=r.device,
            dtype=r.dtype,
            machine=r.machine,
            outcome=r.outcome,
            error=r.error,
            tolerance=r.tolerance,
            covers=r.covers,
            message=r.message,
            commit=commit_row(r, "commit_"),
            run=r.run_id,
        )
    return sorted(newest.values(), key=lambda g: (commit_order(g.commit), g.guard, g.test, g.machine))


def _failed_tests(project_id: int) -> Select[Any]:
    return (
        select(t.guard_result.c.test)
        .join(t.run, t.run.c.id == t.guard_result.c.run_id)
        .where(t.run.c.project_id == project_id, t.guard_result.c.outcome == Outcome.FAILED)
    )


def guards(tx: Connection, project_id: int, *, machine: str | None = None) -> list[GuardRow]:
    """The newest result of each guard on each machine; failed ones first."""
    latest: dict[tuple[str, str], GuardRow] = {}
    for row in guard_history(tx, project_id, machine=machine):
        latest[(row.machine, row.test)] = row
    order = {Outcome.FAILED: 0, Outcome.NOT_RUN: 1, Outcome.PASSED: 2, Outcome.NOT_APPLICABLE: 3}
    return sorted(latest.values(), key=lambda g: (order[g.outcome], g.guard, g.variant, g.test, g.machine))


def newest_run_id(tx: Connection) -> int:
    """Grows with every stored run: a key for caches."""
    return int(tx.execute(select(func.coalesce(func.max(t.run.c.id), 0))).scalar_one())
