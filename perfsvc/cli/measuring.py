"""Commands of the machine that measures: init, doctor, measure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from perfsvc import doctoring, git, work
from perfsvc.cli import context
from perfsvc.cli.context import JsonOption
from perfsvc.cli.output import notes, plain, print_json, print_lines, tell_alerts
from perfsvc.errors import RunnerError
from perfsvc.model import Device, JobKind, JobState
from perfsvc.runner import agent
from perfsvc.store import Store, queries

FOUND, FAULT = 1, 3
COMPLAINTS_SHOWN = 10


def register(app: typer.Typer) -> None:
    for command in (init, doctor, measure):
        app.command()(command)


def init() -> None:
    """Create the database, or bring it to this version's. A SQLite file is copied first."""
    found = context.settings()
    store = Store.create(found.database)
    print_lines([f"the database is ready: {store.engine.url!r}"])


def doctor(as_json: JsonOption = False) -> None:
    """Say what is missing on this machine, and how to get it. Exit 2 when something that is needed is missing."""
    checks = doctoring.examine(context.here(), context.settings())
    if as_json:
        print_json("checks", checks)
    else:
        print_lines(f"{_mark(c)} {c.what}: {c.found}{c.remedy_shown}" for c in checks)
    if any(check.needed and not check.ok for check in checks):
        raise typer.Exit(2)


def _mark(check: doctoring.Check) -> str:
    return "ok     " if check.ok else "MISSING" if check.needed else "note   "


def measure(
    commits: Annotated[
        list[str] | None, typer.Option("--commits", "-c", help="A..B, a tag or a hash; may be given several times.")
    ] = None,
    last: Annotated[int, typer.Option("--last", "-n", min=1, help="The newest N commits of the branch.")] = 1,
    bench: Annotated[str, typer.Option("--bench", "-b", help="Regex over `name(params)`, as asv's.")] = "",
    grid: Annotated[str, typer.Option("--grid", help="quick or full, where the project has grids.")] = "quick",
    no_guards: Annotated[bool, typer.Option("--no-guards", help="Leave the correctness tests out.")] = False,
    device: Annotated[Device, typer.Option("--device", help="What to measure on.")] = Device.CPU,
    again: Annotated[bool, typer.Option("--again", help="Also what this machine measured before.")] = False,
) -> None:
    """Measure commits here and now, keep the numbers, and say what they mean. Exit 1 when they opened an alert."""
    found = context.settings()
    folder = context.here()
    if folder is None:
        raise RunnerError(f"{Path.cwd()}: no asv.conf.json here or above; `asv quickstart` writes one")
    store = Store.create(found.database)
    place = work.register_project(store, folder, found)
    runner_id, runner = work.register_runner(store, device)
    wanted = _wanted(store, place, runner, commits, last, again)
    if not wanted:
        print_lines([f"every commit asked for was measured on {runner} before; --again measures them once more"])
        return
    _warn_dirty(folder)
    done = run_here(store, place, runner_id, runner, wanted, bench=bench, grid=grid, guards=not no_guards)
    tell(done)


def _wanted(
    store: Store, place: work.Place, runner: str, commits: Sequence[str] | None, last: int, again: bool
) -> list[str]:
    with store.reading() as tx:
        have = set() if again else queries.measured_commits(tx, place.id, runner)
        line = [c.hash for c in queries.commits(tx, place.id)]
    asked = work.choose(place, commits) if commits else line[-last:][::-1]
    return [hash_ for hash_ in asked if hash_ not in have]


def _warn_dirty(folder: Path) -> None:
    if git.is_dirty(folder):
        notes.print(Text("note: uncommitted changes are not measured; commit them first to see them here"))


def run_here(
    store: Store,
    place: work.Place,
    runner_id: int,
    runner: str,
    commits: Sequence[str],
    *,
    bench: str = "",
    grid: str = "quick",
    guards: bool = True,
) -> work.Done:
    """Do a job of this machine in this process, with a progress bar. Ctrl-C ends it; what is in stays in."""
    job = work.order_here(store, place, runner_id, JobKind.BACKFILL, commits, bench=bench, grid=grid, guards=guards)
    with _bar(f"{place.name} on {runner}", len(commits)) as show:
        return work.work(store, job, 1, place=place, progress=show)


@contextmanager
def _bar(title: str, commits: int) -> Iterator[work.Show]:
    """A bar on a terminal; a line for each step elsewhere."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=notes, transient=True, disable=not notes.is_terminal) as progress:
        task = progress.add_task(title, total=float(commits))
        last = ""

        def show(step: agent.Progress) -> None:
            nonlocal last
            within = step.done / step.of if step.of else 0.0
            said = plain(f"{step.commit[:8]} {step.stage.value}".strip())
            progress.update(task, completed=step.index + within, description=f"{title} {said}")
            if said != last and not notes.is_terminal:
                notes.print(Text(f"{title}: {said} ({step.index + 1} of {max(1, step.total)})"))
            last = said

        yield show


def tell(done: work.Done) -> None:
    for failed in done.failed:
        notes.print(Text(plain(f"not measured: {failed.commit[:8]}: {failed.reason}")))
    if done.state is not JobState.DONE and done.message:
        notes.print(Text(plain(f"job {done.job} {done.state.value}: {done.message}")))
    print_lines([f"measured {len(done.measured)} commits" if len(done.measured) != 1 else "measured 1 commit"])
    tell_alerts(done.opened)
    if done.state is JobState.FAILED:
        raise typer.Exit(FAULT)
    if done.opened:
        raise typer.Exit(FOUND)
