"""A real store with a library's month in it, and the pages run against it by Streamlit's own test runner."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from html import unescape
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from perfsvc.store import Store
from tests.dashboard import story

NOW = datetime.now(UTC)

HOSTILE = story.Names(
    variant="'<b onmouseover=\"alert(1)\">bold</b>'",
    subject="<script>alert(1)</script> **bold** [link](javascript:alert(1)) `code` :red[x] $\\frac{1}{2}$",
    author="\u202eadA <a href='//x'>x</a>",
    message="🚀 שלום </div><h1>big</h1> " + "m" * 10_000,
)


def address(home: Path) -> str:
    return f"sqlite:///{home / 'perfsvc.sqlite'}"


def filled(home: Path, **options: object) -> Path:
    store = Store.create(address(home))
    story.fill(store, NOW, **options)  # type: ignore[arg-type]
    store.close()
    return home


@pytest.fixture(scope="session")
def month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plain month; not to be written to."""
    return filled(tmp_path_factory.mktemp("month"))


@pytest.fixture(scope="session")
def hostile_month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return filled(tmp_path_factory.mktemp("hostile"), project="<i>evil</i> **project**", names=HOSTILE)


@pytest.fixture(scope="session")
def two_projects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plain month, and a second one on two machines under a hostile name."""
    home = filled(tmp_path_factory.mktemp("two"))
    filled(home, project="<i>evil</i> **project**", names=HOSTILE, jobs=False)
    return filled(home, project="<i>evil</i> **project**", names=HOSTILE, machine="m1-mps", jobs=False)


@pytest.fixture
def own_month(month: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    shutil.copy(month / "perfsvc.sqlite", tmp_path)
    return tmp_path


@pytest.fixture
def on_loopback() -> Iterator[None]:
    """As when the server listens on this machine only: its user may decide."""
    before = st.get_option("server.address")
    st.config.set_option("server.address", "127.0.0.1")
    yield
    st.config.set_option("server.address", before)


Show = Callable[..., AppTest]


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Show:
    """Run a page as the front door does: `show("series", home, series="4")`."""
    monkeypatch.chdir(tmp_path)

    def run(view: str, home: Path, **state: str) -> AppTest:
        monkeypatch.setenv("PERFSVC_HOME", str(home))
        lines = ("from dashboard import reading", f"from dashboard.views import {view}", "reading.begin()")
        page = AppTest.from_string("\n".join((*lines, f"{view}.show()")), default_timeout=20)
        for name, value in state.items():
            page.query_params[name] = value
        return page.run()

    return run


def markup(page: AppTest) -> str:
    """Everything that the page gave as HTML."""
    assert not page.exception, page.exception
    return "".join(element.proto.body for element in page.get("html"))


def text(page: AppTest) -> str:
    """What a person reads, with single spaces."""
    spaced = re.sub(r"</(td|th|p|div|h1|h2|summary|b)>", " ", markup(page))
    return " ".join(unescape(re.sub(r"<[^>]+>", "", spaced)).split())


def link(page: AppTest, label: str) -> str:
    """Where the link with this text leads."""
    found = re.search(rf'<a href="([^"]*)"[^>]*>(?:<bdi[^>]*>)?[^<]*{re.escape(label)}', markup(page))
    assert found, f"no link says {label!r}"
    return unescape(found[1])
