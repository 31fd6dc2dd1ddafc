"""The real server, a real store, a real Chromium."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    Playwright,
    ViewportSize,
    sync_playwright,
)

import dashboard
from tests.dashboard.conftest import HOSTILE, filled

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
ELSEWHERE = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
HOW_TO_GET_IT = "no Chromium: `.venv/bin/playwright install chromium`, or `apt-get install chromium`"

#: Streamlit looks for its own routes below the page's address first; the browser reports each miss.
FRAMEWORK = re.compile(r"Failed to load resource: the server responded with a status of 404")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        try:
            chromium = _launched(playwright)
        except (Error, FileNotFoundError):
            if os.environ.get("PERFSVC_REQUIRE_BROWSER") == "1":
                pytest.fail(HOW_TO_GET_IT)
            pytest.skip(HOW_TO_GET_IT)
        yield chromium
        chromium.close()


def _launched(playwright: Playwright) -> Browser:
    if Path(playwright.chromium.executable_path).exists():
        return playwright.chromium.launch(args=list(FLAGS))
    found = next((path for path in ELSEWHERE if Path(path).exists()), None)
    if found is None:
        raise FileNotFoundError("chromium")
    return playwright.chromium.launch(executable_path=found, args=list(FLAGS))


@contextmanager
def serving(home: Path) -> Iterator[str]:
    """The dashboard's address, while it runs from a folder that is nobody's project."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"PERFSVC_HOME": str(home)}
    with (home / "server.log").open("w") as log:
        server = subprocess.Popen(dashboard.command(port=port), cwd=home, env=environment, stdout=log, stderr=log)
    try:
        _wait(f"http://127.0.0.1:{port}/_stcore/health", server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)


def _wait(address: str, server: subprocess.Popen[bytes], seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert server.poll() is None, "the server ended by itself; see server.log"
        try:
            with urllib.request.urlopen(address, timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the server did not answer in time")


@pytest.fixture(scope="session")
def month_served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(filled(tmp_path_factory.mktemp("served"))) as address:
        yield address


@pytest.fixture(scope="session")
def hostile_served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = filled(tmp_path_factory.mktemp("hostile-served"), project="<i>evil</i> **project**", names=HOSTILE)
    with serving(home) as address:
        yield address


@pytest.fixture(scope="session")
def two_served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Two projects, the second on two machines."""
    home = filled(tmp_path_factory.mktemp("two-served"))
    filled(home, project="second")
    with serving(filled(home, project="second", machine="m1-mps")) as address:
        yield address


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the screenshots are left; `-s` shows the folder."""
    folder = tmp_path_factory.mktemp("pictures")
    print(f"\nscreenshots: {folder}")
    return folder


Open = Callable[..., Page]


@pytest.fixture(scope="session")
def contexts(browser: Browser) -> Callable[[bool, bool], BrowserContext]:
    """One reader for each of light, dark, desk and phone: later pages find the scripts in the reader's cache."""

    @lru_cache
    def of(dark: bool, phone: bool) -> BrowserContext:
        size: ViewportSize = {"width": 390, "height": 844} if phone else {"width": 1280, "height": 900}
        scheme: Literal["dark", "light"] = "dark" if dark else "light"
        return browser.new_context(viewport=size, color_scheme=scheme, timezone_id="Europe/Berlin")

    return of


@pytest.fixture
def opened(contexts: Callable[[bool, bool], BrowserContext]) -> Iterator[Open]:
    """`opened(address, dark=True, phone=True)`: a page whose complaints fail the test."""
    complaints: list[str] = []
    pages: list[Page] = []

    def complain(message: ConsoleMessage) -> None:
        if message.type == "error" and not FRAMEWORK.match(message.text):
            complaints.append(message.text)

    def stay(asked: str, address: str) -> None:
        if not asked.startswith((f"http://{urlsplit(address).netloc}/", "data:", "blob:")):
            complaints.append(f"asked a foreign host: {asked}")

    def start(address: str, *, dark: bool = False, phone: bool = False) -> Page:
        page = contexts(dark, phone).new_page()
        pages.append(page)
        page.set_default_timeout(20_000)
        page.on("console", complain)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: stay(request.url, address))
        page.on("dialog", lambda dialog: complaints.append(f"a dialog opened: {dialog.message}"))
        page.goto(address, wait_until="commit")
        page.wait_for_selector(".pv h1")
        return page

    yield start
    for page in pages:
        page.close()
    assert complaints == []
