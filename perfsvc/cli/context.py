"""What every command begins with: where one stands, the settings that hold there, the store, the project."""

from __future__ import annotations

import getpass
import os
from pathlib import Path
from typing import Annotated

import typer

from perfsvc.errors import NotFound
from perfsvc.settings import Settings, project_folder
from perfsvc.store import Store, queries
from perfsvc.store.rows import ProjectRow

ProjectOption = Annotated[
    str, typer.Option("--project", "-p", help="Name of the project; default: the one whose folder you stand in.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of a table for people.")]


def here() -> Path | None:
    """The project's folder that one stands in, if any."""
    return project_folder(Path.cwd())


def settings() -> Settings:
    return Settings.load(here())


def open_store(found: Settings) -> Store:
    return Store.open(found.database)


def the_project(store: Store, found: Settings, name: str) -> ProjectRow:
    """The project that is meant: by name, by folder, or the only one there is. Raises: NotFound with the choice."""
    with store.reading() as tx:
        if name:
            return queries.project(tx, name)
        known = queries.projects(tx)
    if found.folder is not None:
        for row in known:
            if row.name == found.project.name or (row.repository and Path(row.repository) == found.folder):
                return row
    if len(known) == 1:
        return known[0]
    if not known:
        raise NotFound("nothing is stored yet: `perfsvc measure` in a project's folder, or `perfsvc ingest PATH`")
    raise NotFound(f"which project? add --project; there are: {', '.join(row.name for row in known)}")


def user() -> str:
    """Who does it: the local user's name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
