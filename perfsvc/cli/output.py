"""Print rows: a table for people, JSON for programs. Text from measured repositories stays text: no markup."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from perfsvc.store.rows import AlertRow, to_json

#: Grows when a field changes its meaning or goes; new fields come without it.
JSON_VERSION = 1

console = Console(highlight=False, soft_wrap=False)
notes = Console(stderr=True, highlight=False)

Column = tuple[str, Callable[[Any], Any]]


def print_json(kind: str, content: Any) -> None:
    """`{"perfsvc": 1, "alerts": [...]}`."""
    typer.echo(
        json.dumps({"perfsvc": JSON_VERSION, kind: to_json(content)}, indent=2, ensure_ascii=False, allow_nan=False)
    )


def print_rows(kind: str, rows: Sequence[Any], columns: Sequence[Column], *, as_json: bool, empty: str) -> None:
    """A table with a line a row; `empty` says what it means that there is none, and what to do."""
    if as_json:
        print_json(kind, rows)
    elif not rows:
        notes.print(Text(empty))
    else:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for title, _ in columns:
            table.add_column(title, overflow="fold")
        for row in rows:
            table.add_row(*(Text(plain(take(row))) for _, take in columns))
        console.print(table)


def plain(value: Any) -> str:
    """One line without control characters, whoever wrote it."""
    text = "" if value is None else str(value)
    return "".join(c if c.isprintable() else " " for c in text)


def print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        console.print(Text(plain(line)))


def tell_alerts(opened: Sequence[AlertRow]) -> None:
    """A line for each alert that was opened just now."""
    print_lines(f"ALERT {row.id} {row.kind.value}: {row.title}   (perfsvc show {row.id})" for row in opened)
