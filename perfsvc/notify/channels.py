"""Ways out of the house. A channel sends one message, or raises."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from perfsvc.notify.message import Message
from perfsvc.settings import LOG_FILE


@dataclass(frozen=True, slots=True)
class LogFile:
    """Append each message to a file that people or their tools follow. Readable by its owner alone."""

    path: Path
    name: str = LOG_FILE

    def send(self, message: Message, at: datetime) -> None:
        """Raises: OSError."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = f"{at.isoformat(timespec='seconds')} {message.title}\n{message.body}\n\n"
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(handle, "a", encoding="utf-8") as log:
            log.write(text)
            log.flush()
            os.fsync(log.fileno())
