"""Which project and machine a page is about: kept in the address, chosen where there is a choice."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from dashboard import parts, reading
from dashboard.markup import el
from perfsvc import charts
from perfsvc.errors import NotFound
from perfsvc.rows import ProjectRow
from perfsvc.store import queries

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
        machines = tuple(sorted(reading.ask(queries.newest_runs, project.id)))
        return Choice(project, machines, _machine(machines))


def project_named(name: str) -> ProjectRow:
    return reading.ask(queries.project, name)


def _project(projects: list[ProjectRow]) -> ProjectRow:
    names = [project.name for project in projects]
    return projects[names.index(_pick("project", names))]


def _machine(machines: tuple[str, ...]) -> str | None:
    if not machines:
        return None
    chosen = _pick("machine", [ALL, *machines] if len(machines) > 1 else list(machines))
    return None if chosen == ALL else chosen


def _pick(name: str, options: list[str]) -> str:
    """The address decides; where it is silent, what was chosen last; then the first. Raises: NotFound.

    Not `bind="query-params"`: a bound widget forgets its value when another page is opened.
    """
    key, last = f"pick {name}", st.session_state.get(f"last {name}")
    asked = st.query_params.get(name) or (last if last in options else options[0])
    if asked not in options:
        raise NotFound(
            f"there is no {name} {charts.plain(asked)!r} here; known: {', '.join(map(charts.plain, options))}"
        )
    if len(options) == 1:
        return asked
    st.session_state[key] = asked
    chosen = st.selectbox(name.capitalize(), options, key=key, on_change=_remember, args=(name, key), width=260)
    st.session_state[f"last {name}"] = chosen
    _tell(name, chosen)
    return chosen


def _tell(name: str, chosen: str) -> None:
    """What is chosen goes into the address, so that the link says what one sees."""
    if chosen == ALL:
        st.query_params.pop(name, None)
    else:
        st.query_params[name] = chosen


def _remember(name: str, key: str) -> None:
    st.session_state[f"last {name}"] = st.session_state[key]
    _tell(name, st.session_state[key])
    if name == "project":
        st.query_params.pop("machine", None)


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
