"""What of a suite is run, and on what: the options that measuring commands share."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from perfsvc.experiments import LOOKS
from perfsvc.model import Device


def _regex(text: str) -> str:
    try:
        re.compile(text.removeprefix("!"))
    except re.error as error:
        raise typer.BadParameter(f"{text!r} is not a regular expression: {error}") from None
    return text


def _look(pairs: int) -> int:
    if pairs not in LOOKS:
        raise typer.BadParameter(f"{pairs} is none of {', '.join(map(str, LOOKS))}, where the rule may look")
    return pairs


BenchOption = Annotated[
    str, typer.Option("--bench", "-b", callback=_regex, help="Regex over `name(params)`, as asv's.")
]
GridOption = Annotated[str, typer.Option("--grid", help="quick or full, where the project has grids.")]
DeviceOption = Annotated[Device, typer.Option("--device", help="What to measure on.")]
PairsOption = Annotated[
    int,
    typer.Option("--pairs", callback=_look, help=f"Rounds at most: {', '.join(map(str, LOOKS))}."),
]
