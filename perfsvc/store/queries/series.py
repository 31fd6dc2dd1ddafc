"""Series, their latest state, and their points."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, exists, func, select

from perfsvc.errors import NotFound
from perfsvc.model import Verdict
from perfsvc.rows import CommitRow, PointRow, SeriesRow
from perfsvc.store import tables as t
from perfsvc.store.queries.catalog import commit_columns, commit_row


def _series_query() -> Select[Any]:
    return (
        select(
            t.series.c.id,
            t.project.c.name.label("project"),
            t.benchmark.c.name.label("benchmark"),
            t.benchmark.c.version,
            t.benchmark.c.param_names,
            t.series.c.params,
            t.metric.c.name.label("metric"),
            t.metric.c.unit,
            t.metric.c.direction,
            t.metric.c.exact,
            t.series.c.machine,
            t.series_state,
            t.commit.c.hash.label("latest_commit"),
        )
        .select_from(t.series)
        .join(t.project, t.project.c.id == t.series.c.project_id)
        .join(t.benchmark, t.benchmark.c.id == t.series.c.benchmark_id)
        .join(t.metric, t.metric.c.id == t.series.c.metric_id)
        .outerjoin(t.series_state, t.series_state.c.series_id == t.series.c.id)
        .outerjoin(t.commit, t.commit.c.id == t.series_state.c.latest_commit_id)
    )


def _series(r: Row[Any]) -> SeriesRow:
    return SeriesRow(
        id=r.id,
        project=r.project,
        benchmark=r.benchmark,
        version=r.version,
        params=tuple(json.loads(r.params)),
        param_names=tuple(r.param_names),
        metric=r.metric,
        unit=r.unit,
        direction=r.direction,
        exact=r.exact,
        machine=r.machine,
        verdict=r.verdict or Verdict.NO_DATA,
        ratio=r.ratio,
        latest=r.latest,
        latest_commit=r.latest_commit,
        latest_at=r.latest_at,
        points=r.points or 0,
        last_values=tuple(r.last_values or ()),
        sigma=r.sigma,
        minimum_detectable_effect=r.minimum_detectable_effect,
    )


def series(
    tx: Connection,
    project_id: int,
    *,
    machine: str | None = None,
    verdicts: Iterable[Verdict] | None = None,
    match: str | None = None,
    ids: Sequence[int] | None = None,
) -> list[SeriesRow]:
    """The series of a project with their latest state. `match`: a part of the benchmark's name; `ids`: only these."""
    query = _series_query().where(t.series.c.project_id == project_id)
    if ids is not None:
        query = query.where(t.series.c.id.in_(ids))
    if machine:
        query = query.where(t.series.c.machine == machine)
    if verdicts is not None:
        query = query.where(t.series_state.c.verdict.in_(list(verdicts)))
    if match:
        query = query.where(t.benchmark.c.name.contains(match, autoescape=True))
    rows = tx.execute(query.order_by(t.benchmark.c.name, t.series.c.params, t.metric.c.name, t.series.c.machine))
    return [_series(row) for row in rows]


def one_series(tx: Connection, series_id: int) -> SeriesRow:
    """Raises: NotFound."""
    row = tx.execute(_series_query().where(t.series.c.id == series_id)).first()
    if row is None:
        raise NotFound(f"there is no series {series_id}")
    return _series(row)


def verdict_counts(tx: Connection, project_id: int) -> dict[str, dict[Verdict, int]]:
    """Machine -> verdict -> number of series."""
    query = (
        select(t.series.c.machine, t.series_state.c.verdict, func.count())
        .join(t.series_state, t.series_state.c.series_id == t.series.c.id)
        .where(t.series.c.project_id == project_id)
        .group_by(t.series.c.machine, t.series_state.c.verdict)
    )
    counts: dict[str, dict[Verdict, int]] = defaultdict(dict)
    for machine, verdict, count in tx.execute(query):
        counts[machine][verdict] = count
    return dict(counts)


# --- points -----------------------------------------------------------------------------------------------------------

#: Series a statement; SQLite takes 999 values at least.
CHUNK = 500

#: Up to so many series ask for their own runs only; more ask for all of the project's.
FEW = 20


@dataclass(frozen=True, slots=True)
class _Run:
    """What a point needs to know of a run."""

    commit: CommitRow
    environment: str
    measured_at: datetime


#: run's id, value, q25, q75, wrong, skip
_Value = tuple[Any, ...]


