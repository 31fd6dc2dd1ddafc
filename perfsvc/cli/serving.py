"""Commands that stay: up (everything on this machine), and one role each: api, scheduler, dashboard."""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from perfsvc import doctoring, schedule, work
from perfsvc.cli import measuring, roles
from perfsvc.cli.context import opened, project_here, settings
from perfsvc.cli.output import note, print_lines
from perfsvc.cli.stopping import Stop, listening
from perfsvc.errors import NotFound, PerfsvcError, RunnerError
from perfsvc.model import Device, JobKind, JobState
from perfsvc.runner.locks import held
from perfsvc.settings import Settings
from perfsvc.store import queries, writes

#: How often a role looks whether it is to stop.
LOOK_EVERY = 0.2


def register(app: typer.Typer) -> None:
    for command in (up, api, scheduler, dashboard):
        app.command()(command)


def up(
    last: Annotated[int, typer.Option("--last", "-n", min=0, help="Measure so many of the newest commits first.")] = 2,
) -> None:
    """Everything on this machine: database, runner, a first measurement, then scheduler, API and dashboard.

    Ctrl-C stops it; during the first measurement it goes on to serving. Started twice, the second only tells where the
    first listens; in another project's folder it adds that project to it.
    """
    folder, found = project_here(), settings()
    with listening() as stop, ExitStack() as stack:
        try:
            stack.enter_context(held(found.home / "locks" / "up.lock", wait=False))
        except RunnerError:
            if not _is_known(found, folder):
                _prepare(found, folder, last, stop)
            print_lines([f"perfsvc runs already: {found.dashboard_address}"])
            return
        _require_ports(found)
        _prepare(found, folder, last, stop)
        if stop.terminated:
            return
        stop.forget()
        roles.serve(roles.of(found, folder), _addresses(found), stop)


def _is_known(found: Settings, folder: Path) -> bool:
    """Does the service that runs watch this folder's project? One that is only just making its database does."""
    try:
        with opened(found) as store, store.reading() as tx:
            return any(row.repository == str(folder) for row in queries.projects(tx))
    except NotFound:
        return True


def _require_ports(found: Settings) -> None:
    doctoring.require_free(found.host, found.api_port, "PERFSVC_API_PORT")
    doctoring.require_free(found.host, found.dashboard_port, "PERFSVC_DASHBOARD_PORT")


def _addresses(found: Settings) -> list[str]:
    api_address = f"http://{found.host}:{found.api_port}/api"
    return [
        f"dashboard  {found.dashboard_address}",
        f"API        {api_address}/v1  ({api_address}/docs)",
        f"alerts     {found.alert_log}",
        "Ctrl-C stops it",
    ]


def _prepare(found: Settings, folder: Path, last: int, stop: Stop) -> None:
    """Database, project, runner, the night's schedule, and numbers to look at."""
    night = found.night
    schedule.trigger(night.cron, night.timezone)  # a night that can never be is told now, not at 03:30
    with opened(found, create=True) as store:
        place = work.register_project(store, folder, found)
        runner_id, runner = work.register_runner(store, Device.CPU)
        with store.writing() as tx:
            writes.jobs.keep_schedule(
                tx, place.id, "night", cron=night.cron, timezone=night.timezone, kind=JobKind.NIGHTLY
            )
        print_lines([f"project {place.name}, runner {runner}, {found.home}"])
        wanted = measuring.lacking(store, place, runner, work.newest(place, last))
        if not wanted:
            return
        measuring.warn_dirty(place)
        chosen = work.Selection(bench=found.measure.first)
        print_lines([f"measuring the newest commits first ({len(wanted)}); Ctrl-C goes on without"])
        try:
            done = measuring.run_here(store, place, runner_id, runner, wanted, chosen, stop)
        except PerfsvcError as error:  # told, and no more: there are pages to look at without it
            note(f"could not measure: {error}")
            return
        measuring.tell(done)
        if done.state is JobState.CANCELLED and not stop.terminated:
            note("stopped measuring; the night goes on with what is missing")


def api() -> None:
    """The HTTP API alone."""
    os.execv(sys.executable, roles.API)  # noqa: S606  an argument list, no shell: this process becomes the server


def scheduler() -> None:
    """The clock and this machine's runners alone. Of several that are started, one is active."""
    found = settings()
    lock = found.home / "locks" / "scheduler.lock"
    with opened(found) as store, held(lock, wait=False, busy="a scheduler is active already"), listening() as stop:
        work.register_runner(store, Device.CPU)
        clock = schedule.Clock(store, found, work.local_runners(store))
        clock.start()
        try:
            while not stop():
                time.sleep(LOOK_EVERY)
        finally:
            clock.stop()


def dashboard() -> None:
    """The pages alone."""
    found = settings()
    doctoring.require_free(found.host, found.dashboard_port, "PERFSVC_DASHBOARD_PORT")
    command = roles.dashboard_command(found)
    os.execve(sys.executable, command, {**os.environ, **roles.SAFE_PATH})  # noqa: S606  an argument list, no shell
