"""Changes, and the alerts that group them."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, case, func, select, tuple_

from perfsvc.errors import NotFound
from perfsvc.model import AlertKind, AlertState, ChangeState, label
from perfsvc.rows import AlertDetail, AlertEventRow, AlertGuardRow, AlertRow, ChangeRow, CommitRow
from perfsvc.store import tables as t
from perfsvc.store.queries.catalog import commit_columns, commit_row

_good = t.commit.alias("good")
_bad = t.commit.alias("bad")


def changes(
    tx: Connection,
    project_id: int,
    *,
    series_id: int | None = None,
    series_ids: Sequence[int] | None = None,
    alert_id: int | None = None,
    states: Iterable[ChangeState] | None = None,
) -> list[ChangeRow]:
    """Newest commit first, worst first within it."""
    query = (
        select(
            t.change,
            t.benchmark.c.name.label("benchmark"),
            t.series.c.params,
            t.series.c.machine,
            t.metric.c.name.label("metric"),
            t.metric.c.unit,
            *commit_columns(_good, "good_"),
            *commit_columns(_bad, "bad_"),
        )
        .join(t.series, t.series.c.id == t.change.c.series_id)
        .join(t.benchmark, t.benchmark.c.id == t.series.c.benchmark_id)
        .join(t.metric, t.metric.c.id == t.series.c.metric_id)
        .join(_good, _good.c.id == t.change.c.last_good_id)
        .join(_bad, _bad.c.id == t.change.c.first_bad_id)
        .where(t.series.c.project_id == project_id)
    )
    if series_id is not None:
        query = query.where(t.change.c.series_id == series_id)
    if series_ids is not None:
        query = query.where(t.change.c.series_id.in_(series_ids))
    if alert_id is not None:
        query = query.where(t.change.c.alert_id == alert_id)
    if states is not None:
        query = query.where(t.change.c.state.in_(list(states)))
    found = [_change(row) for row in tx.execute(query)]
    return sorted(
        found,
        key=lambda c: (
            -(c.first_bad.position or 0),
            -c.first_bad.authored_at.timestamp(),
            not c.worse,
            -_size(c),
            c.id,
        ),
    )


def _size(row: ChangeRow) -> float:
    """How far from no change, whichever way: 2.0 and 0.5 are alike."""
    if row.ratio is None or row.ratio <= 0:
        return math.inf
    return max(row.ratio, 1 / row.ratio)


def _change(r: Row[Any]) -> ChangeRow:
    return ChangeRow(
        id=r.id,
        series=r.series_id,
        label=label(r.benchmark, tuple(json.loads(r.params))),
        metric=r.metric,
        unit=r.unit,
        machine=r.machine,
        kind=r.kind,
        state=r.state,
        worse=r.worse,
        ratio=r.ratio,
        ratio_low=r.ratio_low,
        ratio_high=r.ratio_high,
        before=r.before,
        after=r.after,
        p=r.p,
        q=r.q,
        n_before=r.n_before,
        n_after=r.n_after,
        flags=tuple(r.flags),
        explanation=r.explanation,
        last_good=commit_row(r, "good_"),
        first_bad=commit_row(r, "bad_"),
        alert=r.alert_id,
        found_at=r.found_at,
        environment_moved=r.environment_moved,
    )


def alerts(
    tx: Connection, project_id: int | None = None, *, states: Iterable[AlertState] | None = None
) -> list[AlertRow]:
    """Wrong results first, then the worst; of equals the newest."""
    query = _alert_query()
    if project_id is not None:
        query = query.where(t.alert.c.project_id == project_id)
    if states is not None:
        query = query.where(t.alert.c.state.in_(list(states)))
    found = tx.execute(query).all()
    machines = _alert_machines(tx, [r.id for r in found])
    rows = [_alert(r, machines.get(r.id, ())) for r in found]
    return sorted(rows, key=lambda a: (a.kind is not AlertKind.WRONG, -(a.worst_ratio or math.inf), -a.id))


def _alert_query() -> Select[Any]:
    counted = (t.change.c.alert_id == t.alert.c.id, t.change.c.state != ChangeState.WITHDRAWN)
    n_changes = select(func.count()).select_from(t.change).where(*counted).scalar_subquery()
    n_guards = select(func.count()).where(t.alert_guard.c.alert_id == t.alert.c.id).scalar_subquery()
    of_project = select(func.count()).where(t.commit.c.project_id == t.alert.c.project_id)
    in_range = case(
        (_good.c.position.is_not(None), of_project.where(_on_line_between(_good, _bad)).scalar_subquery()),
        (_good.c.id.is_not(None), of_project.where(_dated_between(_good, _bad)).scalar_subquery()),
        else_=0,
    )
    return (
        select(
            t.alert,
            t.project.c.name.label("project"),
            n_changes.label("n_changes"),
            n_guards.label("n_guards"),
            in_range.label("in_range"),
            *commit_columns(_good, "good_"),
            *commit_columns(_bad, "bad_"),
        )
        .join(t.project, t.project.c.id == t.alert.c.project_id)
        .outerjoin(_good, _good.c.id == t.alert.c.last_good_id)
        .outerjoin(_bad, _bad.c.id == t.alert.c.first_bad_id)
    )


def _on_line_between(good: Any, bad: Any) -> ColumnElement[bool]:
    """After the last good commit, up to the first bad one, along the line."""
    return and_(t.commit.c.position > good.c.position, t.commit.c.position <= bad.c.position)


def _dated_between(good: Any, bad: Any) -> ColumnElement[bool]:
    """The same where git's order is not known."""
    place = tuple_(t.commit.c.authored_at, t.commit.c.hash)
    return and_(
        place > tuple_(good.c.authored_at, good.c.hash),
        place <= tuple_(bad.c.authored_at, bad.c.hash),
    )