def points(tx: Connection, series_id: int) -> list[PointRow]:
    """A series in order, one point a commit: the median over its runs. Excluded runs are left out."""
    return points_of(tx, [series_id]).get(series_id, [])


def points_of(tx: Connection, series_ids: Sequence[int]) -> dict[int, list[PointRow]]:
    """`points` for many series of one project; a series without a run that counts is not in it."""
    found: dict[int, list[PointRow]] = {}
    for start in range(0, len(series_ids), CHUNK):
        found |= _points_of(tx, series_ids[start : start + CHUNK])
    return found


def _points_of(tx: Connection, series_ids: Sequence[int]) -> dict[int, list[PointRow]]:
    runs = _runs_of(tx, series_ids)
    m = t.measurement.c
    query = select(m.series_id, m.run_id, m.value, m.q25, m.q75, m.wrong, m.skip).where(m.series_id.in_(series_ids))
    by_commit: dict[int, dict[int, list[_Value]]] = defaultdict(lambda: defaultdict(list))
    for series_id, run_id, *value in tx.execute(query.order_by(m.series_id, m.run_id)).all():
        run = runs.get(run_id)
        if run is not None:
            by_commit[series_id][run.commit.id].append((run_id, *value))
    by_git = bool(by_commit) and _ordered_by_git(tx, series_ids[0])
    return {
        series_id: _in_order([_point(values, runs) for values in commits.values()], by_git)
        for series_id, commits in by_commit.items()
    }


def _runs_of(tx: Connection, series_ids: Sequence[int]) -> dict[int, _Run]:
    """The runs that count, by id: those of a few series, or all of their project."""
    query = (
        select(t.run.c.id.label("run"), t.run.c.started_at, t.run.c.stored_at, t.environment.c.digest)
        .add_columns(*commit_columns(t.commit, "commit_"))
        .join(t.commit, t.commit.c.id == t.run.c.commit_id)
        .outerjoin(t.environment, t.environment.c.id == t.run.c.environment_id)
        .where(t.run.c.excluded.is_(None))
    )
    if len(series_ids) <= FEW:
        mine = select(t.measurement.c.run_id).where(t.measurement.c.series_id.in_(series_ids))
        query = query.where(t.run.c.id.in_(mine))
    else:
        query = query.where(t.run.c.project_id == _project_of(series_ids[0]))
    return {
        row.run: _Run(commit_row(row, "commit_"), row.digest or "", row.started_at or row.stored_at)
        for row in tx.execute(query)
    }


def _project_of(series_id: int) -> Any:
    return select(t.series.c.project_id).where(t.series.c.id == series_id).scalar_subquery()


def _ordered_by_git(tx: Connection, series_id: int) -> bool:
    on_line = exists().where(t.commit.c.project_id == _project_of(series_id), t.commit.c.position.is_not(None))
    return bool(tx.execute(select(on_line)).scalar())


def _in_order(rows: list[PointRow], ordered_by_git: bool) -> list[PointRow]:
    """Only commits of the watched line make a series, where that line is known."""
    if ordered_by_git:
        return sorted((p for p in rows if p.commit.position is not None), key=lambda p: p.commit.position or 0)
    return sorted(rows, key=lambda p: (p.commit.authored_at, p.commit.hash))


def _point(values: list[_Value], runs: Mapping[int, _Run]) -> PointRow:
    """The runs of one commit as one point. A skip counts only where no run has a value; wrong as soon as one run is."""
    if len(values) == 1:
        run_id, value, q25, q75, wrong, skip = values[0]
        run = runs[run_id]
        return PointRow(run.commit, value, q25, q75, (run_id,), wrong, skip or "", run.environment, run.measured_at)
    valued = [v for v in values if v[1] is not None]
    newest = (valued or values)[-1]
    quartiles = [(v[2], v[3]) for v in valued if v[2] is not None and v[3] is not None]
    run = runs[newest[0]]
    return PointRow(
        commit=run.commit,
        value=statistics.median(v[1] for v in valued) if valued else None,
        q25=statistics.median(q25 for q25, _ in quartiles) if quartiles else None,
        q75=statistics.median(q75 for _, q75 in quartiles) if quartiles else None,
        runs=tuple(v[0] for v in values),
        wrong=any(v[4] for v in values),
        skip="" if valued else newest[5] or "",
        environment=run.environment,
        measured_at=run.measured_at,
    )
