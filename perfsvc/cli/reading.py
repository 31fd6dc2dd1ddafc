"""Commands that read: alerts, changes, series, runs, jobs, guards, show. `--json` on each."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from perfsvc import notify, units
from perfsvc.cli.context import JsonOption, ProjectOption, open_store, settings, the_project
from perfsvc.cli.output import print_json, print_lines, print_rows
from perfsvc.model import STANDING, ChangeState, Outcome
from perfsvc.store import queries
from perfsvc.store.rows import AlertRow, ChangeRow, CommitRow

FOUND = 1  #: exit code: regressions or failed guards are there


def register(app: typer.Typer) -> None:
    for command in (alerts, changes, series, runs, jobs, guards, show):
        app.command()(command)


def alerts(
    project: ProjectOption = "",
    all_: Annotated[bool, typer.Option("--all", help="Also those that are settled.")] = False,
    as_json: JsonOption = False,
) -> None:
    """What is wrong: wrong results first, then the slowest. Exit 1 when any alert stands."""
    found = settings()
    store = open_store(found)
    chosen = the_project(store, found, project)
    with store.reading() as tx:
        rows = queries.alerts(tx, chosen.id, states=None if all_ else STANDING)
    now = datetime.now(UTC)
    columns = [
        ("alert", lambda a: a.id),
        ("kind", lambda a: a.kind.value),
        ("what", lambda a: a.title),
        ("since", _range),
        ("on", lambda a: ", ".join(a.machines)),
        ("cause", lambda a: a.cause.value),
        ("state", lambda a: a.state.value),
        ("age", lambda a: units.age(a.created_at, now)),
    ]
    nothing = f"no alert stands in {chosen.name}; `perfsvc runs` shows what was measured, --all what is settled"
    print_rows("alerts", rows, columns, as_json=as_json, empty=nothing)
    if any(row.state in STANDING for row in rows):
        raise typer.Exit(FOUND)


def changes(
    project: ProjectOption = "",
    all_: Annotated[bool, typer.Option("--all", help="Also candidates and withdrawn ones.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Every change of level that was found, newest first, for the worse and for the better."""
    found = settings()
    store = open_store(found)
    chosen = the_project(store, found, project)
    with store.reading() as tx:
        rows = queries.changes(tx, chosen.id, states=None if all_ else [ChangeState.REPORTED])
    columns = [
        ("commit", lambda c: _commit(c.first_bad)),
        ("series", lambda c: c.label),
        ("metric", lambda c: c.metric),
        ("change", _change),
        ("on", lambda c: c.machine),
        ("state", lambda c: c.state.value),
        ("alert", lambda c: c.alert or ""),
    ]
    empty = f"no change was found in {chosen.name}; with few commits only exact metrics can show one"
    print_rows("changes", rows, columns, as_json=as_json, empty=empty)


def series(
    project: ProjectOption = "",
    match: Annotated[str, typer.Option("--match", "-m", help="A part of the benchmark's name.")] = "",
    machine: Annotated[str, typer.Option("--machine", help="Only this runner's.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Every series with its latest value, its verdict, and what it can see."""
    found = settings()
    store = open_store(found)
    chosen = the_project(store, found, project)
    with store.reading() as tx:
        rows = queries.series(tx, chosen.id, machine=machine or None, match=match or None)
    columns = [
        ("id", lambda s: s.id),
        ("series", lambda s: s.label),
        ("metric", lambda s: s.metric),
        ("on", lambda s: s.machine),
        ("latest", lambda s: units.value(s.latest, s.unit)),
        ("verdict", lambda s: s.verdict.value),
        ("points", lambda s: s.points),
        ("sees", lambda s: units.effect(s.minimum_detectable_effect)),
    ]
    empty = f"no series in {chosen.name} fits; `perfsvc measure` makes some"
    print_rows("series", rows, columns, as_json=as_json, empty=empty)


def runs(
    project: ProjectOption = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1)] = 30,
    as_json: JsonOption = False,
) -> None:
    """What was measured, newest first."""
    found = settings()
    store = open_store(found)
    chosen = the_project(store, found, project)
    with store.reading() as tx:
        rows = queries.runs(tx, chosen.id, limit=limit)
    now = datetime.now(UTC)
    columns = [
        ("run", lambda r: r.id),
        ("commit", lambda r: _commit(r.commit)),
        ("on", lambda r: r.machine),
        ("values", lambda r: r.measurements),
        ("skipped", lambda r: r.skips),
        ("guards", lambda r: f"{r.guards_passed} passed, {r.guards_failed} failed"),
        ("took", lambda r: units.duration(r.duration)),
        ("stored", lambda r: units.age(r.stored_at, now)),
        ("excluded", lambda r: r.excluded or ""),
    ]
    print_rows("runs", rows, columns, as_json=as_json, empty=f"nothing was measured in {chosen.name} yet")


def jobs(
    project: ProjectOption = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1)] = 30,
    as_json: JsonOption = False,
) -> None:
    """What was ordered of which runner, and how it went, newest first."""
    found = settings()
    store = open_store(found)
    chosen = the_project(store, found, project)
    with store.reading() as tx:
        rows = queries.jobs(tx, chosen.id, limit=limit)
    now = datetime.now(UTC)
    columns = [
        ("job", lambda j: j.id),
        ("kind", lambda j: j.kind.value),
        ("runner", lambda j: j.runner),
        ("state", lambda j: j.state.value),
        ("attempt", lambda j: j.attempt),
        ("done", lambda j: units.percent(j.done)),
        ("ordered", lambda j: units.age(j.created_at, now)),
        ("says", lambda j: j.message),
    ]
    print_rows("jobs", rows, columns, as_json=as_json, empty=f"no job was ordered in {chosen.name} yet")


