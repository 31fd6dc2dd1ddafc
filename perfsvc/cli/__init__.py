"""The command line. It builds settings and store once, calls the service, and prints; it decides nothing.

Exit codes: 0 good, 1 regressions or failed guards are there, 2 usage or bad input, 3 a fault, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import structlog
import typer
from rich.console import Console
from sqlalchemy.exc import DBAPIError

from perfsvc.cli import admitting, comparing, ingesting, keeping, measuring, reading, serving, telling, triaging
from perfsvc.cli.output import FAULT, open_streams, problem
from perfsvc.errors import PerfsvcError

app = typer.Typer(
    name="perfsvc",
    help="Follow the speed and the correctness of a library over its commits and devices. Begin with `perfsvc up`.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    add_completion=False,
)
for room in (serving, measuring, comparing, ingesting, reading, triaging, admitting, keeping, telling):
    room.register(app)


def run(arguments: Sequence[str] | None = None) -> None:
    """Errors that people can mend are one line on stderr; a fault keeps its trace. Ends in SystemExit, always."""
    open_streams()
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
    try:
        app(arguments, prog_name="perfsvc")
    except PerfsvcError as error:
        problem(str(error))
        sys.exit(error.exit_code)
    except DBAPIError as error:
        problem(f"the database refused: {error.orig}")
    except Exception:  # a fault is never exit code 1, which says that regressions were found
        Console(stderr=True).print_exception(suppress=[typer])
        problem("this is a fault of perfsvc itself; what is stored is whole. The trace above says where")
    sys.exit(FAULT)
