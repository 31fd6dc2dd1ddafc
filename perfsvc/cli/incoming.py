"""Runs on their way into the store: what is there already, a count while they are read, and what came of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import typer
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from perfsvc import pipeline, units
from perfsvc.cli import context
from perfsvc.cli.output import MISUSED, note, notes, print_lines
from perfsvc.cli.sources import Source
from perfsvc.errors import DatabaseVersionError, NotFound
from perfsvc.formats.naming import series_machine
from perfsvc.model import Complaint, RunReport
from perfsvc.store import Store, queries, writes

COMPLAINTS_SHOWN = 10


class Known:
    """Tells which content is kept already, and counts how often it was asked and knew."""

    def __init__(self, hashes: set[str]) -> None:
        self._hashes = hashes
        self.count = 0

    @classmethod
    def of(cls, store: Store, project_id: int) -> Known:
        with store.reading() as tx:
            return cls(writes.runs.known_hashes(tx, project_id))

    @classmethod
    def by_name(cls, source: Source) -> Known:
        """Of a source that nobody may have brought in before; nothing is made."""
        try:
            with context.opened(source.settings) as store:
                with store.reading() as tx:
                    project_id = queries.project(tx, source.name).id
                return cls.of(store, project_id)
        except (DatabaseVersionError, NotFound):
            return cls(set())

    def __call__(self, content_hash: str) -> bool:
        there = content_hash in self._hashes
        self.count += there
        return there


class Renamed:
    """Runs whose machine has another name since perfsvc.toml says so: what was kept under its own name is left out."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}  # own -> new
        self._commits: dict[str, set[str]] = defaultdict(set)  # by own name

    def watched(self, reports: Iterable[RunReport | Complaint]) -> Iterator[RunReport | Complaint]:
        """The same, taking note of those that have a new name."""
        for each in reports:
            if isinstance(each, RunReport):
                own = series_machine(each.machine_facts["machine"], each.env_name)
                if own != each.machine:
                    self._names[own] = each.machine
                    self._commits[own].add(each.commit.hash)
            yield each

    def leave_out(self, store: Store, project_id: int) -> None:
        """Exclude what an ingest under other rules kept of the same runs, and tell how many they were."""
        for own, name in self._names.items():
            with store.writing() as tx:
                runs = queries.runs(tx, project_id, machine=own, limit=context.LARGEST_ID)
                old = [run for run in runs if run.excluded is None and run.commit.hash in self._commits[own]]
                for run in old:
                    writes.runs.exclude_run(tx, run.id, f"kept as {name}, as perfsvc.toml says")
            if old:
                note(f"note: {units.count(len(old), 'run')} of {own} left out: kept as {name} now")


def counted(reports: Iterable[RunReport | Complaint]) -> Iterator[RunReport | Complaint]:
    """The same, with a count on a terminal."""
    columns = (TextColumn("reading"), TextColumn("{task.completed} runs"), TimeElapsedColumn())
    with Progress(*columns, console=notes, transient=True, disable=not notes.is_terminal) as progress:
        task = progress.add_task("reading", total=None)
        for report in reports:
            progress.advance(task)
            yield report


def tell_ingested(source: Source, total: pipeline.Ingested, passed_over: int = 0) -> None:
    """What came of it, and what to do next. Raises: Exit when nothing could be read."""
    tell_complaints(total.complaints)
    unchanged = total.unchanged + passed_over
    print_lines([f"{source.name}: {units.count(total.new, 'new run')}, {unchanged} were there already"])
    if total.complaints and not total.new and not unchanged:
        raise typer.Exit(MISUSED)
    if total.new:
        print_lines([f"next: perfsvc process --project {source.name}"])


def tell_complaints(complaints: Sequence[Complaint]) -> None:
    """The first ones, a line each."""
    for complaint in complaints[:COMPLAINTS_SHOWN]:
        note(f"not read: {complaint.place}: {complaint.reason}")
    if len(complaints) > COMPLAINTS_SHOWN:
        note(f"and {len(complaints) - COMPLAINTS_SHOWN} more that could not be read")