def guards(
    project: ProjectOption = "",
    failed: Annotated[bool, typer.Option("--failed", help="Only those that fail.")] = False,
    as_json: JsonOption = False,
) -> None:
    """The newest result of every correctness test on every machine. Exit 1 when any fails."""
    found = settings()
    store = open_store(found)
    chosen = the_project(store, found, project)
    with store.reading() as tx:
        rows = queries.guards(tx, chosen.id)
    shown = [row for row in rows if row.outcome is Outcome.FAILED] if failed else rows
    columns = [
        ("guard", lambda g: g.guard),
        ("variant", lambda g: g.variant),
        ("dtype", lambda g: g.dtype),
        ("on", lambda g: g.machine),
        ("outcome", lambda g: g.outcome.value),
        ("margin", lambda g: units.margin(g.error, g.tolerance)),
        ("at", lambda g: _commit(g.commit)),
        ("says", lambda g: g.message[:200]),
    ]
    empty = "no guard fails" if failed and rows else "no guard was run; [guards] command in perfsvc.toml names them"
    print_rows("guards", shown, columns, as_json=as_json, empty=empty)
    if any(row.outcome is Outcome.FAILED for row in rows):
        raise typer.Exit(FOUND)


def show(alert: Annotated[int, typer.Argument(help="Its number.")], as_json: JsonOption = False) -> None:
    """Everything about one alert: what, how much, since when, which commits, why, and what was done about it."""
    found = settings()
    store = open_store(found)
    with store.reading() as tx:
        detail = queries.alert(tx, alert)
    if as_json:
        print_json("alert", detail)
        return
    message = notify.compose(detail, found.dashboard_address)
    print_lines([message.title, *message.body.splitlines()[1:], "", f"state: {detail.alert.state.value}"])
    print_lines(["commits in the range, oldest first:", *(f"  {_commit(c)}  {c.author}" for c in detail.commits)])
    print_lines(["series:", *(f"  {c.label}  {c.metric}: {_change(c)}  {c.explanation}" for c in detail.changes)])
    print_lines(["history:", *(f"  {e.at:%Y-%m-%d %H:%M} {e.actor} {e.action} {e.reason}" for e in detail.events)])
    print_lines([f"next: perfsvc accept {alert} --reason ...   or: perfsvc dismiss {alert} --reason ..."])


def _commit(commit: CommitRow) -> str:
    return f"{commit.short} {commit.subject[:60]}".strip()


def _range(alert: AlertRow) -> str:
    if alert.first_bad is None:
        return ""
    if alert.commits_in_range > 1:
        return f"{alert.commits_in_range} commits up to {_commit(alert.first_bad)}"
    return _commit(alert.first_bad)


def _change(change: ChangeRow) -> str:
    how = units.change(change.ratio, change.unit, change.metric, before=change.before, after=change.after)
    return f"{how} ({units.value(change.before, change.unit)} -> {units.value(change.after, change.unit)})"
