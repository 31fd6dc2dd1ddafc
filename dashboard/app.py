"""The dashboard's front door: open the store, offer the pages, show the one that the address names."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import streamlit as st

from dashboard import links, parts, people, reading
from perfsvc.errors import PerfsvcError

LOG = logging.getLogger("perfsvc.dashboard")
ICON = str(Path(__file__).with_name("icon.png"))


def _view(name: str) -> Callable[[], None]:
    """The page in views/<name>.py, imported when it is first asked for."""

    def show() -> None:
        import_module(f"dashboard.views.{name}").show()

    return show


def _pages() -> list[st.Page]:
    return [
        st.Page(_view("tonight"), title="Tonight", url_path=links.TONIGHT, default=True),
        st.Page(_view("series"), title="Series", url_path=links.SERIES),
        st.Page(_view("correctness"), title="Correctness", url_path=links.CORRECTNESS),
        st.Page(_view("alert"), title="Alert", url_path=links.ALERT, visibility="hidden"),
    ]


def main() -> None:
    page = st.navigation(_pages(), position="top")
    st.set_page_config(page_title=f"{page.title} · perfsvc", page_icon=ICON, layout="wide")
    parts.style()
    try:
        if not people.may_read(reading.settings().dashboard, people.person()):
            parts.show(parts.empty("Sign in to read this.", "These measurements are not public."))
            return
        reading.begin()
        page.run()
    except PerfsvcError as error:
        parts.show(parts.empty("This cannot be shown.", str(error)))
    except Exception:  # a page must not end in a trace; the log keeps it
        LOG.exception("the page %s failed", page.title)
        parts.show(
            parts.empty("Something went wrong here.", "The dashboard's log says what; the other pages may work.")
        )


main()
