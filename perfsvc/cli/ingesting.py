"""Commands for results that are there already: ingest and process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from perfsvc import formats, git, pipeline
from perfsvc.cli import context
from perfsvc.cli.context import ProjectOption
from perfsvc.cli.output import notes, plain, print_lines, tell_alerts
from perfsvc.errors import GitError, PerfsvcError, RunnerError
from perfsvc.model import Complaint, RunReport
from perfsvc.runner import asv_conf
from perfsvc.settings import Settings, project_folder
from perfsvc.store import Store, writes

FOUND = 1
COMPLAINTS_SHOWN = 10


def register(app: typer.Typer) -> None:
    for command in (ingest, process):
        app.command()(command)


def ingest(
    paths: Annotated[list[Path], typer.Argument(help="Result trees or files.", metavar="PATH...")],
    project: Annotated[str, typer.Option("--project", "-p", help="The name to keep them under.")] = "",
    branch: Annotated[str, typer.Option("--branch", help="The watched branch, where the repository is at hand.")] = "",
    repository: Annotated[
        Path | None, typer.Option("--repository", help="The project's git repository; it tells the order of commits.")
    ] = None,
    format_: Annotated[str, typer.Option("--format", help="auto, or a format's name.")] = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be kept; keep nothing.")] = False,
) -> None:
    """Bring in results that others measured. Adding them twice changes nothing. `perfsvc process` judges them."""
    found = context.settings()
    root, suggested = _source(paths[0], repository)
    name = project or suggested
    chosen = branch or found.project.branch
    if dry_run:
        _dry_run(paths, format_, name)
        return
    store = Store.create(found.database)
    project_id = _ingest_project(store, name, root, chosen)
    with store.reading() as tx:
        known = writes.runs.known_hashes(tx, project_id)
    totals = pipeline.Ingested()
    for path in paths:
        skipped = _Known(known)
        reports = formats.read(path, format_, known=skipped)
        result = pipeline.ingest(store, project_id, _counted(reports), found, datetime.now(UTC))
        totals.new += result.new
        totals.unchanged += result.unchanged + skipped.count
        totals.complaints += result.complaints
    _tell_complaints(totals.complaints)
    had = f"{totals.unchanged} were there already"
    print_lines([f"{name}: {totals.new} new runs, {had}; next: perfsvc process --project {name}"])


class _Known:
    """Tells which content is kept already, and counts how often it was asked and knew."""

    def __init__(self, hashes: set[str]) -> None:
        self._hashes = hashes
        self.count = 0

    def __call__(self, content_hash: str) -> bool:
        there = content_hash in self._hashes
        self.count += there
        return there


def _source(path: Path, repository: Path | None) -> tuple[Path | None, str]:
    """The repository that tells the order, if it is at hand, and a name: what asv.conf.json near the results says."""
    folder = project_folder(path.resolve() if path.is_dir() else path.resolve().parent)
    name = path.resolve().name
    if folder is not None:
        try:
            conf = asv_conf.load(folder)
            name = str(conf.get("project") or name)
            local = folder / str(conf.get("repo", ""))
            if repository is None and (local / ".git").exists():
                repository = local
        except RunnerError as error:
            notes.print(Text(plain(f"note: {error}")))
    return (git.repository_root(repository), name) if repository is not None else (None, name)


def _ingest_project(store: Store, name: str, root: Path | None, branch: str) -> int:
    """The project's row, with the order of its commits where git can tell it."""
    now = datetime.now(UTC)
    line = []
    if root is not None:
        try:
            line = git.first_parent_line(root, branch)
        except GitError:
            branch = git.branches(root)[0] if len(git.branches(root)) == 1 else branch
            line = git.first_parent_line(root, branch)
    else:
        notes.print(Text("note: no repository at hand: commits are ordered by date; --repository PATH names it"))
    with store.writing() as tx:
        project_id = writes.catalog.keep_project(tx, name, now=now, repository=str(root) if root else "", branch=branch)
        writes.catalog.keep_line(tx, project_id, [c for c in line if c.position is not None])
    return project_id


def _counted(reports: Iterator[RunReport | Complaint]) -> Iterator[RunReport | Complaint]:
    """The same, with a count on a terminal."""
    columns = (TextColumn("reading"), TextColumn("{task.completed} runs"), TimeElapsedColumn())
    with Progress(*columns, console=notes, transient=True, disable=not notes.is_terminal) as progress:
        task = progress.add_task("reading", total=None)
        for report in reports:
            progress.advance(task)
            yield report


def _dry_run(paths: Sequence[Path], format_: str, name: str) -> None:
    complaints: list[Complaint] = []
    runs = values = skips = 0
    machines: set[str] = set()
    for path in paths:
        for report in _counted(formats.read(path, format_)):
            if isinstance(report, Complaint):
                complaints.append(report)
                continue
            runs, values, skips = runs + 1, values + len(report.measurements), skips + len(report.skips)
            machines.add(report.machine)
    _tell_complaints(complaints)
    where = ", ".join(sorted(machines)) or "no machine"
    print_lines([f"{name}: would keep {runs} runs with {values} values and {skips} skips from {where}"])


def _tell_complaints(complaints: Sequence[Complaint]) -> None:
    for complaint in complaints[:COMPLAINTS_SHOWN]:
        notes.print(Text(plain(f"not read: {complaint.place}: {complaint.reason}")))
    if len(complaints) > COMPLAINTS_SHOWN:
        notes.print(Text(f"and {len(complaints) - COMPLAINTS_SHOWN} more that could not be read"))


def process(
    project: ProjectOption = "",
    all_: Annotated[bool, typer.Option("--all", help="Judge every run again, as after a changed setting.")] = False,
) -> None:
    """Find changes in what is stored, open and move alerts, tell people. Exit 1 when it opened one."""
    found = context.settings()
    store = context.open_store(found)
    chosen = context.the_project(store, found, project)
    if found.folder is None and chosen.repository and project_folder(Path(chosen.repository)):
        found = _project_settings(Path(chosen.repository), found)
    if all_:
        with store.writing() as tx:
            writes.judging.mark_waiting(tx, chosen.id)
    with Progress(console=notes, transient=True, disable=not notes.is_terminal) as progress:
        task = progress.add_task("judging", total=None)

        def show(done: int, of: int) -> None:
            progress.update(task, completed=done, total=of)

        done = pipeline.process(store, chosen.id, found, datetime.now(UTC), progress=show)
    pipeline.send(store, found, datetime.now(UTC))
    ends = f"{len(done.opened)} alerts opened, {len(done.moved)} moved"
    print_lines([f"{chosen.name}: judged {done.runs} runs, {done.series} series; {ends}"])
    tell_alerts(done.opened)
    if done.opened:
        raise typer.Exit(FOUND)


def _project_settings(folder: Path, machine: Settings) -> Settings:
    """The project's own perfsvc.toml, where one stands elsewhere; a broken one is told, and the defaults hold."""
    try:
        return Settings.load(folder)
    except PerfsvcError as error:
        notes.print(Text(plain(f"note: {error}; the defaults hold")))
        return machine
