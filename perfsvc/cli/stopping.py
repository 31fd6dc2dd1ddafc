"""Hear that somebody wants us to stop, and end in order: Ctrl-C, or a supervisor's SIGTERM.

A signal sets a mark that the work looks at twice a second, so that it never breaks in between two writes. Only the
third one breaks in at once, for those who know better.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

BREAKS_IN = 3


class Stop:
    """Call it: has somebody asked?"""

    def __init__(self) -> None:
        self._heard: list[int] = []

    def __call__(self) -> bool:
        return bool(self._heard)

    @property
    def terminated(self) -> bool:
        """Whether it was more than a person's Ctrl-C: a supervisor wants the whole process gone."""
        return signal.SIGTERM in self._heard

    @property
    def exit_code(self) -> int:
        """As shells have it: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + int(signal.SIGTERM if self.terminated else signal.SIGINT)

    def forget(self) -> None:
        """What was asked has been done; listen for the next."""
        self._heard.clear()

    def hear(self, number: int, _: FrameType | None = None) -> None:
        self._heard.append(number)
        if len(self._heard) >= BREAKS_IN:
            raise KeyboardInterrupt


@contextmanager
def listening() -> Iterator[Stop]:
    """Signals are heard instead of breaking in, for as long as this lasts."""
    stop = Stop()
    before = {number: signal.signal(number, stop.hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
