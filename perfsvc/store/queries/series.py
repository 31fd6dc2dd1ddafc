"""Series, their latest state, and their points."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, exists, func, select

from perfsvc.errors import NotFound
from perfsvc.model import Verdict
from perfsvc.store import tables as t
from perfsvc.store.queries.catalog import commit_columns, commit_row
from perfsvc.store.rows import (
    PointRow,
    SeriesRow,
)


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
) -> list[SeriesRow]:
    """The series of a project with their latest state. `match`: a part of the benchmark's name."""
    query = _series_query().where(t.series.c.project_id == project_id)
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


def points(tx: Connection, series_id: int) -> list[PointRow]:
    """A series in order, one point a commit: the median over its runs. Excluded runs are left out."""
    return points_of(tx, [series_id]).get(series_id, [])


def points_of(tx: Connection, series_ids: Sequence[int]) -> dict[int, list[PointRow]]:
    """`points` for many series of one project with one statement per 500."""
    found: dict[int, list[PointRow]] = {}
    for start in range(0, len(series_ids), 500):
        found |= _points_of(tx, series_ids[start : start + 500])
    return found


def _points_of(tx: Connection, series_ids: Sequence[int]) -> dict[int, list[PointRow]]:
    query = (
        select(
            t.measurement,
            *commit_columns(t.commit, "commit_"),
            t.run.c.started_at,
            t.run.c.stored_at,
            t.environment.c.digest,
        )
        .join(t.run, t.run.c.id == t.measurement.c.run_id)
        .join(t.commit, t.commit.c.id == t.run.c.commit_id)
        .outerjoin(t.environment, t.environment.c.id == t.run.c.environment_id)
        .where(t.measurement.c.series_id.in_(series_ids), t.run.c.excluded.is_(None))
        .order_by(t.run.c.id)
    )
    grouped: dict[int, dict[int, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for row in tx.execute(query):
        grouped[row.series_id][row.commit_id].append(row)
    if not grouped:
        return {}
    ordered = _ordered_by_git(tx, series_ids[0])
    return {
        series_id: _in_order([_point(rows) for rows in by_commit.values()], ordered)
        for series_id, by_commit in grouped.items()
    }


def _ordered_by_git(tx: Connection, series_id: int) -> bool:
    project_id = select(t.series.c.project_id).where(t.series.c.id == series_id).scalar_subquery()
    on_line = exists().where(t.commit.c.project_id == project_id, t.commit.c.position.is_not(None))
    return bool(tx.execute(select(on_line)).scalar())


def _in_order(rows: list[PointRow], ordered_by_git: bool) -> list[PointRow]:
    """Only commits of the watched line make a series, where that line is known."""
    if ordered_by_git:
        return sorted((p for p in rows if p.commit.position is not None), key=lambda p: p.commit.position or 0)
    return sorted(rows, key=lambda p: (p.commit.authored_at, p.commit.hash))


def _point(rows: list[Any]) -> PointRow:
    """The runs of one commit as one point. A skip counts only where no run has a value; wrong as soon as one run is."""
    valued = [r for r in rows if r.value is not None]
    newest = (valued or rows)[-1]
    quartiles = [(r.q25, r.q75) for r in valued if r.q25 is not None and r.q75 is not None]
    return PointRow(
        commit=commit_row(newest, "commit_"),
        value=statistics.median(r.value for r in valued) if valued else None,
        q25=statistics.median(a for a, _ in quartiles) if quartiles else None,
        q75=statistics.median(b for _, b in quartiles) if quartiles else None,
        runs=tuple(r.run_id for r in rows),
        wrong=any(r.wrong for r in rows),
        skip="" if valued else newest.skip,
        environment=newest.digest or "",
        measured_at=newest.started_at or newest.stored_at,
    )
