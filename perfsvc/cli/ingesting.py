"""Commands for results that are there already: ingest and process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from perfsvc import formats, git, pipeline, units
from perfsvc.cli import context
from perfsvc.cli.context import ProjectOption
from perfsvc.cli.output import FOUND, MISUSED, note, notes, print_lines, tell_alerts
from perfsvc.errors import GitError, NotFound, ResultFormatError, RunnerError
from perfsvc.model import Complaint, RunReport
from perfsvc.runner import asv_conf
from perfsvc.settings import Settings, project_folder
from perfsvc.store import Store, queries, writes

COMPLAINTS_SHOWN = 10

#: Folders that every project has: they name none.
NAMELESS = frozenset({"results", ".asv", "asv", "benchmarks", "asv_bench", "bundles", ""})


def register(app: typer.Typer) -> None:
    for command in (ingest, process):
        app.command()(command)


@dataclass(frozen=True, slots=True)
class _Source:
    """Whose results they are. `root`: the repository that tells the order of commits, if it is at hand."""

    name: str
    root: Path | None
    settings: Settings


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
    """Bring in results that others measured. Adding them twice changes nothing. `perfsvc process` judges them.

    What cannot be read is told, and the rest goes in. Exit 2 when nothing could be read.
    """
    source = _source(paths[0], project, repository)
    if dry_run:
        _dry_run(paths, format_, source.name)
        return
    if format_ == "auto":
        for path in paths:
            formats.detect_format(path)  # raises for what is no results, before anything is kept
    with context.opened(source.settings, create=True) as store:
        project_id = _keep_project(store, source, branch or source.settings.project.branch, asked=bool(branch))
        total = _bring_in(store, project_id, paths, format_, source.settings)
    _tell_complaints(total.complaints)
    had = f"{total.unchanged} were there already"
    print_lines([f"{source.name}: {units.count(total.new, 'new run')}, {had}"])
    if total.complaints and not total.new and not total.unchanged:
        raise typer.Exit(MISUSED)
    if total.new:
        print_lines([f"next: perfsvc process --project {source.name}"])


def _bring_in(
    store: Store, project_id: int, paths: Sequence[Path], format_: str, settings: Settings
) -> pipeline.Ingested:
    with store.reading() as tx:
        known = _Known(writes.runs.known_hashes(tx, project_id))
    total = pipeline.Ingested()
    for path in paths:
        reports = (_own(store, each) for each in formats.read(path, format_, known=known))
        result = pipeline.ingest(store, project_id, _counted(reports), settings, datetime.now(UTC))
        total.new += result.new
        total.unchanged += result.unchanged
        total.complaints += result.complaints
    total.unchanged += known.count
    return total


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


class _Known:
    """Tells which content is kept already, and counts how often it was asked and knew."""

    def __init__(self, hashes: set[str]) -> None:
        self._hashes = hashes
        self.count = 0

    def __call__(self, content_hash: str) -> bool:
        there = content_hash in self._hashes
        self.count += there
        return there


def _source(path: Path, project: str, repository: Path | None) -> _Source:
    """What is known of the results' project: from their bundle, or from the asv.conf.json whose results they are."""
    folder = _own_folder(path)
    root = git.repository_root(repository) if repository is not None else None
    if root is None and folder is not None:
        root = _repository_beside(folder)
    if folder is None and root is not None:
        folder = project_folder(root)
    name = project or _bundle_project(path) or _suite_project(folder) or _folder_name(path)
    return _Source(name, root, Settings.load(folder))


def _own_folder(path: Path) -> Path | None:
    """The project's folder whose results these are, as its asv.conf.json says; not just any folder above them."""
    place = path.resolve()
    folder = project_folder(place if place.is_dir() else place.parent)
    if folder is None:
        return None
    try:
        results = (folder / str(asv_conf.load(folder).get("results_dir", "results"))).resolve()
    except RunnerError as error:
        note(f"note: {error}")
        return None
    return folder if place.is_relative_to(results) or results.is_relative_to(place) else None


def _repository_beside(folder: Path) -> Path | None:
    try:
        local = folder / str(asv_conf.load(folder).get("repo", ""))
        return git.repository_root(local) if local.is_dir() else None
    except (RunnerError, GitError):
        return None


def _bundle_project(path: Path) -> str:
    try:
        return formats.read_manifest(path).project if (path / "bundle.json").is_file() else ""
    except ResultFormatError:
        return ""


def _suite_project(folder: Path | None) -> str:
    try:
        return str(asv_conf.load(folder).get("project") or "") if folder is not None else ""
    except RunnerError:
        return ""


def _folder_name(path: Path) -> str:
    place = path.resolve()
    names = (each.name for each in (place, *place.parents) if not each.is_file())
    return next((name for name in names if name.lower() not in NAMELESS), "project")


def _keep_project(store: Store, source: _Source, branch: str, *, asked: bool) -> int:
    """The project's row, with the order of its commits where git can tell it.

    Raises: GitError naming the branches there are, when the branch is none and the choice is not plain.
    """
    line = []
    if source.root is None:
        note("note: no repository at hand: commits are ordered by date; --repository PATH names it")
    else:
        only = git.branches(source.root)
        if branch not in only and not asked and len(only) == 1:
            branch = only[0]
        line = git.first_parent_line(source.root, branch)
    with store.writing() as tx:
        repository = str(source.root) if source.root else ""
        project_id = writes.catalog.keep_project(
            tx, source.name, now=datetime.now(UTC), repository=repository, branch=branch
        )
        writes.catalog.keep_line(tx, project_id, [c for c in line if c.position is not None])
    return project_id


def _counted(reports: Iterable[RunReport | Complaint]) -> Iterator[RunReport | Complaint]:
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
    kept = f"{units.count(runs, 'run')} with {units.count(values, 'value')} and {units.count(skips, 'skip')}"
    print_lines([f"{name}: would keep {kept} from {', '.join(sorted(machines)) or 'no machine'}; nothing was kept"])
    if complaints and not runs:
        raise typer.Exit(MISUSED)


def _tell_complaints(complaints: Sequence[Complaint]) -> None:
    for complaint in complaints[:COMPLAINTS_SHOWN]:
        note(f"not read: {complaint.place}: {complaint.reason}")
    if len(complaints) > COMPLAINTS_SHOWN:
        note(f"and {len(complaints) - COMPLAINTS_SHOWN} more that could not be read")


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
