"""A side's process in one round: it imports, then runs one case after another; begun anew when a case ends it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

from perfsvc.runner import processes
from perfsvc.runner.asv_results import MESSAGE_CHARACTERS
from perfsvc.runner.served import Served

DOOR = Path(__file__).with_name("side_main.py")
IMPORT_TIMEOUT = 300.0  #: torch from a cold disk takes a minute
GRACE = 10.0  #: a case ends itself at its timeout; past this nobody waits for its last words


@dataclass(frozen=True, slots=True)
class Answer:
    """What one case came to: a value, or why there is none. `skipped`: the commit lacks it, which is no failure."""

    value: float | None
    reason: str = ""
    skipped: bool = False


class Measures(Protocol):
    """What a round asks of a side, whoever runs its cases: first what there is, or else to begin, and case by case."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    def ask_what_is_there(self) -> None: ...
    def what_is_there(self) -> tuple[list[dict[str, Any]], str]: ...
    def begin(self, names: Sequence[str]) -> None: ...
    def begun(self) -> None: ...
    def run(self, name: str, index: int | None, timeout: float) -> Answer: ...


@dataclass(slots=True)
class Post:
    """Where and how a side's process is run. Leaving the `with` ends it."""

    python: Path
    suite: Path
    method: str  #: "forkserver": a process a case, forked from this one; "spawn": this one for all
    variables: Mapping[str, str]
    place: Path
    leash: str
    timeout: float  #: of a benchmark that says nothing about it
    cancelled: processes.Cancelled
    _served: Served | None = None
    _names: Sequence[str] = field(default=())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def ask_what_is_there(self) -> None:
        """Let it discover the suite; `what_is_there` waits for that."""
        self._start().send({"describe": True})

    def what_is_there(self) -> tuple[list[dict[str, Any]], str]:
        """The benchmarks of the suite in asv's own words, and what was printed meanwhile. Raises: Interrupted."""
        assert self._served is not None
        answer = self._served.receive(timeout=IMPORT_TIMEOUT, cancelled=self.cancelled)
        return (answer or {}).get("benchmarks", []), self._served.said()[-MESSAGE_CHARACTERS:]

    def begin(self, names: Sequence[str]) -> None:
        """Let it import what these benchmarks need; `begun` waits for that."""
        self._names = names
        self._start().send({"load": list(names)})

    def begun(self) -> None:
        with contextlib.suppress(processes.TimedOut):
            if self._served and self._served.receive(timeout=IMPORT_TIMEOUT, cancelled=self.cancelled) is not None:
                return
        self._end()  # the case that is asked for next begins it anew, and says what it said

    def run(self, name: str, index: int | None, timeout: float) -> Answer:
        """Run one case. Raises: Interrupted."""
        if self._served is None:
            self.begin(self._names)
            self.begun()
        served = self._served or self._start()
        served.said()
        served.send({"run": name, "index": index})
        try:
            told = served.receive(timeout=timeout + GRACE, cancelled=self.cancelled)
        except processes.TimedOut as error:
            self._end()
            return Answer(None, str(error))
        printed = served.said()[-MESSAGE_CHARACTERS:]
        if told is None:
            self._end()
            return Answer(None, printed or "its process ended, and it printed nothing")
        if (value := told.get("value")) is not None:
            return Answer(float(value))
        reason = told.get("skipped") or told.get("failed") or ""
        return Answer(None, _first(reason, printed), skipped="skipped" in told)

    def _start(self) -> Served:
        assert self._served is None
        command = [str(self.python), "-u", str(DOOR), str(self.suite), self.method, str(self.timeout)]
        environment = {**self.variables, "PYTHONSAFEPATH": "1"}
        self._served = Served(
            command, cwd=self.place, environment=environment, leash=self.leash, printed=self.place / "printed.txt"
        )
        return self._served

    def _end(self) -> None:
        if self._served:
            self._served.close()
            self._served = None


def _first(reason: str, printed: str) -> str:
    """The reason in one line, and below it what was printed."""
    return "\n".join(part for part in (reason, printed) if part) or "no reason given"
