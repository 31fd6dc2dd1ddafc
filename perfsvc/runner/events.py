"""What a measurement says while it goes on, what comes out of it, and the watch that is kept over it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from perfsvc.runner import processes


class Stage(StrEnum):
    """The steps, in their order. The first four come once, the others for each commit."""

    MIRROR = "mirror"
    ENVIRONMENT = "environment"
    PREFLIGHT = "pre-flight"
    FINGERPRINT = "fingerprint"
    CHECKOUT = "checkout"
    CANARY = "canary"
    GUARDS = "guards"
    BENCHMARKS = "benchmarks"


@dataclass(frozen=True, slots=True)
class Progress:
    """Where the work is. `done` of `of` counts within the stage; both 0 where the stage does not count."""

    stage: Stage
    commit: str = ""  #: full hash; "" while the steps before the first commit run
    index: int = 0  #: of the commit, from 0
    total: int = 0  #: commits in all
    done: int = 0
    of: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """One run: a bundle folder, complete, ready for formats.bundle."""

    commit: str
    bundle: Path
    seconds: Mapping[str, float] = field(default_factory=dict)  #: by stage


@dataclass(frozen=True, slots=True)
class Failed:
    """A commit that could not be measured, and why. The others go on."""

    commit: str
    reason: str
    seconds: Mapping[str, float] = field(default_factory=dict)


Result = Measured | Failed


class Watch:
    """Tells where the work is, takes the time of its stages, and knows whether to stop."""

    def __init__(self, total: int, progress: Callable[[Progress], None], cancelled: processes.Cancelled) -> None:
        self.at = Progress(Stage.MIRROR, total=total)
        self.cancelled = cancelled
        self.seconds: dict[str, float] = {}
        self._progress = progress

    def begin(self, commit: str, index: int) -> None:
        """The next commit. Raises: Interrupted."""
        if self.cancelled():
            raise processes.Interrupted(f"cancelled before {commit[:12]}")
        self.seconds = {}
        self.at = replace(self.at, commit=commit, index=index)

    def tell(self, **changes: Any) -> None:
        self.at = replace(self.at, **changes)
        self._progress(self.at)

    def count(self, done: int, of: int, text: str) -> None:
        self.tell(done=done, of=of, text=text)

    @contextlib.contextmanager
    def stage(self, stage: Stage, text: str = "") -> Iterator[None]:
        self.tell(stage=stage, done=0, of=0, text=text)
        started = time.monotonic()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.monotonic() - started
