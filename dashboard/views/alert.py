"""One alert on one screen: what, by how much, since when, where, what else the commit did, and what to do about it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import streamlit as st

from dashboard import links, parts, reading
from dashboard.choice import project_named
from dashboard.deciding import decide, reproduce
from dashboard.markup import Html, el, foreign
from dashboard.parts import Column
from perfsvc import charts, units
from perfsvc.errors import NotFound
from perfsvc.model import Outcome, Verdict
from perfsvc.rows import AlertDetail, AlertRow, ChangeRow, ProjectRow
from perfsvc.store import queries

AROUND = 40  #: commits drawn before and after the change


def show() -> None:
    asked = st.query_params.get("alert", "")
    if not asked.isdecimal():
        raise NotFound("which alert? An address like alert?alert=3 names it; Tonight lists those that stand")
    detail = reading.ask(queries.alert, int(asked))
    project = project_named(detail.alert.project)
    back = parts.crumbs(("Tonight", links.to(links.TONIGHT, project=project.name)))
    parts.show(back, _header(detail.alert), _tiles(detail), _why(detail))
    _worst(detail)
    parts.show(_changes(detail), _guards(detail, project), _commits(detail, project))
    reproduce(detail)
    decide(detail.alert)
    parts.show(_history(detail))


def _header(alert: AlertRow) -> Html:
    now = reading.now()
    return parts.heading(
        foreign(alert.title, 240),
        parts.facts(
            parts.badge(alert.state),
            el("span", f"{alert.kind.value} {alert.id} in ", foreign(alert.project)),
            el("span", "found ", parts.when(alert.created_at, now)),
            el("span", "of ", foreign(alert.owner)) if alert.owner else None,
        ),
    )


def _tiles(detail: AlertDetail) -> Html:
    alert = detail.alert
    touched = units.count(alert.changes, "series", "series") if alert.changes else units.count(alert.guards, "guard")
    named = "this commit" if alert.commits_in_range <= 1 else f"one of {alert.commits_in_range:,} commits"
    return parts.tiles(
        parts.tile(_size(detail), "worst", tone="worse" if detail.changes else "wrong"),
        parts.tile(alert.first_bad.short if alert.first_bad else "not known", f"since: {named}"),
        parts.tile(", ".join(charts.plain(name, 40) for name in alert.machines) or "none", "on"),
        parts.tile(touched, "touched"),
        parts.tile(alert.cause.value, "cause", hint=alert.explanation[:600]),
        parts.tile(_evidence(alert), "by experiment"),
    )  # fmt: skip


def _size(detail: AlertDetail) -> str:
    if detail.changes:
        worst = worst_of(detail.changes)
        return units.change(worst.ratio, worst.unit, worst.metric, before=worst.before, after=worst.after)
    margins = [units.margin(guard.error, guard.tolerance) for guard in detail.guards]
    return next((margin for margin in margins if margin), "wrong result")


def worst_of(changes: Sequence[ChangeRow]) -> ChangeRow:
    """A time before other metrics, then the largest; from nothing to something is larger than any."""
    return max(changes, key=lambda c: (c.unit == units.SECONDS, max(c.ratio, 1 / c.ratio) if c.ratio else math.inf))


def _evidence(alert: AlertRow) -> str:
    return "not tried yet" if alert.evidence.value == "none" else alert.evidence.value


def _why(detail: AlertDetail) -> Html | None:
    return el("p", foreign(detail.alert.explanation, 600)) if detail.alert.explanation else None


def _worst(detail: AlertDetail) -> None:
    """The worst member's series around the range."""
    if not detail.changes:
        return
    worst = worst_of(detail.changes)
    row = reading.ask(queries.one_series, worst.series)
    points = reading.ask(queries.points, worst.series)
    at = next((i for i, point in enumerate(points) if point.commit.id == worst.first_bad.id), len(points))
    shown = points[max(at - AROUND, 0) : at + AROUND]
    if shown:
        drawn = charts.series_chart(row, shown, [worst], height=280)
        st.altair_chart(drawn, width="stretch", alt=f"{charts.plain(row.label)} around the change")


def _changes(detail: AlertDetail) -> Html | None:
    if not detail.changes:
        return None
    columns = (
        Column("series", lead=True),
        Column("change", short=True),
        Column("99 % interval", short=True),
        Column("from", short=True),
        Column("to", short=True),
        Column("on", short=True),
        Column("what else moved"),
    )
    lines = (
        (
            el("a", foreign(change.label, 140), href=links.series(change.series)),
            parts.change_badge(change),
            parts.interval(change),
            units.value(change.before, change.unit, change.metric),
            units.value(change.after, change.unit, change.metric),
            foreign(change.machine),
            foreign(change.explanation, 200),
        )
        for change in detail.changes
    )
    return parts.section("What changed", parts.table(columns, lines), count=len(detail.changes))


def _guards(detail: AlertDetail, project: ProjectRow) -> Html | None:
    if not detail.guards:
        all_of_them = el("a", "All guards", href=links.to(links.CORRECTNESS, project=project.name))
        return parts.section("Guards", parts.empty("No guard began to fail in this range.", all_of_them))
    columns = (
        Column("guard", lead=True),
        Column("off by", short=True),
        Column("last right at"),
        Column("first wrong at"),
        Column("on", short=True),
        Column("says"),
    )
    lines = (
        (
            el(
                "a",
                foreign(f"{guard.guard} {guard.variant}".strip()),
                href=links.to(links.CORRECTNESS, project=detail.alert.project, machine=guard.machine, test=guard.test),
            ),
            units.margin(guard.error, guard.tolerance) or "no number",
            parts.commit(guard.last_good, project, subject=False) if guard.last_good else "never seen right",
            parts.commit(guard.first_bad, project),
            foreign(guard.machine),
            foreign(guard.message, 200) if guard.recovered_at is None else parts.badge(Outcome.PASSED, "passes again"),
        )
        for guard in detail.guards
    )
    return parts.section("Failing guards", parts.table(columns, lines), count=len(detail.guards))


def _commits(detail: AlertDetail, project: ProjectRow) -> Html | None:
    if not detail.commits:
        return None
    columns = (Column("commit", lead=True), Column("author", short=True), Column("written", short=True))
    now = reading.now()
    lines = (
        (parts.commit(row, project), foreign(row.author), parts.when(row.authored_at, now))
        for row in reversed(detail.commits)
    )
    hint = "" if len(detail.commits) == 1 else "Those between were not measured: it is one of these."
    return parts.section(
        "Commits it can come from", parts.table(columns, lines, most=30), count=len(detail.commits), hint=hint
    )


def _history(detail: AlertDetail) -> Html:
    columns = (Column("when", short=True), Column("who", short=True), Column("did", lead=True), Column("because"))
    now = reading.now()
    lines: Sequence[tuple[Html | str, ...]] = [
        (parts.when(event.at, now), foreign(event.actor), foreign(event.action), foreign(event.reason, 300))
        for event in reversed(detail.events)
    ]
    return parts.section(
        "History", parts.table(columns, lines) if lines else parts.badge(Verdict.NO_DATA, "nothing yet")
    )
