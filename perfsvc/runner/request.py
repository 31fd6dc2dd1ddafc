"""What is wanted of a measurement, and what all its commits have in common once that has been looked up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perfsvc.model import Device, Environment
from perfsvc.runner import asv_conf, machine
from perfsvc.settings import Settings


@dataclass(frozen=True, slots=True)
class Request:
    """What is wanted. Everything but `folder` and `settings` has a sensible default."""

    folder: Path  #: of the project: where its asv.conf.json lies, in a git repository
    settings: Settings
    device: Device = Device.CPU
    runner: str = ""  #: default: the host's name and the device
    suite: str = "HEAD"  #: revision whose benchmarks and guards are run against every commit
    bench: str = ""  #: regex over `name(params)`; "" = all
    grid: str = "quick"
    guards: bool = True
    rounds: int = 0  #: 0: as in perfsvc.toml
    python: Path | None = None  #: measure in this environment as it is, instead of one built for the project's lock
    job: int | None = None
    attempt: int | None = None

    @property
    def name(self) -> str:
        return self.runner or machine.default_name(self.device)

    @property
    def guard_command(self) -> tuple[str, ...]:
        return tuple(self.settings.guards.command) if self.guards else ()

    @property
    def all_rounds(self) -> int:
        return self.rounds or self.settings.measure.rounds

    @property
    def launch_method(self) -> str:
        return asv_conf.launch_method(self.settings.measure.launch_method, self.device)


@dataclass(frozen=True, slots=True)
class Prepared:
    """The request with its suite checked out and its environment at hand."""

    request: Request
    project: str  #: its name in the service
    conf: Mapping[str, Any]  #: asv.conf.json of the suite revision
    suite: Path  #: the project's folder in the suite revision's tree
    benchmarks: Path
    suite_revision: str
    python: Path
    environment: Environment
    env_name: str  #: of the lock: the same on every machine
    variables: Mapping[str, str]
    names: frozenset[str]  #: packages of the repository that the suite imports
    warnings: tuple[str, ...]  #: of the pre-flight
