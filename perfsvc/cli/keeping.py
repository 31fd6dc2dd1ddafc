"""Commands that look after the store: backup, restore, prune."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from perfsvc import units
from perfsvc.cli import context
from perfsvc.cli.output import print_lines
from perfsvc.store import copying, writes

#: A century: what is older than that was never measured.
MOST_DAYS = 36_500


def register(app: typer.Typer) -> None:
    for command in (backup, restore, prune):
        app.command()(command)


def backup(path: Annotated[Path, typer.Argument(help="The file to make.")]) -> None:
    """Write everything that is stored into one SQLite file, from either database, while the service runs."""
    with context.opened(context.settings()) as store:
        rows = copying.backup(store, path)
    print_lines([f"{path}: {units.count(rows, 'row')}, {units.value(path.stat().st_size, 'bytes')}"])


def restore(path: Annotated[Path, typer.Argument(help="What `perfsvc backup` wrote.")]) -> None:
    """Bring a backup into an empty database, SQLite or PostgreSQL (PERFSVC_DATABASE_URL): also the way from one to the
    other."""
    with context.opened(context.settings(), create=True) as store:
        rows = copying.restore(path, store)
    print_lines([f"{units.count(rows, 'row')} restored from {path}"])


def prune(
    days: Annotated[int, typer.Option("--older-than", min=0, max=MOST_DAYS, help="Days since they were stored.")] = 90,
) -> None:
    """Drop raw samples and sent messages that are old. Points, changes and alerts stay."""
    before = datetime.now(UTC) - timedelta(days=days)
    with context.opened(context.settings()) as store:
        with store.writing() as tx:
            runs, size = writes.retention.drop_samples(tx, before=before)
            messages = writes.retention.drop_messages(tx, before=before)
        store.compact()
    print_lines(
        [
            f"dropped the samples of {units.count(runs, 'run')} ({units.value(size, 'bytes')})"
            f" and {units.count(messages, 'sent message')}"
        ]
    )
