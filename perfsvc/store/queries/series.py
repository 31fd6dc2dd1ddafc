"""Series, their latest state, and their points."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Row, Select, case, func, select

from perfsvc.errors import NotFound
from perfsvc.model import Verdict
from perfsvc.rows import SeriesRow
from perfsvc.store import tables as t


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
    limit: int | None = None,
    after: int | None = None,
) -> list[SeriesRow]:
    """The series of a project with their latest state, by name.

    match: a part of the benchmark's name; ids: only these. after: in the order of ids, from the next one on, for pages.
    """
    query = _series_query().where(t.series.c.project_id == project_id)
    if ids is not None:
        query = query.where(t.series.c.id.in_(ids))
    if machine:
        query = query.where(t.series.c.machine == machine)
    if verdicts is not None:
        query = query.where(t.series_state.c.verdict.in_(list(verdicts)))
    if match:
        query = query.where(t.benchmark.c.name.contains(match, autoescape=True))
    by_name = (t.benchmark.c.name, t.series.c.params, t.metric.c.name, t.series.c.machine)
    if after is None:
        query = query.order_by(*by_name, t.series.c.id)
    else:
        query = query.where(t.series.c.id > after).order_by(t.series.c.id)
    return [_series(row) for row in tx.execute(query.limit(limit))]


#: In which order the overview shows them.
BY_URGENCY = (
    *(Verdict.WRONG, Verdict.SLOWER, Verdict.CHANGED, Verdict.SUSPECT, Verdict.FASTER),
    *(Verdict.NOISY, Verdict.NO_DATA, Verdict.NEW, Verdict.STEADY),
)


def worst_series(tx: Connection, project_id: int, *, machine: str | None = None, limit: int = 200) -> list[SeriesRow]:
    """The series that were judged, those that ask for somebody first; of one verdict those that moved furthest."""
    state = t.series_state.c
    found: list[int] = []
    for verdict in BY_URGENCY:
        query = select(state.series_id).where(state.project_id == project_id, state.verdict == verdict)
        if machine:
            query = query.where(state.machine == machine)
        order = (_moved(state.ratio).desc(), state.series_id)
        found += tx.execute(query.order_by(*order).limit(limit - len(found))).scalars()
        if len(found) == limit:
            break
    rank = {series_id: i for i, series_id in enumerate(found)}
    return sorted(series(tx, project_id, ids=found), key=lambda row: rank[row.id])


def _moved(ratio: Column[Any]) -> ColumnElement[float]:
    """How far from no change, whichever way: 2.0 and 0.5 are alike. Without a ratio: nothing to something."""
    return case((ratio >= 1, ratio), (ratio > 0, 1 / ratio), else_=sys.float_info.max)


def one_series(tx: Connection, series_id: int) -> SeriesRow:
    """Raises: NotFound."""
    row = tx.execute(_series_query().where(t.series.c.id == series_id)).first()
    if row is None:
        raise NotFound(f"there is no series {series_id}")
    return _series(row)


def verdict_counts(tx: Connection, project_id: int) -> dict[str, dict[Verdict, int]]:
    """Machine -> verdict -> number of series."""
    query = (
        select(t.series_state.c.machine, t.series_state.c.verdict, func.count())
        .where(t.series_state.c.project_id == project_id)
        .group_by(t.series_state.c.verdict, t.series_state.c.machine)
    )
    counts: dict[str, dict[Verdict, int]] = defaultdict(dict)
    for machine, verdict, count in tx.execute(query):
        counts[machine][verdict] = count
    return dict(counts)
