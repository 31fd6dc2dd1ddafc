"""What is installed to measure in: one virtual environment per lock, built once, kept under PERFSVC_HOME.

The lock is what was ordered: the Python and the requirements. pip is the user's own, with the user's configuration, so
that "torch==2.13.0" becomes the CPU, the CUDA or the MPS build that belongs on this machine.
"""

from __future__ import annotations

import json
import platform
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perfsvc.errors import RunnerError
from perfsvc.model import content_hash
from perfsvc.runner import processes
from perfsvc.runner.locks import held
from perfsvc.runner.variables import installer_variables
from perfsvc.settings import Settings

#: asv puts these into every environment it builds, the first of them unpinned, and a new one times differently.
ENGINE = ("asv_runner==0.3.2", "pympler==1.1")
COMPLETE = "complete.json"  #: written last: a folder without it is half-built and is built anew
INSTALL_TIMEOUT = 3600.0


@dataclass(frozen=True, slots=True)
class Lock:
    """What was ordered. Equal locks share one environment."""

    python: str
    requirements: tuple[str, ...]

    @property
    def digest(self) -> str:
        return content_hash(self.python.encode(), *(line.encode() for line in self.requirements))[:16]

    @property
    def name(self) -> str:
        """What asv calls the environment, in file names too."""
        return f"perfsvc-{self.digest}"

    def told(self) -> dict[str, Any]:
        return {"python": self.python, "requirements": list(self.requirements)}


AS_FOUND = Lock("as found", ())  #: somebody else's environment, measured in as it is


def ordered(settings: Settings, conf: Mapping[str, Any]) -> Lock:
    """The lock of a project: perfsvc.toml's requirements or else asv.conf.json's, and what asv and the guards need."""
    chosen = tuple(settings.environment.requirements) or matrix_requirements(conf)
    needs_pytest = "pytest" in settings.guards.command and not any(line.startswith("pytest") for line in chosen)
    python = f"{platform.python_implementation()} {platform.python_version()} {platform.machine()}"
    return Lock(python, (*ENGINE, *chosen, *(("pytest",) if needs_pytest else ())))


def matrix_requirements(conf: Mapping[str, Any]) -> tuple[str, ...]:
    """The requirements of asv.conf.json's matrix, as asv reads them: a bare version, "" for any, null for none."""
    matrix = conf.get("matrix") or {}
    table = matrix.get("req", {} if {"env", "env_nobuild"} & set(matrix) else matrix)
    lines = []
    for name, values in table.items():
        first = values[0] if isinstance(values, list) and values else values
        package = name.removeprefix("pip+")
        if first is not None and package not in ("asv_runner", "pympler", "build"):
            lines.append(f"{package}=={first}" if first else package)
    return tuple(lines)


def ready(
    home: Path,
    lock: Lock,
    *,
    leash: str,
    cancelled: processes.Cancelled = lambda: False,
    each_line: processes.LineSink = lambda _: None,
) -> Path:
    """The python of the lock's environment, built now if it is not there.

    Cost: with torch some 30 s from a warm package cache, 900 MB of disk.
    Raises: RunnerError with pip's last lines, Interrupted.
    """
    folder = home / "environments" / lock.digest
    with held(folder.with_name(f"{lock.digest}.lock"), wait=True):
        if not (folder / COMPLETE).is_file():
            if folder.exists():
                shutil.rmtree(folder)
            _build(folder, lock, leash=leash, cancelled=cancelled, each_line=each_line)
    return folder / "bin" / "python"


def _build(
    folder: Path, lock: Lock, *, leash: str, cancelled: processes.Cancelled, each_line: processes.LineSink
) -> None:
    """In its final place, since a virtual environment's scripts hold its path; COMPLETE is what makes it one."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    python = str(folder / "bin" / "python")
    steps = (
        [sys.executable, "-m", "venv", str(folder)],
        [python, "-m", "pip", "install", "--progress-bar", "off", *lock.requirements],
    )
    for command in steps:
        ended = processes.run(
            command,
            cwd=folder.parent,
            environment=installer_variables(),
            timeout=INSTALL_TIMEOUT,
            leash=leash,
            cancelled=cancelled,
            each_line=each_line,
        )
        if ended.returncode != 0:
            wanted = " ".join(lock.requirements)
            raise RunnerError(f"{folder.name}: cannot install {wanted}:\n{ended.last_words}")
    (folder / COMPLETE).write_text(json.dumps(lock.told(), indent=1), encoding="utf-8")
