"""perfsvc run: any benchmark command, run here, and what it prints kept as a run of HEAD."""

from __future__ import annotations

import platform
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from perfsvc import formats, git, pipeline
from perfsvc.cli import context, sources
from perfsvc.cli.context import ProjectOption
from perfsvc.cli.incoming import tell_ingested
from perfsvc.errors import GitError, ResultFormatError, RunnerError
from perfsvc.model import Complaint, RunReport

ADAPTERS = tuple(each.name for each in formats.FORMATS if each.one_file)

#: Where a command names the file that it is to write.
OUTPUT = "{output}"


def run(
    command: Annotated[list[str], typer.Argument(help="What to run, after --.", metavar="COMMAND...")],
    adapter: Annotated[str, typer.Option("--adapter", "-a", help=f"What it writes: {', '.join(ADAPTERS)}.")],
    project: ProjectOption = "",
    machine: Annotated[str, typer.Option("--machine", help="The machine's name; default: this host's.")] = "",
    timeout: Annotated[float, typer.Option("--timeout", min=1, help="Seconds before it is stopped.")] = 3600.0,
) -> None:
    """Run a benchmark command in this folder, without a shell, and keep its numbers as a run of HEAD.

    Read is the file in place of {output} in the command, or else what it prints. Exit 3 when the command fails.
    """
    if adapter not in ADAPTERS:
        raise ResultFormatError(f"{adapter!r} is no adapter; wanted {', '.join(ADAPTERS)}")
    here = Path.cwd()
    source = sources.of_folder(here, project)
    commit = sources.find_commit(here, "HEAD")
    if git.is_dirty(here):
        raise GitError(f"{source.root}: has uncommitted changes, and a run is of a commit: commit them first")
    identity = formats.RunIdentity(machine or platform.node(), commit=commit)
    with tempfile.TemporaryDirectory(prefix="perfsvc-run-") as scratch:
        output = _measure(command, Path(scratch), timeout)
        found = list(_own_runs(formats.read(output, adapter, run=identity, naming=source.naming), command))
    with context.opened(source.settings, create=True) as store:
        project_id = sources.keep_project(store, source)
        total = pipeline.ingest(store, project_id, found, source.settings, datetime.now(UTC))
    tell_ingested(source, total)


def _measure(command: Sequence[str], scratch: Path, timeout: float) -> Path:
    """Run it to its end; the file that holds its results. Raises: RunnerError when it fails or writes nothing."""
    output, printed = scratch / "output.json", scratch / "printed"
    told = shlex.join(command)
    wanted = [word.replace(OUTPUT, str(output)) for word in command]
    with printed.open("wb") as stdout:
        try:
            ended = subprocess.run(wanted, stdin=subprocess.DEVNULL, stdout=stdout, timeout=timeout, check=False)
        except subprocess.TimeoutExpired:
            raise RunnerError(f"{told}: was not done after {timeout:g} s, and was stopped; nothing was kept") from None
        except (OSError, ValueError) as error:
            raise RunnerError(f"{told}: cannot be started: {error}") from None
    if ended.returncode:
        raise RunnerError(f"{told}: ended with {ended.returncode}; nothing was kept")
    read = output if any(OUTPUT in word for word in command) else printed
    if not read.is_file() or not read.stat().st_size:
        raise RunnerError(f"{told}: {'wrote no ' + OUTPUT if read is output else 'printed nothing'}; nothing was kept")
    return read


def _own_runs(reports: formats.Reports, command: Sequence[str]) -> Iterator[RunReport | Complaint]:
    """Measured twice, a commit has two runs; and what a scratch file was called tells nobody anything."""
    for each in reports:
        if isinstance(each, Complaint):
            yield Complaint(shlex.join(command), each.reason)
        else:
            yield replace(each, origin=f"run:{each.content_hash[:12]}", started_at=each.started_at or datetime.now(UTC))
