"""Commands about messages: do they arrive, and which did not."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from typing import Annotated

import typer

from perfsvc import notify, units
from perfsvc.cli.context import JsonOption, opened, settings
from perfsvc.cli.output import FAULT, Column, print_lines, print_rows
from perfsvc.errors import NotFound
from perfsvc.store import queries

notify_app = typer.Typer(help="Where alerts are told: try it, and see what did not arrive.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.add_typer(notify_app, name="notify")


@notify_app.command("test")
def try_targets(
    names: Annotated[list[str] | None, typer.Argument(metavar="[TARGET]...", help="Default: all of them.")] = None,
) -> None:
    """Send a message to every place that alerts go to, now. Exit 3 when one did not take it."""
    channels = {channel.name: channel for channel in notify.channels(settings())}
    if unknown := [name for name in names or () if name not in channels]:
        raise NotFound(f"there is no target {unknown[0]!r}; there are: {', '.join(channels)} (PERFSVC_TARGETS)")
    now = datetime.now(UTC)
    message = notify.Message(
        f"[perfsvc] a test from {socket.gethostname()}", "Somebody tried `perfsvc notify test`. Alerts arrive here."
    )
    failed = False
    for name in names or channels:
        try:
            channels[name].send(message, now)
        except Exception as error:  # whatever a channel raises, the others are tried
            failed = True
            print_lines([f"{name}: did not take it: {type(error).__name__}: {error}"])
        else:
            print_lines([f"{name}: took it"])
    if failed:
        raise typer.Exit(FAULT)


@notify_app.command("list")
def list_messages(as_json: JsonOption = False) -> None:
    """Messages that wait, have left, or were given up, newest first."""
    now = datetime.now(UTC)
    with opened(settings()) as store, store.reading() as tx:
        rows = queries.notifications(tx)
    columns = [
        Column("message", lambda n: n.id),
        Column("to", lambda n: n.channel),
        Column("written", lambda n: units.age(n.created_at, now)),
        Column("is", lambda n: "sent" if n.sent_at else "waiting" if n.next_at else "given up"),
        Column("tries", lambda n: n.tries),
        Column("error", lambda n: n.error),
        Column("title", lambda n: n.title),
    ]
    print_rows("messages", rows, columns, as_json=as_json, empty="nobody had to be told anything yet")
