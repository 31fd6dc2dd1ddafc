"""Are the results right? Guards by variant at the newest commit, the history of one, and what is fast but wrong."""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence

import streamlit as st

from dashboard import links, parts, reading
from dashboard.choice import Choice, choose
from dashboard.markup import Child, Html, el, foreign
from dashboard.parts import Column
from perfsvc import charts, units
from perfsvc.model import Direction, Outcome, Verdict
from perfsvc.rows import GuardRow, PointRow, SeriesRow
from perfsvc.store import queries

#: The worst outcome of several tests is the cell's.
WORST_FIRST = (Outcome.FAILED, Outcome.NOT_RUN, Outcome.PASSED, Outcome.NOT_APPLICABLE)
TRUSTED = 10  #: right values that "before" is the median of


def show() -> None:
    choice = choose()
    guards = reading.ask(queries.guards, choice.project.id, machine=choice.machine)
    parts.show(parts.heading(el("span", "Correctness of ", foreign(choice.project.name)), _told(guards)))
    if not guards:
        parts.show(_no_guards())
        return
    machines = sorted({row.machine for row in guards})
    test = st.query_params.get("test", "")
    for machine in machines:
        here = [row for row in guards if row.machine == machine]
        parts.show(_matrix(choice, machine, here, test))
    parts.show(_fast_but_wrong(choice))
    chosen = next((row for row in guards if row.test == test and choice.machine in (None, row.machine)), guards[0])
    _history(choice, chosen)


def _told(guards: Sequence[GuardRow]) -> str:
    count = {outcome: sum(row.outcome is outcome for row in guards) for outcome in WORST_FIRST}
    return ", ".join(f"{number:,} {outcome.value}" for outcome, number in count.items() if number)


def _no_guards() -> Html:
    return parts.empty(
        "No guard has spoken yet.",
        "Guards are tests that a run executes on its device. Name their command in perfsvc.toml under ",
        el("code", "[guards]"), ", then ", el("code", "perfsvc measure --last 1"), ".",
    )  # fmt: skip


# --- the matrix -------------------------------------------------------------------------------------------------------


def _matrix(choice: Choice, machine: str, guards: Sequence[GuardRow], test: str) -> Html:
    names = sorted({row.guard for row in guards}, key=_numbered)
    variants = sorted({row.variant for row in guards})
    newest = max((row.commit for row in guards), key=lambda c: (c.position or 0, c.authored_at))
    columns = [Column("variant", lead=True), *(Column(charts.plain(name, 40)) for name in names)]
    lines = (
        (
            foreign(variant or "all"),
            *(_cell(choice, [r for r in guards if (r.guard, r.variant) == (name, variant)], test) for name in names),
        )
        for variant in variants
    )
    hint = el("span", "Newest results, up to ", parts.commit(newest, choice.project))
    return parts.section(machine, el("div", parts.table(columns, lines), cls="scroll"), hint=hint)


def _numbered(name: str) -> list[tuple[int, str]]:
    """G2 before G11."""
    return [(int(part or 0), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name)]


def _cell(choice: Choice, rows: Sequence[GuardRow], test: str) -> Html | None:
    if not rows:
        return None
    worst = min(rows, key=lambda row: (WORST_FIRST.index(row.outcome), -(row.margin or 0)))
    address = _here(choice, worst)
    several = f" ({len(rows)} tests)" if len(rows) > 1 else ""
    return el(
        "a",
        parts.badge(worst.outcome),
        el("span", f"{units.margin(worst.error, worst.tolerance)}{several}", cls="params"),
        href=address,
        cls="cell chosen" if test in {row.test for row in rows} else "cell",
    )


def _here(choice: Choice, row: GuardRow) -> str:
    return links.to(links.CORRECTNESS, project=choice.project.name, machine=row.machine, test=row.test)


# --- fast but wrong ---------------------------------------------------------------------------------------------------


def _fast_but_wrong(choice: Choice) -> Html | None:
    doubted = reading.ask(queries.series, choice.project.id, machine=choice.machine, verdicts=[Verdict.WRONG])
    points = reading.ask(queries.points_of, [row.id for row in doubted]) if doubted else {}
    quick = [(row, ratio) for row in doubted if (ratio := gain(row, points.get(row.id, []))) is not None]
    if not quick:
        return None
    columns = (
        Column("series", lead=True),
        Column("seems", short=True),
        Column("newest value", short=True),
        Column("on", short=True),
    )
    lines: list[tuple[Child, ...]] = [
        (
            parts.series_name(row.benchmark, row.params, row.id),
            parts.badge(Verdict.WRONG, f"{units.change(ratio, row.unit, row.metric)}, and wrong"),
            units.value(row.latest, row.unit, row.metric),
            foreign(row.machine),
        )
        for row, ratio in sorted(quick, key=lambda pair: pair[1])
    ]
    hint = "A guard that covers these fails: the gain may be what was left out."
    return parts.section("Fast but wrong", parts.table(columns, lines), count=len(quick), hint=hint)


def gain(row: SeriesRow, points: Sequence[PointRow]) -> float | None:
    """Newest wrong level over the last right one, where that looks like a gain the series could have seen."""
    values = [(point.value, point.wrong) for point in points if point.value is not None]
    right = [value for value, wrong in values if not wrong]
    since = [value for value, wrong in values if wrong]
    if not right or not since or row.direction is Direction.NEITHER:
        return None
    before, after = statistics.median(right[-TRUSTED:]), statistics.median(since[-TRUSTED:])
    if before <= 0 or after <= 0:
        return None
    better = before / after if row.direction is Direction.LOWER else after / before
    return after / before if better > 1 + (row.minimum_detectable_effect or 0.01) else None


# --- one guard over the commits ---------------------------------------------------------------------------------------


def _history(choice: Choice, row: GuardRow) -> None:
    rows = reading.ask(queries.guard_history, choice.project.id, machine=row.machine, test=row.test)
    title = foreign(f"{row.guard} {row.variant}".strip())
    facts = parts.facts(
        parts.badge(row.outcome),
        el("span", units.margin(row.error, row.tolerance)),
        el("span", "on ", foreign(row.machine)),
        foreign(row.dtype),
        el("code", foreign(row.test, 160)),
    )
    parts.show(el("section", el("h2", title), facts, _since(choice, rows), _message(row)))
    shown = [result for result in rows if result.outcome is not Outcome.NOT_APPLICABLE][-500:]
    if shown:
        st.altair_chart(charts.guard_chart(shown), width="stretch", alt=f"{charts.plain(row.test)} over the commits")


def _since(choice: Choice, rows: Sequence[GuardRow]) -> Html:
    """First bad commit: the first failure after the last pass."""
    spoken = [row for row in rows if row.outcome in (Outcome.PASSED, Outcome.FAILED)]
    if not spoken:
        return el("p", "It has neither passed nor failed yet.")
    if spoken[-1].outcome is Outcome.PASSED:
        return el("p", f"It passes; {units.count(len(spoken), 'commit')} tested.")
    failing = len(spoken)
    while failing and spoken[failing - 1].outcome is Outcome.FAILED:
        failing -= 1
    good = (
        el("span", "right at ", parts.commit(spoken[failing - 1].commit, choice.project)) if failing else "never right"
    )
    return el("p", "First wrong at ", parts.commit(spoken[failing].commit, choice.project), "; ", good, ".")


def _message(row: GuardRow) -> Html | None:
    return el("p", el("code", foreign(row.message, 400))) if row.message and row.outcome is not Outcome.PASSED else None
