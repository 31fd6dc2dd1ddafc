"""Pieces that several pages share: words with their colours, tiles, tables, commits, times, empty states."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import streamlit as st

from dashboard import links
from dashboard.markup import Child, Html, el, foreign, image, join, web_address
from perfsvc import charts, units
from perfsvc.model import AlertState, ChangeKind, JobState, Outcome, Verdict
from perfsvc.rows import AlertRow, ChangeRow, CommitRow, ProjectRow, SeriesRow

_STYLE = Path(__file__).with_name("style.css")

#: word -> tone (a class of style.css) and sign; a tone never speaks without its word.
TONES: dict[str, tuple[str, str]] = {
    Verdict.WRONG: ("wrong", "✕"),
    Verdict.SLOWER: ("worse", "▲"),
    Verdict.SUSPECT: ("odd", "?"),
    Verdict.FASTER: ("better", "▼"),
    Verdict.CHANGED: ("moved", "◆"),
    Verdict.STEADY: ("quiet", "●"),
    Verdict.NOISY: ("quiet", "≈"),
    Verdict.NEW: ("quiet", "…"),
    Verdict.NO_DATA: ("quiet", "○"),
    Outcome.PASSED: ("better", "●"),
    Outcome.FAILED: ("worse", "✕"),  # and a job's
    Outcome.NOT_RUN: ("quiet", "○"),
    Outcome.NOT_APPLICABLE: ("quiet", "-"),
    AlertState.OPEN: ("worse", "●"),
    AlertState.ACKNOWLEDGED: ("odd", "●"),
    JobState.RUNNING: ("moved", "▶"),
    JobState.DONE: ("better", "●"),
    "new": ("moved", "●"),
}

#: Verdicts in the order in which people want to read them.
ORDER = tuple(Verdict(word) for word in list(TONES)[:9])


def style() -> None:
    st.html(_STYLE)


def show(*parts: Child) -> None:
    """Put pieces on the page, under one style."""
    st.html(el("div", *parts, cls="pv"))


def badge(word: str, text: str = "") -> Html:
    """The word in its tone, or `text` in the tone of the word."""
    tone, sign = TONES.get(word, ("quiet", "●"))
    return el("span", el("i", sign, aria_hidden="true"), text or word, cls=f"badge {tone}")


def verdict_word(verdict: Verdict, row: SeriesRow) -> str:
    """`slower` and `faster` are for times; other metrics get worse or better."""
    if row.unit == units.SECONDS or verdict not in (Verdict.SLOWER, Verdict.FASTER):
        return verdict.value
    return "worse" if verdict is Verdict.SLOWER else "better"


def verdict_badge(row: SeriesRow) -> Html:
    told = row.ratio is not None and row.verdict in (Verdict.SLOWER, Verdict.FASTER, Verdict.CHANGED)
    return badge(row.verdict, units.change(row.ratio, row.unit, row.metric) if told else verdict_word(row.verdict, row))


def change_badge(row: ChangeRow) -> Html:
    told = units.change(row.ratio, row.unit, row.metric, before=row.before, after=row.after)
    return badge(Verdict.SLOWER if row.worse else Verdict.FASTER, told)


def tile(number: str | int, label: Child, *, tone: str = "", href: str = "", hint: str = "") -> Html:
    """A number people look for, and what it counts. Nothing to count is quiet."""
    shown = el("b", number, cls="words" if isinstance(number, str) else None)
    quiet = " none" if number == 0 else ""
    text = el("a", label, href=href) if href and number else label
    return el("div", shown, el("span", text), cls=f"tile {tone}{quiet}", title=hint or None)


def tiles(*parts: Html) -> Html:
    return el("div", *parts, cls="tiles")


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    lead: bool = False  #: what the row is about: stands alone above the rest on a phone
    short: bool = False  #: never broken over two lines


def table(columns: Sequence[Column], rows: Iterable[Sequence[Child]], *, most: int = 100, rest: Child = None) -> Html:
    """A table that becomes a list of cards on a phone. `rest` says where those beyond `most` can be seen."""
    lines = list(rows)
    head = el("tr", (el("th", c.name, scope="col") for c in columns))
    body = (
        el("tr", (el("td", cell, data_label=c.name, cls=_cell_class(c)) for c, cell in zip(columns, line, strict=True)))
        for line in lines[:most]
    )
    more = el("p", f"and {len(lines) - most:,} more", rest, cls="hint") if len(lines) > most else None
    shown = el("table", el("thead", head), el("tbody", body), cls="stack")
    return join((shown, more))


def _cell_class(column: Column) -> str | None:
    return "lead" if column.lead else "short" if column.short else None


def section(title: str, *body: Child, count: int | None = None, hint: Child = "") -> Html:
    number = el("span", f"{count:,}", cls="n") if count is not None else None
    return el("section", el("h2", title, number), el("p", hint, cls="hint") if hint else None, *body)


def empty(title: str, *what_to_do: Child) -> Html:
    return el("div", el("b", title), *what_to_do, cls="empty")


def heading(title: Child, *below: Child) -> Html:
    return join((el("h1", title), el("p", *below) if below else None))


def crumbs(*steps: tuple[str, str]) -> Html:
    """The way back: (name, address) of each page above this one."""
    return el("p", *(el("span", el("a", name, href=address), " / ") for name, address in steps), cls="hint")


def interval(row: ChangeRow) -> str:
    if row.kind is ChangeKind.EXACT:
        return "exact, every run"
    return units.interval(row.ratio_low, row.ratio_high, row.unit, row.metric) or "not known"


def facts(*parts: Child) -> Html:
    return el("div", (el("span", part) for part in parts if part), cls="facts")


def when(moment: datetime | None, now: datetime) -> Html:
    """An age; pointing at it tells the time in the reader's zone and in UTC."""
    if moment is None:
        return el("span", "never")
    return el("time", units.age(moment, now), datetime=moment.isoformat(), title=clock(moment))


