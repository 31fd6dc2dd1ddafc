"""compare, bisect, confirm: is it slower, since which commit, and is the alert right? Measured here and now."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from perfsvc import git
from perfsvc.cli.answers import COLUMNS, markdown, sentence
from perfsvc.cli.choosing import BenchOption, DeviceOption, GridOption, PairsOption
from perfsvc.cli.context import LARGEST_ID, JsonOption, opened, project_here, settings, user
from perfsvc.cli.output import FOUND, note, notes, plain, print_json, print_lines, print_rows
from perfsvc.cli.stopping import Stop, listening
from perfsvc.experiments import LOOKS
from perfsvc.model import Commit, Device, Evidence
from perfsvc.rows import to_json
from perfsvc.runner import agent
from perfsvc.runner.processes import Interrupted
from perfsvc.runner.request import Request
from perfsvc.work.bisecting import Tried
from perfsvc.work.bisecting import bisect as find_culprit
from perfsvc.work.comparing import MINIMUM_EFFECT, Comparison
from perfsvc.work.comparing import compare as measure_both
from perfsvc.work.confirming import confirm as check_alert
from perfsvc.work.doing import Show


def register(app: typer.Typer) -> None:
    for command in (compare, bisect, confirm):
        app.command()(command)


def compare(
    base: Annotated[str, typer.Argument(metavar="BASE", help="What to compare with: a branch, a tag or a hash.")],
    head: Annotated[str, typer.Argument(metavar="HEAD", help="What may have become slower.")] = "HEAD",
    bench: BenchOption = "",
    grid: GridOption = "quick",
    device: DeviceOption = Device.CPU,
    suite: Annotated[str, typer.Option("--suite", help="Whose benchmarks are run on both; default: HEAD's.")] = "",
    effect: Annotated[
        float | None,
        typer.Option(
            "--minimum-effect",
            min=1e-6,
            max=10.0,
            help=f"Smaller differences are called same; default {MINIMUM_EFFECT}, or the project's where it is larger.",
        ),
    ] = None,
    pairs: PairsOption = LOOKS[-1],
    guards: Annotated[bool, typer.Option("--guards", help="Run the correctness tests on both sides first.")] = False,
    by_asv: Annotated[
        bool, typer.Option("--asv", help="Measure by asv's command line, where our driver cannot; slower, coarser.")
    ] = False,
    fail_on_undecided: Annotated[
        bool, typer.Option("--fail-on-undecided", help="Exit 1 also when a benchmark has no verdict.")
    ] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print it for a pull request.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Measure two commits in turns, in fresh processes, and say which benchmarks differ.

    Exit 1 when something became slower, wrong, or fails; 2 and 3 when it could not be said, and why.
    """
    if as_json and as_markdown:
        raise typer.BadParameter("--json and --markdown exclude each other")
    request = _request(bench, grid, device, guards=guards)
    if guards and not request.guard_command:
        raise typer.BadParameter("--guards: this project has none; perfsvc.toml names them ([guards] command)")
    with _measuring(f"{base} .. {head}") as (show, stop):
        done = measure_both(
            request,
            base,
            head,
            suite=suite,
            minimum_effect=effect,
            pairs=pairs,
            by_asv=by_asv,
            progress=show,
            cancelled=stop,
        )
    tell(done, as_json=as_json, as_markdown=as_markdown)
    if done.is_worse or (fail_on_undecided and done.is_undecided):
        raise typer.Exit(FOUND)


def bisect(
    good: Annotated[str, typer.Argument(metavar="GOOD", help="Where it was fast still.")],
    bad: Annotated[str, typer.Argument(metavar="BAD", help="Where it is slow.")] = "HEAD",
    bench: BenchOption = "",
    grid: GridOption = "quick",
    device: DeviceOption = Device.CPU,
    pairs: PairsOption = LOOKS[-1],
    as_json: JsonOption = False,
) -> None:
    """Name the commit that made a benchmark slower: the worst of those that --bench takes, along first parents.

    Exit 1 when the range has become slower, and prints the commit, or those that cannot be told apart.
    """
    with _measuring(f"{good} .. {bad}") as (show, stop):
        done = find_culprit(
            _request(bench, grid, device), good, bad, pairs=pairs, progress=show, cancelled=stop, each=_tell_tried
        )
    if as_json:
        print_json("bisection", done)
    else:
        print_lines([f"{done.sought.label}: {done.sought.reason}", done.reason, *map(_named, done.suspects)])
    if done.suspects:
        raise typer.Exit(FOUND)


def confirm(
    alert: Annotated[int, typer.Argument(min=1, max=LARGEST_ID, help="The alert's number.")],
    grid: GridOption = "quick",
    device: DeviceOption = Device.CPU,
    pairs: PairsOption = LOOKS[-1],
    as_json: JsonOption = False,
) -> None:
    """Measure an alert's last good and first bad commit by turns, here and now, and write the answer into its history.

    Exit 1 when it is confirmed, 0 when it is not, or nothing could be decided.
    """
    with opened(settings()) as store, _measuring(f"alert {alert}") as (show, stop):
        asked = _request("", grid, device)
        done = check_alert(store, alert, asked, actor=user(), pairs=pairs, progress=show, cancelled=stop)
    tell(done.comparison, as_json=as_json, as_markdown=False)
    note(f"alert {alert}: {done.evidence.value if done.evidence is not Evidence.NONE else 'undecided'}")
    if done.evidence is Evidence.CONFIRMED:
        raise typer.Exit(FOUND)


def _tell_tried(tried: Tried) -> None:
    note(f"{tried.commit.hash[:8]} is {tried.side.value}: {tried.reason.splitlines()[0]}")


def _named(commit: Commit) -> str:
    return f"{commit.hash[:12]}  {commit.author}  {commit.subject}"


def _request(bench: str, grid: str, device: Device, *, guards: bool = False) -> Request:
    folder, found = project_here(), settings()
    if git.is_dirty(folder):
        note("note: uncommitted changes are not measured; commit them first to see them here")
    return Request(folder, found, device=device, bench=bench, grid=grid, guards=guards, python=found.environment.python)


@contextmanager
def _measuring(title: str) -> Iterator[tuple[Show, Stop]]:
    """With progress on stderr; Ctrl-C ends it in order, with nothing kept."""
    with listening() as stop, _bar(title) as show:
        try:
            yield show, stop
        except Interrupted:
            note("stopped; nothing of it is kept")
            raise typer.Exit(stop.exit_code) from None


def tell(done: Comparison, *, as_json: bool, as_markdown: bool) -> None:
    if as_json:
        print_json("comparison", to_json(done) | {"is_worse": done.is_worse, "is_undecided": done.is_undecided})
        return
    for warning in done.warnings:
        note(f"note: {warning.splitlines()[0]}")
    if as_markdown:
        print_lines(markdown(done))
        return
    print_rows("rows", done.rows, COLUMNS, as_json=False, empty="")
    print_lines([f"guard fails on head: {name}" for name in done.failing])
    print_lines([sentence(done)])


@contextmanager
def _bar(title: str) -> Iterator[Show]:
    """A bar on a terminal; elsewhere a line for each step and each round."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=notes, transient=True, disable=not notes.is_terminal) as progress:
        task = progress.add_task(plain(title), total=None)
        last = ""

        def show(step: agent.Progress) -> None:
            nonlocal last
            said = plain(step.text or step.stage.value)
            progress.update(task, completed=step.done, total=step.of or None, description=said)
            head = said.partition(":")[0]
            if head != last and not notes.is_terminal:
                note(head)
            last = head

        yield show
