"""What one asv call left behind: which benchmarks have values, which to run again, and what the others said.

The numbers themselves are read by formats/, from the files in the bundle.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perfsvc.errors import RunnerError
from perfsvc.model import label

#: Of what a failed benchmark printed, this much is kept: the end, where the reason stands.
MESSAGE_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class Message:
    """What was said beside the numbers: place is a benchmark with its parameters, "guards", or "pre-flight"."""

    place: str
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


@dataclass(frozen=True, slots=True)
class Round:
    """One asv call."""

    path: Path  #: asv's result file
    measured: frozenset[str]  #: benchmarks with at least one value
    failed: frozenset[str]  #: benchmarks with at least one failure, and none
    messages: tuple[Message, ...]


def read_round(results: Path, machine: str, printed: Path) -> Round | None:
    """None when asv ended without a result file: discovery or the machine failed, and what it printed says why."""
    files = [path for path in (results / machine).glob("*.json") if path.name != "machine.json"]
    if not files:
        return None
    (path,) = files
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        rows = {name: row[0] if row else None for name, row in told["results"].items()}
    except (ValueError, KeyError, TypeError) as error:
        raise RunnerError(f"{path}: is no result file of asv: {error}") from None
    said = _said(printed)
    measured = frozenset(name for name, values in rows.items() if any(_is_value(v) for v in values or ()))
    failed = frozenset(name for name, entry in said.items() if entry["exit_code"] and name not in measured)
    messages = (message for name, entry in sorted(said.items()) for message in _messages(name, entry))
    return Round(path, measured, failed, tuple(messages))


def repeatable(benchmarks: Path, measured: frozenset[str]) -> list[str]:
    """Benchmarks that another round tells something new about: not the exact ones, not those without a value."""
    told: Mapping[str, Any] = json.loads(benchmarks.read_text(encoding="utf-8"))
    return sorted(name for name in measured if not told.get(name, {}).get("exact"))


def selection(names: list[str], bench: str) -> str:
    """A regex for asv's --bench that takes exactly `names`, and of them what `bench` takes.

    asv searches it in `name(param, param)`; the person's own expression keeps its meaning in the look-ahead.
    """
    chosen = "|".join(re.escape(name) for name in names)
    return rf"^(?={'.*?' if bench else ''}(?:{bench}))(?:{chosen})(?:\(|$)"


def check_regex(bench: str) -> str:
    try:
        re.compile(selection(["x"], bench))
    except re.error as error:
        raise RunnerError(f"--bench {bench}: not a regular expression that can be searched for: {error}") from None
    return bench


def _said(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _messages(name: str, entry: Mapping[str, Any]) -> list[Message]:
    """asv glues the parameter sets of a benchmark together; each part begins with the set it belongs to."""
    parts = re.split(r"^For parameters: (.*)$", entry["printed"] or "", flags=re.MULTILINE)
    pairs = [("", parts[0]), *zip(parts[1::2], parts[2::2], strict=True)]
    found = []
    for params, text in pairs:
        text = text.strip()
        if text and (entry["exit_code"] or "asv: skipped" in text):
            place = label(name, tuple(params.split(", "))) if params else name
            found.append(Message(place, text[-MESSAGE_CHARACTERS:]))
    if entry["exit_code"] and not found:
        found.append(Message(name, f"exit code {entry['exit_code']}, and it printed nothing"))
    return found


def _is_value(value: object) -> bool:
    return value is not None and not (isinstance(value, float) and math.isnan(value))
