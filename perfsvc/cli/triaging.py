"""Commands that decide: acknowledge, accept, dismiss, reopen an alert; exclude a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from perfsvc import triage
from perfsvc.cli.context import LARGEST_ID, opened, settings, user
from perfsvc.cli.output import print_lines
from perfsvc.rows import AlertRow

Alert = Annotated[int, typer.Argument(min=1, max=LARGEST_ID, help="The alert's number, as `perfsvc alerts` shows it.")]
Run = Annotated[int, typer.Argument(min=1, max=LARGEST_ID, help="The run's number, as `perfsvc runs` shows it.")]
Reason = Annotated[str, typer.Option("--reason", "-r", help="Why; the next one who looks will want to know.")]
By = Annotated[str, typer.Option("--by", help="Who does it; default: the local user.")]


def register(app: typer.Typer) -> None:
    for command in (acknowledge, accept, dismiss, reopen, exclude):
        app.command()(command)


def acknowledge(alert: Alert, reason: Reason = "", by: By = "") -> None:
    """Say that you look at it."""
    _do(triage.acknowledge, alert, reason, by)


def accept(alert: Alert, reason: Reason = "", by: By = "") -> None:
    """It is real and meant: the new level is the level from now on. Needs a reason."""
    _do(triage.accept, alert, reason, by)


def dismiss(alert: Alert, reason: Reason = "", by: By = "") -> None:
    """It is not real, or nobody's business. Needs a reason."""
    _do(triage.dismiss, alert, reason, by)


def reopen(alert: Alert, reason: Reason = "", by: By = "") -> None:
    """It asks for somebody after all."""
    _do(triage.reopen, alert, reason, by)


def exclude(run: Run, reason: Reason = "", by: By = "") -> None:
    """Leave a run out of every series, as when the machine was busy. Needs a reason; `perfsvc process` judges anew."""
    with opened(settings()) as store:
        triage.exclude(store, run, actor=by or user(), reason=reason)
    print_lines([f"run {run} is excluded; next: `perfsvc process` judges its series anew"])


def _do(step: Callable[..., Any], alert: int, reason: str, by: str) -> None:
    with opened(settings()) as store:
        row: AlertRow = step(store, alert, actor=by or user(), reason=reason)
    print_lines([f"alert {row.id} is {row.state.value}: {row.title}"])