def clock(moment: datetime) -> str:
    """`Sat 21 Nov 2026 11:02 CET (10:02 UTC)`."""
    local = moment.astimezone(zone())
    utc = moment.astimezone(UTC)
    told = f"{local:%a %d %b %Y %H:%M} {local.tzname() or ''}".strip()
    return told if local.utcoffset() == utc.utcoffset() else f"{told} ({utc:%H:%M} UTC)"


def zone() -> ZoneInfo:
    try:
        return ZoneInfo(st.context.timezone or "UTC")
    except (KeyError, ValueError):
        return ZoneInfo("UTC")


def commit(row: CommitRow | None, project: ProjectRow | None, *, subject: bool = True) -> Html:
    if row is None:
        return el("span", "not known")
    address = web_address(project.commit_url, row.hash) if project else None
    short = el("code", foreign(row.short), cls="hash")
    linked = el("a", short, href=address, target="_blank") if address else short
    return el("span", linked, " ", foreign(row.subject, 90) if subject else None)


def since(alert: AlertRow, project: ProjectRow | None) -> Html:
    """The commit where it is named; else how many it can be."""
    if alert.commits_in_range <= 1 or alert.first_bad is None:
        return commit(alert.first_bad, project)
    return el("span", f"one of {alert.commits_in_range:,} commits up to ", commit(alert.first_bad, project))


def series_name(benchmark: str, params: Sequence[str], series_id: int | None = None) -> Html:
    """The benchmark as a link, its parameters under it."""
    name = foreign(benchmark, 100)
    linked = el("a", name, href=links.series(series_id)) if series_id is not None else name
    return join((linked, el("span", foreign(", ".join(params), 140), cls="params") if params else None))


def spark(row: SeriesRow) -> Html:
    values = [value for value in row.last_values if value is not None]
    return image(charts.sparkline(values), f"last {len(values)} values")
