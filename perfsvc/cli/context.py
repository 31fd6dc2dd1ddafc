"""What every command begins with: where one stands, the settings that hold there, the store, the project."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import Connection

from perfsvc.cli.output import note
from perfsvc.errors import NotFound, SettingsError
from perfsvc.rows import ProjectRow
from perfsvc.settings import Settings, project_folder
from perfsvc.store import Store, queries

#: The largest number that a database takes for an id.
LARGEST_ID = 2**63 - 1

ProjectOption = Annotated[
    str, typer.Option("--project", "-p", help="Name of the project; default: the one whose folder you stand in.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of a table for people.")]
LimitOption = Annotated[int, typer.Option("--limit", "-n", min=1, max=LARGEST_ID, help="At most so many.")]


@dataclass(frozen=True, slots=True)
class Reading:
    """A state of the store, looked at once: the project that is meant, and the time that it is now."""

    tx: Connection
    project: ProjectRow
    now: datetime


@contextmanager
def reading(project: str) -> Iterator[Reading]:
    """The door of every reading command. Raises: NotFound, DatabaseVersionError."""
    found = settings()
    with opened(found) as store:
        chosen = the_project(store, found, project)
        with store.reading() as tx:
            yield Reading(tx, chosen, datetime.now(UTC))


@contextmanager
def opened(found: Settings, *, create: bool = False) -> Iterator[Store]:
    """The store, closed at the end. `create`: make it, or bring it to this version's, where that is needed."""
    store = Store.create(found.database) if create else Store.open(found.database)
    try:
        yield store
    finally:
        store.close()


def here() -> Path | None:
    """The project's folder that one stands in, if any."""
    try:
        return project_folder(Path.cwd())
    except FileNotFoundError:
        raise NotFound("the folder that you stand in is gone: go to another one") from None


def project_here() -> Path:
    """Raises: NotFound when one stands in no project's folder."""
    folder = here()
    if folder is None:
        raise NotFound(
            f"{Path.cwd()}: no asv.conf.json here or above; go to a project that has one, or `asv quickstart`"
        )
    return folder


def settings() -> Settings:
    return Settings.load(here())


def settings_of(project: ProjectRow, found: Settings) -> Settings:
    """The settings that hold for a project: its own perfsvc.toml, never the one of another project one stands in.

    A broken one is told, and the defaults hold.
    """
    folder = project_folder(Path(project.repository)) if project.repository else None
    if folder == found.folder:
        return found
    try:
        return Settings.load(folder)
    except SettingsError as error:
        note(f"{error}; the defaults hold")
        return Settings.load(None)


def the_project(store: Store, found: Settings, name: str) -> ProjectRow:
    """The project that is meant: by name, by folder, or the only one there is. Raises: NotFound with the choice."""
    with store.reading() as tx:
        if name:
            return queries.project(tx, name)
        known = queries.projects(tx)
    if not known:
        raise NotFound("nothing is stored yet: `perfsvc measure` in a project's folder, or `perfsvc ingest PATH`")
    if found.folder is not None:
        for row in known:
            if row.name == found.project.name or (row.repository and Path(row.repository) == found.folder):
                return row
    if len(known) == 1:
        return known[0]
    raise NotFound(f"which project? add --project; there are: {', '.join(row.name for row in known)}")


def user() -> str:
    """Who does it: the local user's name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
