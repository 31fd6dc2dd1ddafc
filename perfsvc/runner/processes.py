"""Run a program on a leash: its lines as they come, a wall-clock limit, a way to cancel it, and nothing left behind.

Benchmarks put their children into process groups of their own, so killing one group is not enough. Whatever belongs to
the program is known by three signs: its session, its ancestry, and a word in its environment that only it was given.
"""

from __future__ import annotations

import contextlib
import os
import queue
import secrets
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from perfsvc.errors import RunnerError

#: The word's name. Children inherit it even where they leave session and parent behind.
LEASH = "PERFSVC_LEASH"
TAIL_LINES = 40
GRACE = 3.0  #: seconds between asking a program to end and killing it
CANCEL_EVERY = 0.5  #: `cancelled` may be a call over the network

Cancelled = Callable[[], bool]
LineSink = Callable[[str], None]


class Interrupted(RunnerError):
    """A person or the service asked for the measurement to stop."""


class TimedOut(RunnerError):
    """A program was still running when its time was over."""

    def __init__(self, message: str, tail: Sequence[str]) -> None:
        self.last_words = last_words(tail)
        super().__init__(f"{message}. Last:\n{self.last_words}")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended. `tail`: what it printed last, stdout and stderr together."""

    returncode: int
    seconds: float
    tail: tuple[str, ...]

    @property
    def last_words(self) -> str:
        return last_words(self.tail)


def last_words(tail: Sequence[str]) -> str:
    return "\n".join(tail).strip() or "(it printed nothing)"


def new_leash() -> str:
    return secrets.token_hex(8)


def run(
    command: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    timeout: float,
    leash: str,
    cancelled: Cancelled = lambda: False,
    each_line: LineSink = lambda _: None,
) -> Ended:
    """Run `command` to its end, then end whatever it left running.

    Raises: TimedOut past `timeout` seconds, Interrupted when `cancelled` says so, RunnerError when it cannot start.
    """
    started = time.monotonic()
    process = start(command, cwd=cwd, environment={**environment, LEASH: leash}, stderr=subprocess.STDOUT)
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    reader = threading.Thread(target=_read, args=(process, lines), daemon=True)
    reader.start()
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    patience = _Patience(command[0], started + timeout, timeout, cancelled)
    try:
        while not (process.poll() is not None and lines.empty()):
            patience.check(tail)
            with contextlib.suppress(queue.Empty):
                line = lines.get(timeout=0.1)
                if line is not None:
                    tail.append(line)
                    each_line(line)
    finally:
        family = _family(process.pid)
        _ask_to_end(process)
        end(process, [*family, *_carriers(leash)])
        reader.join(1.0)  # after the kill nobody holds the pipe any more
    while not lines.empty():
        if (line := lines.get()) is not None:
            tail.append(line)
            each_line(line)
    return Ended(process.returncode, time.monotonic() - started, tuple(tail))


def sweep(leash: str) -> int:
    """Kill every process that carries `leash`, and say how many there were. For what a killed runner left behind."""
    return _kill(_carriers(leash))


@dataclass(slots=True)
class _Patience:
    name: str
    deadline: float
    timeout: float
    cancelled: Cancelled
    asked: float = 0.0

    def check(self, tail: Sequence[str]) -> None:
        now = time.monotonic()
        if now > self.deadline:
            raise TimedOut(f"{Path(self.name).name}: still running after {self.timeout:.0f} s, ended", tuple(tail))
        if now - self.asked > CANCEL_EVERY:
            self.asked = now
            if self.cancelled():
                raise Interrupted(f"{Path(self.name).name}: cancelled")


def start(
    command: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    stderr: int | IO[bytes],
    stdin: int = subprocess.DEVNULL,
) -> subprocess.Popen[str]:
    """Start a program in a session of its own. Raises: RunnerError when it cannot be started."""
    try:
        return subprocess.Popen(
            list(command),
            cwd=cwd,
            env=dict(environment),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise RunnerError(f"{command[0]}: cannot be started: {error.strerror}") from None


def _read(process: subprocess.Popen[str], lines: queue.SimpleQueue[str | None]) -> None:
    assert process.stdout is not None
    with contextlib.suppress(ValueError, OSError):
        for line in process.stdout:
            lines.put(line.rstrip("\n"))
    lines.put(None)


def _ask_to_end(process: subprocess.Popen[str]) -> None:
    """On an interrupt asv closes its fork server by itself."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)


def end(process: subprocess.Popen[str], others: Sequence[psutil.Process] = ()) -> None:
    """Kill a program of `start`, its descendants, its session, and `others`."""
    family = _family(process.pid)
    process.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(GRACE)
    _kill({*family, *_session(process.pid), *others})


def _family(pid: int) -> list[psutil.Process]:
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.Error:
        return []


def _session(session: int) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(OSError, psutil.Error):
            if os.getsid(process.pid) == session:
                found.append(process)
    return found


def _carriers(leash: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(OSError, psutil.Error):
            if process.pid != os.getpid() and process.environ().get(LEASH) == leash:
                found.append(process)
    return found


def _kill(processes: set[psutil.Process] | list[psutil.Process]) -> int:
    alive = [process for process in processes if _runs(process)]
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    deadline = time.monotonic() + GRACE
    while any(_runs(process) for process in alive) and time.monotonic() < deadline:
        time.sleep(0.01)
    return len(alive)


def _runs(process: psutil.Process) -> bool:
    """A dead one that nobody has buried yet does no harm. psutil's own wait would bury our children under us."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
