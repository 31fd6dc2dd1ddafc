"""Run the correctness guards of the suite revision against the measured commit's package.

The command is the project's (perfsvc.toml, [guards] command). Words in it that are replaced:
    {python}   the environment's python; a leading "python" or "python3" means the same
    {junit}    the file to write the JUnit XML to          {device}   cpu, mps or cuda
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.parsers import expat

from perfsvc.errors import RunnerError
from perfsvc.model import Device
from perfsvc.runner import processes, trees
from perfsvc.runner.asv_results import Message

PLACE = "guards"
ENDED_WELL = (0, 1)  #: pytest's: all passed, some failed


@dataclass(frozen=True, slots=True)
class Order:
    """What to run, and where. `suite` is the folder of perfsvc.toml in the suite revision's tree."""

    command: Sequence[str]
    suite: Path
    tree: Path  #: the commit's
    scratch: Path
    bundle: Path
    python: Path
    device: Device
    variables: Mapping[str, str]
    timeout: float
    leash: str


def run(order: Order, *, cancelled: processes.Cancelled, log: processes.LineSink) -> tuple[Message, ...]:
    """Leave guards.xml in the bundle, or say why there is none. Failed tests are results, not reasons.

    Raises: Interrupted.
    """
    junit = order.scratch / "guards.xml"
    try:
        ended = processes.run(
            filled(order.command, python=order.python, junit=junit, device=order.device),
            cwd=order.suite,
            environment=environment(order),
            timeout=order.timeout,
            leash=order.leash,
            cancelled=cancelled,
            each_line=log,
        )
    except processes.Interrupted:
        raise
    except RunnerError as error:
        return (Message(PLACE, str(error)),)
    reason = unreadable(junit)
    if reason is None:
        shutil.move(junit, order.bundle / "guards.xml")
        if ended.returncode in ENDED_WELL:
            return ()
    why = reason or "some of the guards did not run"
    return (Message(PLACE, f"exit code {ended.returncode}, {why}. Last:\n{ended.last_words}"),)


def filled(command: Sequence[str], *, python: Path, junit: Path, device: Device) -> list[str]:
    words = {"{python}": str(python), "{junit}": str(junit), "{device}": str(device)}
    told = []
    for part in command:
        for word, value in words.items():
            part = part.replace(word, value)
        told.append(part)
    return [str(python), *told[1:]] if told[0] in ("python", "python3") else told


def environment(order: Order) -> dict[str, str]:
    """The commit's tree first. Safe path: `python -m pytest` would put the folder it stands in before everything."""
    return {
        **order.variables,
        "PYTHONPATH": trees.search_path(order.tree),
        "PYTHONSAFEPATH": "1",
    }


def own_folders(command: Sequence[str], suite: Path) -> set[str]:
    """First parts of the paths that the command names in the suite's tree: the folders that the guards live in."""
    parts = {Path(word.partition("::")[0]).parts[0] for word in command[1:] if word and not word.startswith("-")}
    return {part for part in parts if (suite / part).exists()}


def unreadable(junit: Path) -> str | None:
    """Why the file is no guard result; None when it is one."""
    if not junit.is_file():
        return "no JUnit XML was written"
    names: set[str] = set()
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda name, _: names.add(name)
    try:
        parser.Parse(junit.read_bytes(), True)
    except expat.ExpatError as error:
        return f"the JUnit XML is broken ({error})"
    return None if "testcase" in names else "the JUnit XML holds no test"
