"""The one door to the store: settings, the open database, and answers that are kept until something is stored."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import streamlit as st

from perfsvc.settings import Settings, project_folder
from perfsvc.store import Store, queries

P = ParamSpec("P")
T = TypeVar("T")

#: An answer is never older than this, whatever the stamp says.
LONGEST_KEPT = 15.0

STAMP = "newest content"


def settings() -> Settings:
    """Raises: SettingsError."""
    return Settings.load(project_folder(Path.cwd()))


def store() -> Store:
    """Raises: NotFound without a database, DatabaseVersionError when it is not this version's."""
    return _opened(settings().database)


@st.cache_resource(show_spinner=False, max_entries=4)
def _opened(url: str) -> Store:
    return Store.open(url)


def now() -> datetime:
    return datetime.now(UTC)


def ask(question: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
    """A question of perfsvc.store.queries, read anew when a run was stored or an alert moved."""
    key = f"{question.__module__}.{question.__qualname__}{args!r}{sorted(kwargs.items())!r}"
    return cast(T, _answer(settings().database, str(st.session_state.get(STAMP, "")), key, question, args, kwargs))


@st.cache_data(show_spinner=False, ttl=LONGEST_KEPT, max_entries=200)
def _answer(url: str, stamp: str, key: str, _question: Callable[..., Any], _args: Any, _kwargs: Any) -> Any:
    del stamp, key  # they only tell one answer from another
    with _opened(url).reading() as tx:
        return _question(tx, *_args, **_kwargs)


def begin() -> None:
    """Once a page: look what the store's newest content is; answers to older content are not used."""
    with store().reading() as tx:
        moved = max((alert.updated_at for alert in queries.alerts(tx)), default="")
        st.session_state[STAMP] = f"{queries.newest_run_id(tx)} {moved}"
