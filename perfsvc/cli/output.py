"""Print rows: a table for people, JSON for programs. Text from measured repositories stays text: no markup.

Nothing is cut or wrapped: a label stands on one line whole, and the column of free length comes last.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

import typer
from rich.cells import cell_len
from rich.console import Console

from perfsvc.rows import AlertRow, to_json

#: Grows when a field changes its meaning or goes; new fields come without it.
JSON_VERSION = 1

#: Exit codes. What people can mend carries its own: 2, or 3 where a measurement could not be made.
FOUND, MISUSED, FAULT, INTERRUPTED = 1, 2, 3, 130

GAP = "  "
ALERTS_SHOWN = 10

#: Where progress is drawn.
notes = Console(stderr=True, highlight=False)


@dataclass(frozen=True, slots=True)
class Column:
    """`once`: said above the table instead, where every row has the same. A column of empty cells is left out."""

    title: str
    take: Callable[[Any], Any]
    once: bool = False


def open_streams() -> None:
    """Print whatever was measured on whatever terminal there is: what its encoding lacks is escaped, not a fault."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def print_json(kind: str, content: Any) -> None:
    """`{"perfsvc": 1, "alerts": [...]}`."""
    document = {"perfsvc": JSON_VERSION, kind: to_json(content)}
    _write(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False), sys.stdout)


def print_rows(kind: str, rows: Sequence[Any], columns: Sequence[Column], *, as_json: bool, empty: str) -> None:
    """A table with a line a row; `empty` says what it means that there is none, and what to do."""
    if as_json:
        print_json(kind, rows)
    elif not rows:
        note(empty)
    else:
        said, head, *body = table(rows, columns)
        if said:
            print_lines([said])
        _write(typer.style(head, bold=True) if sys.stdout.isatty() else head, sys.stdout)
        print_lines(body)


def table(rows: Sequence[Any], columns: Sequence[Column]) -> Iterator[str]:
    """What all rows share ("" = nothing), the titles, then a line a row."""
    cells = [[plain(column.take(row)) for row in rows] for column in columns]
    pairs = [(column, column_cells) for column, column_cells in zip(columns, cells, strict=True) if any(column_cells)]
    shared = [(column, texts[0]) for column, texts in pairs if column.once and len(set(texts)) == 1]
    shown = [(column.title, texts) for column, texts in pairs if (column, texts[0]) not in shared]
    yield ", ".join(f"{column.title} {text}" for column, text in shared)
    widths = [max(cell_len(text) for text in (title, *texts)) for title, texts in shown]
    for line in zip(*((title, *texts) for title, texts in shown), strict=True):
        padded = (text + " " * (width - cell_len(text)) for text, width in zip(line, widths, strict=True))
        yield GAP.join(padded).rstrip()


def plain(value: Any) -> str:
    """One line without control characters, whoever wrote it."""
    text = "" if value is None else str(value)
    return "".join(c if c.isprintable() else " " for c in text)


def print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        _write(plain(line), sys.stdout)


def note(text: str) -> None:
    """A line beside the result, for people: on stderr, so that it is in nobody's pipe."""
    _write(plain(text), sys.stderr)


def problem(text: str) -> None:
    """What went wrong, in one line; the last words of a program that failed stand below it, indented."""
    first, *more = text.splitlines() or [""]
    for line in (f"perfsvc: {first}", *(f"    {line}" for line in more)):
        note(line)


def tell_alerts(opened: Sequence[AlertRow]) -> None:
    """A line for each alert that was opened just now, up to what one reads."""
    shown = opened[:ALERTS_SHOWN]
    print_lines(f"ALERT {row.id} {row.kind.value}: {row.title}   (perfsvc show {row.id})" for row in shown)
    if len(opened) > len(shown):
        print_lines([f"and {len(opened) - len(shown)} more: perfsvc alerts"])


def _write(line: str, stream: TextIO) -> None:
    """At once, also into a pipe. A reader who has gone (`| head`) is no fault: the rest goes nowhere."""
    try:
        typer.echo(line, file=stream)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
