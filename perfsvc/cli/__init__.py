"""The command line. It builds settings and store once, calls the service, and prints; it decides nothing."""

from __future__ import annotations

import sys

import structlog
import typer
from sqlalchemy.exc import DBAPIError

from perfsvc.cli import ingesting, measuring, reading, serving, triaging
from perfsvc.errors import PerfsvcError

app = typer.Typer(
    name="perfsvc",
    help="Follow the speed and the correctness of a library over its commits and devices. Begin with `perfsvc up`.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for room in (serving, measuring, ingesting, reading, triaging):
    room.register(app)


def run() -> None:
    """Errors that people can mend are one line on stderr; a fault keeps its trace."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        app()
    except PerfsvcError as error:
        typer.echo(f"perfsvc: {error}", err=True)
        sys.exit(error.exit_code)
    except DBAPIError as error:
        typer.echo(f"perfsvc: the database refused: {error.orig}", err=True)
        sys.exit(3)
    except BrokenPipeError:
        sys.exit(0)
