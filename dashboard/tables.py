"""Tables that several pages show: alerts, and series with their latest state."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from dashboard import links, parts
from dashboard.markup import Child, Html, el, foreign
from dashboard.parts import Column
from perfsvc import units
from perfsvc.rows import AlertRow, ProjectRow, SeriesRow

NEW_FOR = timedelta(hours=24)

ALERTS = (
    Column("what", lead=True),
    Column("since"),
    Column("on", short=True),
    Column("touches", short=True),
    Column("state", short=True),
    Column("found", short=True),
)
SERIES = (
    Column("series", lead=True),
    Column("today", short=True),
    Column("newest value", short=True),
    Column("last 30"),
    Column("on", short=True),
)
MORE_OF_SERIES = (Column("measured", short=True), Column("sees"))


def of_alerts(rows: Sequence[AlertRow], project: ProjectRow, now: datetime) -> Html:
    return parts.table(ALERTS, (_alert(row, project, now) for row in rows))


def _alert(row: AlertRow, project: ProjectRow, now: datetime) -> tuple[Child, ...]:
    new = parts.badge("new") if now - row.created_at < NEW_FOR else None
    touched = [
        units.count(row.changes, "series", "series") if row.changes else "",
        units.count(row.guards, "guard") if row.guards else "",
    ]
    return (
        el("span", el("a", foreign(row.title, 160), href=links.alert(row.id)), " ", new),
        parts.since(row, project),
        foreign(", ".join(row.machines)),
        ", ".join(part for part in touched if part),
        parts.badge(row.state),
        parts.when(row.created_at, now),
    )


def of_series(rows: Sequence[SeriesRow], *, now: datetime | None = None, most: int = 100, rest: Child = None) -> Html:
    """With `now` also when each was measured last, and what it can see."""
    columns = SERIES if now is None else SERIES + MORE_OF_SERIES
    return parts.table(columns, (_series(row, now) for row in rows), most=most, rest=rest)


def _series(row: SeriesRow, now: datetime | None) -> tuple[Child, ...]:
    shown: tuple[Child, ...] = (
        parts.series_name(row.benchmark, row.params, row.id),
        parts.verdict_badge(row),
        units.value(row.latest, row.unit, row.metric),
        parts.spark(row),
        foreign(row.machine),
    )
    return shown if now is None else (*shown, parts.when(row.latest_at, now), sees(row))


def sees(row: SeriesRow) -> str:
    """What the series can see, as words that follow "can see"."""
    if row.minimum_detectable_effect is None:
        return "cannot tell yet"
    return units.effect(row.minimum_detectable_effect).removeprefix("can see ")
