"""One device, one measurement: a second benchmark beside the first would make both numbers worthless."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from perfsvc.errors import RunnerError
from perfsvc.model import Device


@contextlib.contextmanager
def device_lock(home: Path, device: Device) -> Iterator[None]:
    """Hold the device of this machine. The system lets go of it when the process dies, however it dies.

    Raises: RunnerError that names the holder.
    """
    path = home / "locks" / f"{device}.lock"
    with held(path, wait=False, busy=f"the device {device} of this machine is being measured on already"):
        yield


@contextlib.contextmanager
def held(path: Path, *, wait: bool, busy: str = "") -> Iterator[None]:
    """Hold the lock file `path`: wait for it, or raise RunnerError(busy ...)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunnerError(f"{path}: {busy}{_holder(file.name)}; wait for it to end, or end it") from None
        file.seek(0)
        file.truncate()
        file.write(json.dumps({"pid": os.getpid(), "since": datetime.now(UTC).isoformat(timespec="seconds")}))
        file.flush()
        yield


def _holder(path: str) -> str:
    try:
        told = json.loads(Path(path).read_text(encoding="utf-8"))
        return f" by process {told['pid']} since {told['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return ""
