"""Commands for results that come from elsewhere, or go there: ingest, run, export; and process, which judges them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from perfsvc import formats, pipeline, units
from perfsvc.cli import context, exporting, incoming, running, sources
from perfsvc.cli.context import ProjectOption
from perfsvc.cli.output import FOUND, MISUSED, notes, print_lines, tell_alerts
from perfsvc.errors import NotFound, ResultFormatError
from perfsvc.model import Complaint, RunReport
from perfsvc.store import Store, queries, writes


def register(app: typer.Typer) -> None:
    for command in (ingest, running.run, exporting.export, process):
        app.command()(command)


def ingest(
    paths: Annotated[list[Path], typer.Argument(help="Result trees or files.", metavar="PATH...")],
    project: Annotated[str, typer.Option("--project", "-p", help="The name to keep them under.")] = "",
    branch: Annotated[str, typer.Option("--branch", help="The watched branch, where the repository is at hand.")] = "",
    repository: Annotated[
        Path | None, typer.Option("--repository", help="The project's git repository; it tells the order of commits.")
    ] = None,
    format_: Annotated[str, typer.Option("--format", help="auto, or a format's name.")] = "auto",
    machine: Annotated[str, typer.Option("--machine", help="Of files that do not say it: where it was measured.")] = "",
    commit: Annotated[str, typer.Option("--commit", help="Of files that do not say it: what was measured.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be kept; keep nothing.")] = False,
) -> None:
    """Bring in results that others measured. Adding them twice changes nothing. `perfsvc process` judges them.

    What cannot be read is told, and the rest goes in. Exit 2 when nothing could be read.
    """
    if commit and repository is None:
        repository = Path.cwd()
    source = sources.of_results(paths[0], project, repository)
    run = formats.RunIdentity(
        machine, commit=sources.find_commit(repository, commit) if repository and commit else None
    )
    told = {path: formats.detect_format(path, format_) for path in paths}  # raises before anything is kept
    for path, name in told.items():
        if run != formats.UNTOLD and name in formats.SELF_TOLD:
            raise ResultFormatError(f"{path}: says itself where and of what it is; drop --machine and --commit")
    read = partial(formats.read, run=run, naming=source.naming)
    if dry_run:
        known = incoming.Known.by_name(source)
        _dry_run(source, chain.from_iterable(read(path, name, known=known) for path, name in told.items()), known)
        return
    with context.opened(source.settings, create=True) as store:
        project_id = sources.keep_project(store, source, branch)
        known, renamed = incoming.Known.of(store, project_id), incoming.Renamed()

        def reports() -> Iterator[RunReport | Complaint]:
            for path, name in told.items():
                found = read(path, name, known=known)
                yield from renamed.watched(found) if name in formats.FOREIGN else found

        mine = (_own(store, each) for each in incoming.counted(reports()))
        total = pipeline.ingest(store, project_id, mine, source.settings, datetime.now(UTC))
        renamed.leave_out(store, project_id)
    incoming.tell_ingested(source, total, known.count)


def _own(store: Store, report: RunReport | Complaint) -> RunReport | Complaint:
    """A bundle that another service's runner made is of no job of ours, whatever number it bears."""
    if isinstance(report, Complaint) or report.job is None:
        return report
    try:
        with store.reading() as tx:
            if report.commit.hash in queries.job(tx, report.job).spec.get("commits", ()):
                return report
    except NotFound:
        pass
    return replace(report, job=None, attempt=None, origin=f"bundle:{report.content_hash[:12]}")


@dataclass(slots=True)
class _Would:
    """What would be kept of one machine."""

    runs: int = 0
    values: int = 0
    skips: int = 0
    benchmarks: set[str] = field(default_factory=set)

    def add(self, report: RunReport) -> None:
        self.runs += 1
        self.values += len(report.measurements)
        self.skips += len(report.skips)
        self.benchmarks |= {benchmark.name for benchmark in report.benchmarks}

    def __str__(self) -> str:
        held = units.count(self.values, "value"), units.count(len(self.benchmarks), "benchmark")
        return f"{units.count(self.runs, 'run')} with {held[0]} of {held[1]}, {units.count(self.skips, 'skip')}"


def _dry_run(source: sources.Source, reports: formats.Reports, known: incoming.Known) -> None:
    complaints: list[Complaint] = []
    machines: dict[str, _Would] = defaultdict(_Would)
    for each in incoming.counted(reports):
        if isinstance(each, Complaint):
            complaints.append(each)
        else:
            machines[each.machine].add(each)
    incoming.tell_complaints(complaints)
    print_lines(f"{source.name}: {machine}: {would}" for machine, would in sorted(machines.items()))
    runs = sum(would.runs for would in machines.values())
    there = f"{known.count} are there already; nothing was kept"
    print_lines([f"{source.name}: would keep {units.count(runs, 'run')}, {there}"])
    if complaints and not runs and not known.count:
        raise typer.Exit(MISUSED)


def process(
    project: ProjectOption = "",
    all_: Annotated[bool, typer.Option("--all", help="Judge every run again, as after a changed setting.")] = False,
) -> None:
    """Find changes in what is stored, open and move alerts, tell people. Exit 1 when it opened one."""
    machine = context.settings()
    with context.opened(machine) as store:
        chosen = context.the_project(store, machine, project)
        found = context.settings_of(chosen, machine)
        if all_:
            with store.writing() as tx:
                writes.judging.mark_waiting(tx, chosen.id)
        with Progress(console=notes, transient=True, disable=not notes.is_terminal) as progress:
            task = progress.add_task("judging", total=None)

            def show(done: int, of: int) -> None:
                progress.update(task, completed=done, total=of)

            done = pipeline.process(store, chosen.id, found, datetime.now(UTC), progress=show)
        pipeline.send(store, found, datetime.now(UTC))
    ends = f"{units.count(len(done.opened), 'alert')} opened, {len(done.moved)} moved"
    judged = f"{units.count(done.runs, 'run')}, {units.count(done.series, 'series', 'series')}"
    print_lines([f"{chosen.name}: judged {judged}; {ends}"])
    tell_alerts(done.opened)
    if done.opened:
        raise typer.Exit(FOUND)
