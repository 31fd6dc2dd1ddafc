"""The processes that `perfsvc up` keeps going: started in order, waited for, stopped in order, none left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from perfsvc.cli.output import print_lines
from perfsvc.cli.stopping import Stop
from perfsvc.errors import RunnerError
from perfsvc.settings import Settings

READY_WITHIN = 60.0  #: seconds a role may take until it answers
STOP_WITHIN = 20.0  #: seconds a role has to end what it does
LOOK_EVERY = 0.2

#: The watched project's folder is where roles stand, never where Python looks for modules: it may have a `dashboard`.
SAFE_PATH = {"PYTHONSAFEPATH": "1"}

API = [sys.executable, "-P", "-m", "perfsvc.api"]


@dataclass(slots=True)
class Role:
    name: str
    command: list[str]
    folder: Path
    ready: str = ""  #: address that answers when it is up; "" = it has none
    environment: Mapping[str, str] = field(default_factory=dict)
    quiet: bool = False  #: its stdout says nothing that we do not say; errors come on stderr
    process: subprocess.Popen[bytes] | None = None

    @property
    def exit_code(self) -> int | None:
        return None if self.process is None else self.process.poll()


def of(found: Settings, folder: Path) -> list[Role]:
    """The roles of one machine."""
    clock = [sys.executable, "-P", "-m", "perfsvc", "scheduler"]
    api, pages = f"http://{found.host}:{found.api_port}/healthz", f"{found.dashboard_address}/_stcore/health"
    return [
        Role("scheduler", clock, folder),
        Role("API", API, folder, api),
        Role("dashboard", dashboard_command(found), folder, pages, SAFE_PATH, quiet=True),
    ]


def dashboard_command(found: Settings) -> list[str]:
    return [sys.executable, "-P", "-m", "dashboard", "--host", found.host, "--port", str(found.dashboard_port)]


def serve(roles: Sequence[Role], addresses: Sequence[str], stop: Stop) -> None:
    """Start the roles, say where they listen, and wait until somebody stops it.

    Raises: RunnerError naming the role that ended by itself; the others are stopped then, too.
    """
    try:
        for role in roles:
            _start(role)
        for role in roles:
            _await_ready(role, stop)
        if not stop():
            print_lines(addresses)
        while not stop():
            for role in roles:
                _require_alive(role)
            time.sleep(LOOK_EVERY)
    finally:
        _stop(roles)


def _start(role: Role) -> None:
    """In a session of its own, so that Ctrl-C reaches it through us alone, and in order."""
    role.process = subprocess.Popen(
        role.command,
        cwd=role.folder,
        env={**os.environ, **role.environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL if role.quiet else None,
        start_new_session=True,
    )


def _await_ready(role: Role, stop: Stop) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while role.ready and not stop():
        _require_alive(role)
        try:
            with urllib.request.urlopen(role.ready, timeout=2):  # noqa: S310  our own loopback address
                return
        except (urllib.error.URLError, OSError):
            if time.monotonic() > deadline:
                raise RunnerError(
                    f"the {role.name} did not answer at {role.ready} within {READY_WITHIN:.0f} s"
                ) from None
            time.sleep(LOOK_EVERY)


def _require_alive(role: Role) -> None:
    if role.exit_code is not None:
        raise RunnerError(f"the {role.name} ended by itself with exit code {role.exit_code}; its last words are above")


def _stop(roles: Sequence[Role]) -> None:
    """Ask all, wait for each, kill what is left of each one's session, down to its children's children."""
    for role in roles:
        _signal(role, signal.SIGTERM)
    deadline = time.monotonic() + STOP_WITHIN
    for role in roles:
        if role.process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                role.process.wait(max(0.0, deadline - time.monotonic()))
            _signal(role, signal.SIGKILL)
            role.process.wait()


def _signal(role: Role, number: signal.Signals) -> None:
    if role.process is not None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(role.process.pid, number)
