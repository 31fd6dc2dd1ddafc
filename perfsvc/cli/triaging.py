"""Commands that decide: acknowledge, accept, dismiss, reopen an alert; exclude a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from perfsvc import triage
from perfsvc.cli.context import open_store, settings, user
from perfsvc.cli.output import print_lines
from perfsvc.store.rows import AlertRow

Alert = Annotated[int, typer.Argument(help="The alert's number, as `perfsvc alerts` shows it.")]
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


def exclude(run: Annotated[int, typer.Argument(help="The run's number.")], reason: Reason = "", by: By = "") -> None:
    """Leave a run out of every series, as when the machine was busy. Needs a reason; `perfsvc process` judges anew."""
    store = open_store(settings())
    triage.exclude(store, run, actor=by or user(), reason=reason)
    print_lines([f"run {run} is excluded; `perfsvc process` judges its series anew"])


def _do(step: Callable[..., Any], alert: int, reason: str, by: str) -> None:
    row: AlertRow = step(open_store(settings()), alert, actor=by or user(), reason=reason)
    print_lines([f"alert {row.id} is {row.state.value}: {row.title}"])
