"""The heartbeat of a job at work: it says every few seconds how far it is, and hears whether it is to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime

import structlog
from sqlalchemy.exc import DBAPIError

from perfsvc import jobs
from perfsvc.model import Heartbeat
from perfsvc.runner import agent
from perfsvc.store import Store

log = structlog.get_logger()

#: Seconds between beats until something is to be told, and then.
EARLY, STEADY = 2.0, jobs.HEARTBEAT.total_seconds() / 3

TEXT_KEPT = 200


class Pulse:
    """Beats in a thread of its own between `with` and its end. It outlives a database that is busy or away."""

    def __init__(
        self, store: Store, job_id: int, attempt: int, asked: Callable[[], bool], *, every: float | None = None
    ) -> None:
        self.lost = False  #: another attempt has begun
        self.cancelled = False  #: by a person, through the job's row
        self._store, self._job, self._attempt = store, job_id, attempt
        self._asked, self._every = asked, every
        self._ended = threading.Event()
        self._share, self._text = 0.0, ""
        self._thread = threading.Thread(target=self._run, name=f"heartbeat of job {job_id}", daemon=True)

    def __enter__(self) -> Pulse:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def stops(self) -> bool:
        """Is the work to end, for whatever reason?"""
        return self.lost or self.cancelled or self._asked()

    def saw(self, step: agent.Progress) -> None:
        within = step.done / step.of if step.of else 0.0
        self._share = min(1.0, (step.index + within) / max(1, step.total))
        self._text = " ".join(part for part in (step.commit[:8], step.stage.value, step.text) if part)[:TEXT_KEPT]

    def _run(self) -> None:
        while not self._ended.wait(self._every or (STEADY if self._share else EARLY)):
            try:
                said = self._beat()
            except DBAPIError as error:  # the lease is minutes long: the next beat may get through
                log.warning("heartbeat not taken; trying again", job=self._job, error=str(error.orig))
                continue
            if said is not Heartbeat.OK:
                self.lost, self.cancelled = said is Heartbeat.LOST, said is Heartbeat.CANCEL
                return

    def _beat(self) -> Heartbeat:
        now = datetime.now(UTC)
        return jobs.heartbeat(self._store, self._job, self._attempt, now, done=self._share, message=self._text)
