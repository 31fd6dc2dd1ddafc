"""One series with everything that happened to it; or, without one in the address, the list to find it in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, cast

import streamlit as st

from dashboard import links, parts, reading, tables
from dashboard.choice import choose, project_named
from dashboard.markup import Child, Html, el, foreign
from dashboard.parts import Column
from perfsvc import charts, units
from perfsvc.errors import NotFound
from perfsvc.model import ChangeState, Verdict
from perfsvc.rows import ChangeRow, PointRow, ProjectRow, SeriesRow
from perfsvc.store import queries

LISTED = 200
NEWEST_SHOWN = 15
RECENT = 100


def show() -> None:
    asked = st.query_params.get("series", "")
    if not asked:
        _list()
        return
    if not asked.isdecimal():
        raise NotFound(f"a series has a number, and {charts.plain(asked)!r} is none")
    _one(reading.ask(queries.one_series, int(asked)))


# --- the list ---------------------------------------------------------------------------------------------------------

ANY = "any verdict"


def _list() -> None:
    choice = choose()
    parts.show(parts.heading(el("span", "Series of ", foreign(choice.project.name))))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        match = st.text_input("Part of a name", key="match", bind="query-params", width=320)
        words = [ANY, *(verdict.value for verdict in parts.ORDER)]
        word = st.selectbox("Verdict", words, key="verdict", bind="query-params", width=260)
    verdicts = None if word == ANY else [Verdict(word)]
    found = reading.ask(
        queries.series, choice.project.id, machine=choice.machine, verdicts=verdicts, match=match.strip() or None
    )
    body = _table(sorted(found, key=_urgency)) if found else _none_found(bool(match or verdicts))
    parts.show(el("p", f"{units.count(len(found), 'series', 'series')}, those that need eyes first", cls="hint"), body)


def _urgency(row: SeriesRow) -> tuple[int, float]:
    size = abs(math.log(row.ratio)) if row.ratio and row.ratio > 0 else 0.0
    return parts.ORDER.index(row.verdict), -size


def _table(rows: Sequence[SeriesRow]) -> Html:
    return tables.of_series(rows, now=reading.now(), most=LISTED, rest="; a part of the name finds them")


def _none_found(filtered: bool) -> Html:
    if filtered:
        return parts.empty("No series is like that.", "Ask for a shorter part of the name, or any verdict.")
    return parts.empty("Nothing was measured yet.", "Start with ", el("code", "perfsvc measure --last 5"), ".")


# --- one series -------------------------------------------------------------------------------------------------------


def _one(row: SeriesRow) -> None:
    project = project_named(row.project)
    points = reading.ask(queries.points, row.id)
    changes = reading.ask(queries.changes, project.id, series_id=row.id)
    parts.show(_crumbs(row), _header(row, project), _tiles(row, points))
    if points:
        _chart(row, points, changes)
    else:
        parts.show(parts.empty("No point of this series lies on the watched branch.", "Other commits are not drawn."))
    parts.show(_changes(row, changes, project), _newest(row, points, project), _others(row, project))


def _crumbs(row: SeriesRow) -> Html:
    here = {"project": row.project}
    return parts.crumbs(("Tonight", links.to(links.TONIGHT, **here)), ("Series", links.to(links.SERIES, **here)))


def _header(row: SeriesRow, project: ProjectRow) -> Html:
    named = zip(row.param_names, row.params, strict=False)
    params = [el("span", foreign(name), " ", el("code", foreign(value))) for name, value in named]
    return parts.heading(
        foreign(row.benchmark, 160),
        parts.facts(
            *params,
            el("span", foreign(row.metric), " on ", foreign(row.machine)),
            el("span", "version ", foreign(row.version[:8] or "not told")),
            foreign(project.name),
        ),
    )


def _tiles(row: SeriesRow, points: Sequence[PointRow]) -> Html:
    tone = parts.TONES[row.verdict][0]
    newest = points[-1] if points else None
    gap = "no value at the newest commit" if newest and newest.value is None else "newest value"
    valued = sum(point.value is not None for point in points)
    return parts.tiles(
        parts.tile(parts.verdict_word(row.verdict, row), "today", tone=tone),
        parts.tile(units.value(row.latest, row.unit, row.metric), gap),
        parts.tile(tables.sees(row), "can be seen", hint="the smallest step that would be told within five commits"),
        parts.tile(valued, "commits measured"),
        parts.tile(units.age(row.latest_at, reading.now()), "newest run"),
    )


def _chart(row: SeriesRow, points: Sequence[PointRow], changes: Sequence[ChangeRow]) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        axis = st.segmented_control("Axis", ["commit", "date"], default="commit", key="axis", bind="query-params")
        spans = ["all", f"newest {RECENT}"]
        span = st.segmented_control("Commits", spans, default="all", key="span", bind="query-params")
        log = st.toggle("Logarithmic", key="log", bind="query-params")
    shown = points[-RECENT:] if span == spans[1] else points
    drawn = charts.series_chart(row, shown, changes, axis=cast(Literal["commit", "date"], axis or "commit"), log=log)
    st.altair_chart(drawn, width="stretch", alt=f"{charts.plain(row.label)} over {len(shown)} commits")
    if len(shown) > charts.MOST_POINTS:
        told = f"{charts.MOST_POINTS:,} of {len(shown):,} points are drawn: of each stretch its lowest and highest, "
        parts.show(el("p", told, "every change, and the newest.", cls="hint"))


def _changes(row: SeriesRow, changes: Sequence[ChangeRow], project: ProjectRow) -> Html:
    if not changes:
        return parts.section(
            "Changes", parts.empty("No change was found.", f"It {units.effect(row.minimum_detectable_effect)}.")
        )
    columns = (
        Column("change", lead=True),
        Column("from", short=True),
        Column("to", short=True),
        Column("99 % interval", short=True),
        Column("since"),
        Column("state", short=True),
        Column("what else moved"),
    )
    return parts.section(
        "Changes", parts.table(columns, (_change(change, project) for change in changes)), count=len(changes)
    )


def _change(change: ChangeRow, project: ProjectRow) -> tuple[Child, ...]:
    told = parts.change_badge(change)
    state = "better, so no alert" if change.state is ChangeState.REPORTED and not change.worse else change.state.value
    alert = el("a", f"alert {change.alert}", href=links.alert(change.alert)) if change.alert else None
    return (
        told,
        units.value(change.before, change.unit, change.metric),
        units.value(change.after, change.unit, change.metric),
        parts.interval(change),
        parts.commit(change.first_bad, project),
        el("span", alert or state),
        foreign(change.explanation, 200),
    )


def _newest(row: SeriesRow, points: Sequence[PointRow], project: ProjectRow) -> Html | None:
    if not points:
        return None
    columns = (
        Column("commit", lead=True),
        Column("value", short=True),
        Column("quartiles", short=True),
        Column("runs", short=True),
    )
    lines = (
        (
            parts.commit(point.commit, project),
            _value(row, point),
            _quartiles(row, point),
            ", ".join(f"run {run}" for run in point.runs),
        )
        for point in reversed(points[-NEWEST_SHOWN:])
    )
    return parts.section("Newest commits", parts.table(columns, lines))


def _value(row: SeriesRow, point: PointRow) -> Html:
    if point.value is None:
        return el("span", parts.badge(Verdict.NO_DATA), " ", foreign(point.skip, 160))
    wrong = parts.badge(Verdict.WRONG) if point.wrong else None
    return el("span", units.value(point.value, row.unit, row.metric), " ", wrong)


def _quartiles(row: SeriesRow, point: PointRow) -> str:
    if point.q25 is None or point.q75 is None:
        return "not kept"
    return f"{units.value(point.q25, row.unit, row.metric)} to {units.value(point.q75, row.unit, row.metric)}"


def _others(row: SeriesRow, project: ProjectRow) -> Html | None:
    """The same benchmark with other parameters, versions, metrics, and on other machines."""
    named = reading.ask(queries.series, project.id, match=row.benchmark)
    others = [other for other in named if other.benchmark == row.benchmark and other.id != row.id]
    if not others:
        return None
    return parts.section("The same benchmark elsewhere", _table(others), count=len(others))
