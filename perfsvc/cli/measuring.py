"""Commands of the machine that measures: init, doctor, measure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from perfsvc import doctoring, git, pipeline, units, work
from perfsvc.cli.choosing import BenchOption, DeviceOption, GridOption
from perfsvc.cli.context import JsonOption, here, opened, project_here, settings
from perfsvc.cli.output import FAULT, FOUND, MISUSED, note, notes, plain, print_json, print_lines, tell_alerts
from perfsvc.cli.stopping import listening
from perfsvc.errors import SettingsError
from perfsvc.model import Device, JobKind, JobState
from perfsvc.runner import agent
from perfsvc.settings import Settings
from perfsvc.store import Store, queries

MESSAGES_SHOWN = 10


def register(app: typer.Typer) -> None:
    for command in (init, doctor, measure):
        app.command()(command)


def init() -> None:
    """Create the database, or bring it to this version's. A SQLite file is copied first."""
    with opened(settings(), create=True) as store:
        print_lines([f"the database is ready: {store.engine.url!r}"])


def doctor(as_json: JsonOption = False) -> None:
    """Say what is missing on this machine, and how to get it. Exit 2 when something that is needed is missing."""
    folder = here()
    broken: SettingsError | None = None
    try:
        found = Settings.load(folder)
    except SettingsError as error:
        broken, found = error, Settings.load(None)
    checks = doctoring.examine(folder, found, broken)
    if as_json:
        print_json("checks", checks)
    else:
        print_lines(f"{_mark(c)} {c.what}: {c.found}{c.remedy_shown}" for c in checks)
    if any(check.needed and not check.ok for check in checks):
        raise typer.Exit(MISUSED)


def _mark(check: doctoring.Check) -> str:
    return "ok     " if check.ok else "MISSING" if check.needed else "note   "


def measure(
    commits: Annotated[
        list[str] | None, typer.Option("--commits", "-c", help="A..B, a tag or a hash; may be given several times.")
    ] = None,
    last: Annotated[int, typer.Option("--last", "-n", min=1, help="The newest N commits of the branch.")] = 1,
    bench: BenchOption = "",
    grid: GridOption = "quick",
    no_guards: Annotated[bool, typer.Option("--no-guards", help="Leave the correctness tests out.")] = False,
    device: DeviceOption = Device.CPU,
    again: Annotated[bool, typer.Option("--again", help="Also what this machine measured before.")] = False,
) -> None:
    """Measure commits here and now, keep the numbers, and say what they mean.

    Ctrl-C stops it; what is in stays in. Exit 1 when it opened an alert, 3 when a commit could not be measured.
    """
    folder, found = project_here(), settings()
    with opened(found, create=True) as store, listening() as stop:
        place = work.register_project(store, folder, found)
        runner_id, runner = work.register_runner(store, device)
        asked = work.choose(place, commits) if commits else work.newest(place, last)
        wanted = asked if again else lacking(store, place, runner, asked)
        if not wanted:
            were = "the commit asked for was" if len(asked) == 1 else f"all {len(asked)} commits asked for were"
            print_lines([f"{were} measured on {runner} before; --again does it once more"])
            return
        warn_dirty(place)
        chosen = work.Selection(bench=bench, grid=grid, guards=not no_guards)
        done = run_here(store, place, runner_id, runner, wanted, chosen, stop)
    tell(done)
    if done.state is JobState.CANCELLED:
        raise typer.Exit(stop.exit_code)
    if done.opened:
        raise typer.Exit(FOUND)
    print_lines(["next: `perfsvc series` shows the numbers, `perfsvc up` the pages"])
    if done.failed or done.state is not JobState.DONE:
        raise typer.Exit(FAULT)


def lacking(store: Store, place: work.Place, runner: str, asked: Sequence[str]) -> list[str]:
    """Those without a run on this runner."""
    with store.reading() as tx:
        have = queries.measured_commits(tx, place.id, runner)
    return [hash_ for hash_ in asked if hash_ not in have]


def warn_dirty(place: work.Place) -> None:
    if git.is_dirty(place.folder):
        note("note: uncommitted changes are not measured; commit them first to see them here")


def run_here(
    store: Store,
    place: work.Place,
    runner_id: int,
    runner: str,
    commits: Sequence[str],
    chosen: work.Selection,
    stop: Callable[[], bool],
) -> work.Done:
    """Do a job of this machine in this process, with a progress bar. `stop` ends it; what is in stays in."""
    job = work.order_here(store, place, runner_id, JobKind.BACKFILL, commits, chosen)
    with _bar(f"{place.name} on {runner}", len(commits)) as show:
        done = work.work(store, job, 1, place=place, progress=show, cancelled=stop)
    pipeline.send(store, place.settings, datetime.now(UTC))
    return done


@contextmanager
def _bar(title: str, commits: int) -> Iterator[work.Show]:
    """A bar on a terminal; a line for each step elsewhere."""
    columns = (
        TextColumn("{task.description}", markup=False),
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
                where = f" ({step.index + 1} of {step.total})" if step.commit else ""
                note(f"{title}: {said}{where}")
            last = said

        yield show


def tell(done: work.Done) -> None:
    """What became of a measurement, in a few lines."""
    for failed in done.failed:
        first, *more = failed.reason.splitlines() or ["no reason given"]
        note(f"not measured: {failed.commit[:12]}: {first}")
        for line in more:
            note(f"    {line}")
    for message in list(dict.fromkeys(done.messages))[:MESSAGES_SHOWN]:
        note(f"note: {message}")
    if done.state is not JobState.DONE:
        note(f"job {done.job} {done.state.value}: {done.message}")
    print_lines([f"measured {units.count(len(done.measured), 'commit')}"])
    tell_alerts(done.opened)
