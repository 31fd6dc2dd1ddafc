"""Commands that stay: up (everything on this machine), and one role each: api, scheduler, dashboard."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.text import Text

from perfsvc import doctoring, git, work
from perfsvc.cli import context, measuring
from perfsvc.cli.output import notes, print_lines
from perfsvc.errors import PerfsvcError, RunnerError
from perfsvc.model import Device, JobKind
from perfsvc.runner.locks import held
from perfsvc.settings import Settings
from perfsvc.store import Store, queries, writes

READY_WITHIN = 60.0  #: seconds a role may take until it answers
STOP_WITHIN = 20.0  #: seconds a role has to end what it does


def register(app: typer.Typer) -> None:
    for command in (up, api, scheduler, dashboard):
        app.command()(command)


def up(
    last: Annotated[int, typer.Option("--last", "-n", min=0, help="Measure so many of the newest commits first.")] = 3,
) -> None:
    """Everything on this machine: database, runner, a first measurement, then scheduler, API and dashboard.

    Ctrl-C stops it. Started twice, the second only tells where the first listens.
    """
    found = context.settings()
    folder = context.here()
    if folder is None:
        raise RunnerError(f"{Path.cwd()}: no asv.conf.json here or above: `perfsvc up` starts in a project's folder")
    running = found.home / "locks" / "up.lock"
    try:
        with held(running, wait=False, busy="perfsvc runs already"):
            _require_ports(found)
            _prepare(found, folder, last)
            _serve(found, folder)
    except RunnerError as error:
        if "perfsvc runs already" not in str(error):
            raise
        print_lines([f"perfsvc runs already: {found.dashboard_address}"])


def _require_ports(found: Settings) -> None:
    doctoring.require_free(found.host, found.api_port, "PERFSVC_API_PORT")
    doctoring.require_free(found.host, found.dashboard_port, "PERFSVC_DASHBOARD_PORT")


def _prepare(found: Settings, folder: Path, last: int) -> None:
    """Database, project, runner, the night's schedule, numbers to look at. A failed measurement is told, and no more."""
    store = Store.create(found.database)
    place = work.register_project(store, folder, found)
    runner_id, runner = work.register_runner(store, Device.CPU)
    with store.writing() as tx:
        night = found.night
        writes.jobs.keep_schedule(tx, place.id, "night", cron=night.cron, timezone=night.timezone, kind=JobKind.NIGHTLY)
    print_lines([f"project {place.name}, runner {runner}, {found.home}"])
    with store.reading() as tx:
        line = [c.hash for c in queries.commits(tx, place.id)]
        have = queries.measured_commits(tx, place.id, runner)
    wanted = [hash_ for hash_ in line[len(line) - min(last, len(line)) :][::-1] if hash_ not in have]
    if not wanted:
        return
    if git.is_dirty(folder):
        notes.print(Text("note: uncommitted changes are not measured"))
    print_lines([f"measuring the newest {len(wanted)} commits first; Ctrl-C goes on without"])
    try:
        measuring.tell(measuring.run_here(store, place, runner_id, runner, wanted))
    except KeyboardInterrupt:
        notes.print(Text("stopped measuring; the night will go on"))
    except PerfsvcError as error:
        notes.print(Text(f"could not measure: {error}"))
    store.close()


@dataclass(slots=True)
class _Role:
    name: str
    process: subprocess.Popen[bytes]
    ready: str  #: address that answers when it is up; "" = it has none


def _serve(found: Settings, folder: Path) -> None:
    """Start the roles, say where they listen, and wait: for Ctrl-C, or for one of them to end."""
    address = f"http://{found.host}:{found.api_port}"
    stop = _on_signals()
    roles = [
        _start("scheduler", [sys.executable, "-m", "perfsvc", "scheduler"], folder, ""),
        _start("API", [sys.executable, "-m", "perfsvc", "api"], folder, f"{address}/healthz"),
        _start(
            "dashboard",
            [sys.executable, "-m", "dashboard", "--host", found.host, "--port", str(found.dashboard_port)],
            folder,
            f"{found.dashboard_address}/_stcore/health",
        ),
    ]
    try:
        for role in roles:
            _await_ready(role, stop)
        if not stop():
            print_lines(
                [
                    f"dashboard  {found.dashboard_address}",
                    f"API        {address}/api/v1  ({address}/api/docs)",
                    f"alerts     {found.alert_log}",
                    "Ctrl-C stops it",
                ]
            )
        while not stop():
            ended = next((role for role in roles if role.process.poll() is not None), None)
            if ended is not None:
                raise RunnerError(f"the {ended.name} ended with exit code {ended.process.returncode}; see above")
            time.sleep(0.3)
    finally:
        _stop(roles)


def _on_signals() -> Callable[[], bool]:
    """True once somebody asked to stop: Ctrl-C, or a supervisor's SIGTERM."""
    asked: list[int] = []

    def remember(number: int, _: FrameType | None) -> None:
        asked.append(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, remember)
    return lambda: bool(asked)


def _start(name: str, command: list[str], folder: Path, ready: str) -> _Role:
    """In a session of its own, so that Ctrl-C reaches it through us alone, and in order."""
    process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, start_new_session=True)
    return _Role(name, process, ready)


def _await_ready(role: _Role, stop: Callable[[], bool]) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while role.ready and not stop():
        if role.process.poll() is not None:
            raise RunnerError(f"the {role.name} ended with exit code {role.process.returncode} at its start; see above")
        try:
            with urllib.request.urlopen(role.ready, timeout=2):  # noqa: S310  our own loopback address
                return
        except (urllib.error.URLError, OSError):
            if time.monotonic() > deadline:
                raise RunnerError(
                    f"the {role.name} did not answer at {role.ready} within {READY_WITHIN:.0f} s"
                ) from None
            time.sleep(0.1)


def _stop(roles: list[_Role]) -> None:
    for role in roles:
        if role.process.poll() is None:
            os.killpg(role.process.pid, signal.SIGTERM)
    for role in roles:
        try:
            role.process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            os.killpg(role.process.pid, signal.SIGKILL)
            role.process.wait()


def api() -> None:
    """The HTTP API alone."""
    import uvicorn

    from perfsvc.api import build

    found = context.settings()
    doctoring.require_free(found.host, found.api_port, "PERFSVC_API_PORT")
    store = context.open_store(found)
    uvicorn.run(build(store, found), host=found.host, port=found.api_port, log_level="warning", access_log=False)


def scheduler() -> None:
    """The clock and this machine's runners alone. Of several that are started, one is active."""
    from perfsvc.schedule import Clock

    found = context.settings()
    store = context.open_store(found)
    with held(found.home / "locks" / "scheduler.lock", wait=False, busy="a scheduler is active already"):
        _, runner = work.register_runner(store, Device.CPU)
        clock = Clock(store, found, [runner])
        stop = _on_signals()
        clock.start()
        while not stop():
            time.sleep(0.3)
        clock.stop()


def dashboard() -> None:
    """The pages alone."""
    found = context.settings()
    doctoring.require_free(found.host, found.dashboard_port, "PERFSVC_DASHBOARD_PORT")
    command = [sys.executable, "-m", "dashboard", "--host", found.host, "--port", str(found.dashboard_port)]
    os.execv(sys.executable, command)  # noqa: S606  an argument list, no shell: this process becomes the server
