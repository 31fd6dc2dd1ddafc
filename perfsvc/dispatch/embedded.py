"""Runners of this machine, in this process: APScheduler's own thread pool of one per runner, so that one job is at work
on a device and the others wait their turn.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.base import BaseScheduler

#: Does a job (id, attempt), however long it takes.
Work = Callable[[int, int], None]


class Embedded:
    """`deliver` hands a job to its runner's thread. Jobs of runners that are not of this machine are left alone."""

    def __init__(self, scheduler: BaseScheduler, runners: Sequence[str], work: Work) -> None:
        self._scheduler = scheduler
        self._work = work
        self._executors = {name: f"runner-{number}" for number, name in enumerate(runners)}
        self._waiting: set[tuple[int, int]] = set()
        self._lock = threading.Lock()
        for executor in self._executors.values():
            scheduler.add_executor(ThreadPoolExecutor(1), executor)

    def deliver(self, job_id: int, attempt: int, runner: str) -> None:
        """Twice does no harm: one that waits or is at work is not taken again, so that a long job piles up nothing."""
        if runner not in self._executors:
            return
        with self._lock:
            if (job_id, attempt) in self._waiting:
                return
            self._waiting.add((job_id, attempt))
        self._scheduler.add_job(
            self._do,
            args=(job_id, attempt),
            executor=self._executors[runner],
            misfire_grace_time=None,  # it waits for its turn, however long
            name=f"job {job_id} attempt {attempt}",
        )

    def _do(self, job_id: int, attempt: int) -> None:
        try:
            self._work(job_id, attempt)
        finally:
            with self._lock:
                self._waiting.discard((job_id, attempt))
