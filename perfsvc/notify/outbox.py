"""When to try again. The rows are the store's, the ticks are the scheduler's."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

from perfsvc.notify.message import Message

FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=1)
MAX_TRIES = 8

#: No channel takes so long for one message: who began to send it then has died, and another may.
SENDING = timedelta(minutes=5)


class Channel(Protocol):
    """`name` is what the outbox calls it; `send` raises when the message did not leave."""

    @property
    def name(self) -> str: ...

    def send(self, message: Message, at: datetime) -> None: ...


def retry_at(tries: int, now: datetime) -> datetime | None:
    """When to try again after `tries` failures; None: give up, and show it."""
    if tries >= MAX_TRIES:
        return None
    return now + min(FIRST_WAIT * (1 << (tries - 1)), LONGEST_WAIT)
