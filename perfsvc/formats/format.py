"""What a format is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from perfsvc.formats.cases import RunIdentity
from perfsvc.model import Complaint, RunReport

Known = Callable[[str], bool]
Reports = Iterator[RunReport | Complaint]


@dataclass(frozen=True, slots=True)
class Format:
    """A way in which results are written: how to recognise it, and how to read it."""

    name: str
    holds: str  #: for messages: what such a path is
    recognise: Callable[[Path], bool]
    read: Callable[[Path, Known, RunIdentity], Reports]
    foreign: bool = False  #: its machines and benchmarks are named by others: perfsvc.toml has a say
    one_file: bool = False  #: a file of it is a run, and may have to be told which
