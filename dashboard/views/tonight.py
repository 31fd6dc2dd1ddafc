"""Is anything wrong? Wrong results first, then what got slower, worst first; then the rest, and what was not judged."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from dashboard import links, parts, tables
from dashboard.choice import choose
from dashboard.markup import Child, Html, el, foreign, join
from dashboard.night import NOT_JUDGED, Night, read
from dashboard.parts import Column
from perfsvc import units
from perfsvc.model import AlertKind, Outcome, Verdict
from perfsvc.rows import JobRow, SeriesRow

STALE_AFTER = timedelta(hours=36)


def show() -> None:
    choice = choose()
    night = read(choice)
    if not night.newest:
        parts.show(_header(night), _no_runs())
        return
    parts.show(
        _header(night),
        _tiles(night),
        _wrong(night),
        _slower(night),
        _suspects(night),
        _improvements(night),
        _moved(night),
        _not_judged(night),
        _devices(night),
        _jobs(night),
    )


def _header(night: Night) -> Html:
    ages = [
        el("span", _fresh(run.stored_at, night.now), " on ", foreign(machine))
        for machine, run in night.newest.items()
        if night.choice.machine in (None, machine)
    ]
    told = [el("span", "newest run ", age) for age in ages[:6]]
    return parts.heading(el("span", "Tonight in ", foreign(night.choice.project.name)), parts.facts(*told))


def _fresh(moment: datetime, now: datetime) -> Html:
    age = parts.when(moment, now)
    return join((age, " ", parts.badge(Verdict.SUSPECT, "late"))) if now - moment > STALE_AFTER else age


def _no_runs() -> Html:
    return parts.empty(
        "No run is stored yet.",
        "Measure the newest commits with ", el("code", "perfsvc measure --last 5"),
        ", or read results that you already have with ", el("code", "perfsvc ingest PATH"), ".",
    )  # fmt: skip


def _tiles(night: Night) -> Html:
    counted = (
        (len(night.alerts_of(AlertKind.WRONG)), "wrong results", "wrong"),
        (len(night.alerts_of(AlertKind.REGRESSION)), "regressions", "worse"),
        (len(night.suspects), "suspects", "odd"),
        (night.count(Verdict.FASTER), "improvements", "better"),
        (night.count(*NOT_JUDGED), "not judged", "quiet"),
        (night.count(Verdict.STEADY), "steady", "quiet"),
    )
    return parts.tiles(*(parts.tile(number, label, tone=tone) for number, label, tone in counted))


def _wrong(night: Night) -> Html | None:
    rows = night.alerts_of(AlertKind.WRONG)
    failing = [guard for guard in night.guards if guard.outcome is Outcome.FAILED]
    doubted = night.count(Verdict.WRONG)
    if not rows and not failing:
        return None
    told = f"{units.count(len(failing), 'guard')} failing at the newest commit"
    if doubted:
        told += f"; {units.count(doubted, 'series', 'series')} not believed while that lasts"
    hint = el("span", f"{told}. ", el("a", "See the guards", href=_here(night, links.CORRECTNESS)))
    body = (
        tables.of_alerts(rows, night.choice.project, night.now)
        if rows
        else parts.empty("No alert stands for it: it was accepted or dismissed.")
    )
    return parts.section("Wrong results", body, count=len(rows), hint=hint)


def _slower(night: Night) -> Html:
    rows = night.alerts_of(AlertKind.REGRESSION, AlertKind.MACHINE, AlertKind.SILENCE)
    if rows:
        return parts.section(
            "Regressions", tables.of_alerts(rows, night.choice.project, night.now), count=len(rows), hint="Worst first."
        )
    passed = sum(guard.outcome is Outcome.PASSED for guard in night.guards)
    judged = night.count() - night.count(*NOT_JUDGED)
    checked = f"{units.count(judged, 'series', 'series')} and {units.count(passed, 'passing guard')}"
    machines = night.choice.machine or units.count(len(night.choice.machines), "machine")
    return parts.section(
        "Regressions", parts.empty("Nothing got worse.", f"Checked: {checked} on ", foreign(machines), ".")
    )


def _suspects(night: Night) -> Html | None:
    if not night.suspects:
        return None
    columns = (
        Column("series", lead=True),
        Column("seems", short=True),
        Column("since"),
        Column("on", short=True),
        Column("why not yet"),
    )
    lines = (
        (
            el("a", foreign(row.label, 140), href=links.series(row.series)),
            parts.change_badge(row),
            parts.commit(row.first_bad, night.choice.project),
            foreign(row.machine),
            ", ".join(row.flags) or "not sure enough among all series of the night",
        )
        for row in night.suspects
    )
    hint = "Odd, and not sure enough to call anybody."
    return parts.section("Suspects", parts.table(columns, lines, most=30), count=len(night.suspects), hint=hint)


def _series_table(night: Night, rows: Sequence[SeriesRow], verdict: Verdict) -> Html:
    rest = el("span", ": ", el("a", "see all", href=_here(night, links.SERIES, verdict=verdict)))
    return tables.of_series(rows, most=30, rest=rest)


def _improvements(night: Night) -> Html | None:
    rows = sorted(night.having(Verdict.FASTER), key=lambda row: row.ratio or 1.0)
    if not rows:
        return None
    return parts.section("Improvements", _series_table(night, rows, Verdict.FASTER), count=len(rows))


def _moved(night: Night) -> Html | None:
    rows = night.having(Verdict.CHANGED)
    if not rows:
        return None
    hint = "These have no better direction: shown, never an alert."
    return parts.section("Changed", _series_table(night, rows, Verdict.CHANGED), count=len(rows), hint=hint)


def _not_judged(night: Night) -> Html | None:
    rows = night.having(*NOT_JUDGED)
    if not rows:
        return None
    groups = [(verdict, night.having(verdict)) for verdict in NOT_JUDGED]
    shown = (
        el(
            "details",
            el("summary", parts.badge(verdict), f" {units.count(len(found), 'series', 'series')}"),
            _series_table(night, found, verdict),
        )
        for verdict, found in groups
        if found
    )
    return parts.section("Not judged", *shown, count=len(rows), hint="Silence here is not good news.")


def _devices(night: Night) -> Html | None:
    machines = [name for name in night.choice.machines if night.choice.machine in (None, name)]
    if not machines:
        return None
    columns = [
        Column("machine", lead=True),
        Column("newest run", short=True),
        *(Column(v.value, short=True) for v in parts.ORDER),
    ]
    age = {name: parts.when(run.stored_at, night.now) for name, run in night.newest.items()}
    lines = ((foreign(name), age[name], *_counts(night, name)) for name in machines)
    said = (
        el("p", "The newest run of ", foreign(name), " says: ", foreign("; ".join(messages), 400), cls="hint")
        for name in machines
        if (messages := night.newest[name].messages)
    )
    return parts.section("By machine", el("div", parts.table(columns, lines), cls="scroll"), *said)


def _counts(night: Night, machine: str) -> list[Child]:
    counts = {verdict: night.counts.get(machine, {}).get(verdict, 0) for verdict in parts.ORDER}
    address = {v: _here(night, links.SERIES, machine=machine, verdict=v) for v in counts}
    return [el("a", f"{n:,}", href=address[v]) if n else "0" for v, n in counts.items()]


def _jobs(night: Night) -> Html:
    if not night.jobs:
        order = el("code", "perfsvc up")
        return parts.section("Jobs", parts.empty("No job was ordered yet.", "A night is scheduled by ", order, "."))
    columns = (
        Column("job", lead=True),
        Column("runner", short=True),
        Column("state", short=True),
        Column("ordered", short=True),
        Column("took", short=True),
        Column("says"),
    )
    lines = (
        (
            f"{row.kind.value} {row.id}",
            foreign(row.runner),
            el("span", parts.badge(row.state), f" {units.percent(row.done)}" if row.state == "running" else None),
            parts.when(row.created_at, night.now),
            _took(row, night.now),
            foreign(row.message, 160),
        )
        for row in night.jobs
    )
    return parts.section("Jobs", parts.table(columns, lines))


def _took(row: JobRow, now: datetime) -> str:
    if row.started_at is None:
        return "not started"
    return units.duration(((row.ended_at or now) - row.started_at).total_seconds())


def _here(night: Night, page: str, **state: str | None) -> str:
    """A page about the same project and machine."""
    given = {"project": night.choice.project.name, "machine": night.choice.machine} | state
    return links.to(page, **given)
