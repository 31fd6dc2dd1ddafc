"""Real git, real asv, real SQLite: the command line as people type it, in a home of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Shell:
    """`perfsvc` in a folder."""

    folder: Path
    home: Path
    settings: dict[str, str]

    def __call__(self, *arguments: str, wanted: tuple[int, ...] = (0,), timeout: float = 280) -> str:
        ran = subprocess.run(
            [sys.executable, "-P", "-m", "perfsvc", *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert ran.returncode in wanted, f"exit {ran.returncode}\n{ran.stdout}\n{ran.stderr}"
        return ran.stdout

    def rows(self, command: str, *arguments: str) -> list[dict[str, Any]]:
        """What a reading command prints for programs."""
        told = json.loads(self(command, *arguments, "--json", wanted=(0, 1)))
        assert told["perfsvc"] == 1
        rows: list[dict[str, Any]] = told[command]
        return rows

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PERFSVC_")}
        return {
            **kept,
            "PERFSVC_HOME": str(self.home),
            "PERFSVC_ENVIRONMENT__PYTHON": sys.executable,  # torch is here already: no second environment is built
            "PERFSVC_MEASURE__ROUNDS": "1",
            **self.settings,
        }


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Shell]:
    home = tmp_path_factory.mktemp("home")
    return lambda folder, **settings: Shell(folder, home, settings)
