"""Commands that read: alerts, changes, series, runs, jobs, guards, show. `--json` on each."""

from __future__ import annotations

from datetime import UTC
from typing import Annotated

import typer

from perfsvc import notify, units
from perfsvc.cli.context import LARGEST_ID, JsonOption, LimitOption, ProjectOption, opened, reading, settings
from perfsvc.cli.folding import cases, folded
from perfsvc.cli.output import FOUND, Column, print_json, print_lines, print_rows
from perfsvc.model import STANDING, ChangeState, Outcome
from perfsvc.rows import AlertDetail, AlertRow, ChangeRow, CommitRow
from perfsvc.store import queries

SUBJECT_SHOWN = 60


def register(app: typer.Typer) -> None:
    for command in (alerts, changes, series, runs, jobs, guards, show):
        app.command()(command)


def alerts(
    project: ProjectOption = "",
    all_: Annotated[bool, typer.Option("--all", help="Also those that are settled.")] = False,
    as_json: JsonOption = False,
) -> None:
    """What is wrong: wrong results first, then the slowest. Exit 1 when any alert stands."""
    with reading(project) as r:
        rows = queries.alerts(r.tx, r.project.id, states=None if all_ else STANDING)
    columns = [
        Column("alert", lambda a: a.id),
        Column("kind", lambda a: a.kind.value),
        Column("state", lambda a: a.state.value),
        Column("cause", lambda a: a.cause.value),
        Column("opened", lambda a: units.age(a.created_at, r.now)),
        Column("on", lambda a: ", ".join(a.machines), once=True),
        Column("since", _range),
        Column("what", lambda a: a.title),
    ]
    nothing = f"no alert stands in {r.project.name}; `perfsvc runs` shows what was measured, --all what is settled"
    print_rows("alerts", rows, columns, as_json=as_json, empty=nothing)
    if any(row.state in STANDING for row in rows):
        raise typer.Exit(FOUND)