def _alert_machines(tx: Connection, alert_ids: list[int]) -> dict[int, tuple[str, ...]]:
    by_change = (
        select(t.change.c.alert_id, t.series.c.machine)
        .join(t.series, t.series.c.id == t.change.c.series_id)
        .where(t.change.c.alert_id.in_(alert_ids))
    )
    by_guard = select(t.alert_guard.c.alert_id, t.alert_guard.c.machine).where(t.alert_guard.c.alert_id.in_(alert_ids))
    found: dict[int, set[str]] = defaultdict(set)
    for alert_id, machine in tx.execute(by_change.union(by_guard)):
        found[alert_id].add(machine)
    return {alert_id: tuple(sorted(names)) for alert_id, names in found.items()}


def _alert(r: Row[Any], machines: tuple[str, ...]) -> AlertRow:
    return AlertRow(
        id=r.id,
        project=r.project,
        kind=r.kind,
        state=r.state,
        evidence=r.evidence,
        cause=r.cause,
        title=r.title,
        explanation=r.explanation,
        last_good=commit_row(r, "good_") if r.good_id else None,
        first_bad=commit_row(r, "bad_") if r.bad_id else None,
        commits_in_range=r.in_range or 0,
        worst_ratio=r.worst_ratio,
        machines=machines,
        changes=r.n_changes,
        guards=r.n_guards,
        owner=r.owner,
        created_at=r.created_at,
        updated_at=r.updated_at,
    )


def alert(tx: Connection, alert_id: int) -> AlertDetail:
    """Everything about one alert. Raises: NotFound."""
    row = tx.execute(_alert_query().where(t.alert.c.id == alert_id)).first()
    if row is None:
        raise NotFound(f"there is no alert {alert_id}")
    shown = _alert(row, _alert_machines(tx, [alert_id]).get(alert_id, ()))
    events = tx.execute(select(t.alert_event).where(t.alert_event.c.alert_id == alert_id).order_by(t.alert_event.c.id))
    return AlertDetail(
        alert=shown,
        commits=tuple(_commits_between(tx, row.project_id, shown.last_good, shown.first_bad)),
        changes=tuple(changes(tx, row.project_id, alert_id=alert_id)),
        guards=tuple(alert_guards(tx, alert_id)),
        events=tuple(AlertEventRow(e.at, e.actor, e.action, e.reason) for e in events),
    )


def alert_guards(tx: Connection, alert_id: int) -> list[AlertGuardRow]:
    return guards_of_alerts(tx, [alert_id]).get(alert_id, [])


def guards_of_alerts(tx: Connection, alert_ids: Sequence[int]) -> dict[int, list[AlertGuardRow]]:
    """The guards that failed in each of these alerts."""
    query = (
        select(t.alert_guard, *commit_columns(_good, "good_"), *commit_columns(_bad, "bad_"))
        .outerjoin(_good, _good.c.id == t.alert_guard.c.last_good_id)
        .join(_bad, _bad.c.id == t.alert_guard.c.first_bad_id)
        .where(t.alert_guard.c.alert_id.in_(alert_ids))
        .order_by(t.alert_guard.c.guard, t.alert_guard.c.test, t.alert_guard.c.machine)
    )
    found: dict[int, list[AlertGuardRow]] = defaultdict(list)
    for row in tx.execute(query):
        found[row.alert_id].append(_guard(row))
    return dict(found)


def _guard(r: Row[Any]) -> AlertGuardRow:
    return AlertGuardRow(
        machine=r.machine,
        guard=r.guard,
        test=r.test,
        variant=r.variant,
        error=r.error,
        tolerance=r.tolerance,
        message=r.message,
        last_good=commit_row(r, "good_") if r.good_id else None,
        first_bad=commit_row(r, "bad_"),
        recovered_at=r.recovered_at,
    )


def _commits_between(tx: Connection, project_id: int, good: CommitRow | None, bad: CommitRow | None) -> list[CommitRow]:
    """The range that a change can come from, oldest first: after the last good one, up to the first bad one."""
    if bad is None or good is None:
        return [] if bad is None else [bad]
    on_line = good.position is not None
    between = (_on_line_between if on_line else _dated_between)(_good, _bad)
    query = (
        select(*commit_columns(t.commit))
        .where(_good.c.id == good.id, _bad.c.id == bad.id)
        .where(t.commit.c.project_id == project_id, between)
        .order_by(*((t.commit.c.position,) if on_line else (t.commit.c.authored_at, t.commit.c.hash)))
    )
    return [commit_row(row) for row in tx.execute(query)] or [bad]
