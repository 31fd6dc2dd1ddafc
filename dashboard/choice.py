"""Which project and machine a page is about: kept in the address, chosen where there is a choice."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from dashboard import parts, reading
from dashboard.markup import el
from perfsvc.store import queries
from perfsvc.store.rows import ProjectRow

ALL = "all machines"


@dataclass(frozen=True, slots=True)
class Choice:
    project: ProjectRow
    machines: tuple[str, ...]  #: those that have stored a run
    machine: str | None  #: None = all


def choose() -> Choice:
    """Ask for project and machine where there are several; stops the page where there is nothing to choose from."""
    projects = reading.ask(queries.projects)
    if not projects:
        _nothing_yet()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        project = _project(projects)
        machines = tuple(sorted(reading.ask(queries.last_stored_at, project.id)))
        return Choice(project, machines, _machine(machines))


def project_named(name: str) -> ProjectRow:
    return reading.ask(queries.project, name)


def _project(projects: list[ProjectRow]) -> ProjectRow:
    if len(projects) == 1:
        return projects[0]
    names = [project.name for project in projects]
    chosen = st.selectbox("Project", names, key="project", bind="query-params", width=260)
    return projects[names.index(chosen)]


def _machine(machines: tuple[str, ...]) -> str | None:
    if len(machines) < 2:
        return machines[0] if machines else None
    chosen = st.selectbox("Machine", [ALL, *machines], key="machine", bind="query-params", width=260)
    return None if chosen == ALL else chosen


def _nothing_yet() -> None:
    parts.show(
        parts.heading("Nothing is watched yet"),
        parts.empty(
            "There is no project in this store.",
            "Start with ", el("code", "perfsvc up"), " in a repository that has an asv.conf.json, or read results that "
            "you already have with ", el("code", "perfsvc ingest PATH"), ".",
        ),
    )  # fmt: skip
    st.stop()