def changes(
    project: ProjectOption = "",
    all_: Annotated[bool, typer.Option("--all", help="Also candidates and withdrawn ones.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Every change of level that was found, newest first, for the worse and for the better."""
    with reading(project) as r:
        rows = queries.changes(r.tx, r.project.id, states=None if all_ else [ChangeState.REPORTED])
    columns = [
        Column("commit", lambda c: c.first_bad.short),
        Column("alert", lambda c: c.alert or ""),
        Column("state", lambda c: c.state.value),
        Column("on", lambda c: c.machine, once=True),
        Column("change", _change),
        Column("series", lambda c: c.label),
    ]
    empty = f"no change was found in {r.project.name}; with few commits only exact metrics can show one"
    print_rows("changes", rows, columns, as_json=as_json, empty=empty)


def series(
    project: ProjectOption = "",
    match: Annotated[str, typer.Option("--match", "-m", help="A part of the benchmark's name.")] = "",
    machine: Annotated[str, typer.Option("--machine", help="Only this runner's.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Every series with its latest value, its verdict, and the smallest change that it can see."""
    with reading(project) as r:
        rows = queries.series(r.tx, r.project.id, machine=machine or None, match=match or None)
    columns = [
        Column("id", lambda s: s.id),
        Column("latest", lambda s: units.value(s.latest, s.unit)),
        Column("metric", lambda s: s.metric),
        Column("points", lambda s: s.points),
        Column("sees", lambda s: _sees(s.minimum_detectable_effect)),
        Column("verdict", lambda s: s.verdict.value),
        Column("on", lambda s: s.machine, once=True),
        Column("series", lambda s: s.label),
    ]
    empty = f"no series in {r.project.name} fits; `perfsvc measure` makes some"
    print_rows("series", rows, columns, as_json=as_json, empty=empty)


def runs(project: ProjectOption = "", limit: LimitOption = 30, as_json: JsonOption = False) -> None:
    """What was measured, newest first."""
    with reading(project) as r:
        rows = queries.runs(r.tx, r.project.id, limit=limit)
    columns = [
        Column("run", lambda one: one.id),
        Column("on", lambda one: one.machine, once=True),
        Column("values", lambda one: one.measurements),
        Column("skipped", lambda one: one.skips or ""),
        Column("guards", lambda one: cases({"passed": one.guards_passed, "failed": one.guards_failed})),
        Column("took", lambda one: units.duration(one.duration)),
        Column("stored", lambda one: units.age(one.stored_at, r.now)),
        Column("excluded", lambda one: one.excluded),
        Column("commit", lambda one: _commit(one.commit)),
        Column("says", lambda one: "; ".join(one.messages)),
    ]
    print_rows("runs", rows, columns, as_json=as_json, empty=f"nothing was measured in {r.project.name} yet")


def jobs(project: ProjectOption = "", limit: LimitOption = 30, as_json: JsonOption = False) -> None:
    """What was ordered of which runner, and how it went, newest first."""
    with reading(project) as r:
        rows = queries.jobs(r.tx, r.project.id, limit=limit)
    columns = [
        Column("job", lambda j: j.id),
        Column("kind", lambda j: j.kind.value),
        Column("runner", lambda j: j.runner, once=True),
        Column("state", lambda j: j.state.value),
        Column("attempt", lambda j: j.attempt),
        Column("done", lambda j: units.percent(j.done)),
        Column("ordered", lambda j: units.age(j.created_at, r.now)),
        Column("says", lambda j: j.message.split("\n")[0]),
    ]
    print_rows("jobs", rows, columns, as_json=as_json, empty=f"no job was ordered in {r.project.name} yet")


def guards(
    project: ProjectOption = "",
    failed: Annotated[bool, typer.Option("--failed", help="Only those that fail.")] = False,
    all_: Annotated[
        bool, typer.Option("--all", help="A line for each case, instead of one a guard and variant.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """The newest result of every correctness test on every machine. Exit 1 when any fails."""
    with reading(project) as r:
        rows = queries.guards(r.tx, r.project.id)
    shown = [row for row in rows if row.outcome is Outcome.FAILED] if failed else rows
    columns = [
        Column("guard", lambda g: g.guard),
        Column("variant", lambda g: g.variant),
        Column("outcome", lambda g: g.outcome),
        Column("worst margin", lambda g: g.margin),
        Column("on", lambda g: g.machine, once=True),
        Column("at", lambda g: _commit(g.commit), once=True),
        Column("test" if all_ else "says", lambda g: g.test if all_ else g.says),
    ]
    empty = "no guard fails" if failed and rows else "no guard was run; [guards] command in perfsvc.toml names them"
    if as_json:
        print_json("guards", shown)
    else:
        print_rows("guards", folded(shown, each=all_), columns, as_json=False, empty=empty)
    if any(row.outcome is Outcome.FAILED for row in rows):
        raise typer.Exit(FOUND)


def show(
    alert: Annotated[int, typer.Argument(min=1, max=LARGEST_ID, help="Its number.")], as_json: JsonOption = False
) -> None:
    """Everything about one alert: what, how much, since when, which commits, why, and what was done about it."""
    found = settings()
    with opened(found) as store, store.reading() as tx:
        detail = queries.alert(tx, alert)
    if as_json:
        print_json("alert", detail)
        return
    message = notify.compose(detail, found.dashboard_address)
    print_lines([message.title, *message.body.splitlines()[1:], "", f"state: {detail.alert.state.value}"])
    for part in _parts(detail):
        print_lines(part)
    if detail.alert.state in STANDING:
        print_lines([f"next: perfsvc accept {alert} --reason ...   or: perfsvc dismiss {alert} --reason ..."])
    else:
        print_lines([f"next: perfsvc reopen {alert}"])


def _parts(detail: AlertDetail) -> list[list[str]]:
    """Lists with their headings; an empty one is left out."""
    told = {
        "commits in the range, oldest first:": [f"{_commit(c)}  {c.author}" for c in detail.commits],
        "series:": [f"{c.label}  {_change(c)}  {c.explanation}" for c in detail.changes],
        "guards:": [f"{g.guard} {g.variant}  {g.test}  {_first_line(g.message)}" for g in detail.guards],
        "history:": [f"{e.at.astimezone(UTC):%Y-%m-%d %H:%M} {e.actor} {e.action} {e.reason}" for e in detail.events],
    }
    return [[head, *(f"  {line}".rstrip() for line in lines)] for head, lines in told.items() if lines]


def _first_line(text: str) -> str:
    return text.strip().split("\n")[0]


def _commit(commit: CommitRow) -> str:
    return f"{commit.short} {commit.subject[:SUBJECT_SHOWN]}".strip()


def _range(alert: AlertRow) -> str:
    if alert.first_bad is None:
        return ""
    if alert.commits_in_range > 1:
        return f"{alert.commits_in_range} commits up to {alert.first_bad.short}"
    return alert.first_bad.short


def _change(change: ChangeRow) -> str:
    how = units.change(change.ratio, change.unit, change.metric, before=change.before, after=change.after)
    return f"{how} ({units.value(change.before, change.unit)} -> {units.value(change.after, change.unit)})"


def _sees(effect: float | None) -> str:
    """The smallest change that it would tell, in a word: `1.8 %`, `any`."""
    return "" if effect is None else "any" if effect == 0 else units.percent(effect)
