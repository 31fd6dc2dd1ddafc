"""A program that stays and is asked: a line of JSON in, a line of JSON out, on the same leash as all others."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from perfsvc.runner import processes

LOOK_EVERY = 0.2  #: seconds between two looks at whether somebody wants us to stop


class Served:
    """Ask with `send`, then `receive`. What the program prints beside its answers goes to the file `printed`.

    Leaving the `with` ends the program and all that it started.
    """

    def __init__(
        self, command: Sequence[str], *, cwd: Path, environment: Mapping[str, str], leash: str, printed: Path
    ) -> None:
        self.name = Path(command[0]).name
        self.printed = printed
        self._seen = printed.stat().st_size if printed.exists() else 0
        self._waiting = b""
        with printed.open("ab") as errors:
            self._process = processes.start(
                command,
                cwd=cwd,
                environment={**environment, processes.LEASH: leash},
                stdin=subprocess.PIPE,
                stderr=errors,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        processes.end(self._process)
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):  # what was not read any more is nobody's
                if pipe:
                    pipe.close()

    def send(self, told: Mapping[str, Any]) -> None:
        """Ask. A program that is gone is told by `receive`."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(told) + "\n")
            self._process.stdin.flush()

    def receive(self, *, timeout: float, cancelled: processes.Cancelled) -> dict[str, Any] | None:
        """The answer, or None when the program ended instead. Raises: TimedOut, Interrupted."""
        assert self._process.stdout is not None
        source = self._process.stdout.fileno()
        deadline = time.monotonic() + timeout
        while b"\n" not in self._waiting:
            if cancelled():
                raise processes.Interrupted(f"{self.name}: cancelled")
            if time.monotonic() > deadline:
                raise processes.TimedOut(f"{self.name}: no answer within {timeout:.0f} s", self.said().splitlines())
            if select.select([source], [], [], LOOK_EVERY)[0]:
                more = os.read(source, 1 << 16)
                if not more:
                    return None
                self._waiting += more
        line, _, self._waiting = self._waiting.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def said(self) -> str:
        """What was printed since this was last asked."""
        with self.printed.open("rb") as file:
            file.seek(self._seen)
            text = file.read()
        self._seen += len(text)
        return text.decode("utf-8", "replace").strip()
