"""Do a job: `work` claims it, measures its commits, brings in each run, and closes it, however it ended."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from perfsvc import jobs, pipeline
from perfsvc.errors import JobConflict, PerfsvcError
from perfsvc.formats import bundle
from perfsvc.model import JobKind, JobState
from perfsvc.rows import AlertRow, JobRow
from perfsvc.runner import agent, processes
from perfsvc.store import Store, queries
from perfsvc.work.places import Place, place_of
from perfsvc.work.pulse import Pulse

Show = Callable[[agent.Progress], None]

MESSAGE_KEPT = 2000


@dataclass(slots=True)
class Done:
    """What became of a job."""

    job: int
    state: JobState = JobState.DONE
    measured: list[str] = field(default_factory=list)
    failed: list[agent.Failed] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)  #: of the runs: a busy machine, an unreadable part
    opened: list[AlertRow] = field(default_factory=list)
    message: str = ""


def work(
    store: Store,
    job_id: int,
    attempt: int,
    *,
    place: Place | None = None,
    progress: Show = lambda _: None,
    cancelled: Callable[[], bool] = lambda: False,
    gives_back: bool = False,
) -> Done:
    """Do the job and bring in its runs. Raises: JobConflict when it is not ours to begin.

    Runs are judged together when the job ends, however it ends: an alert that opened between two of them would be told
    with a range that the next run narrows. A kill leaves them waiting for whoever judges next.
    gives_back: when `cancelled` says stop, the job waits for its next attempt instead of ending.
    """
    job = jobs.claim(store, job_id, attempt, datetime.now(UTC))
    pulse = Pulse(store, job_id, attempt, cancelled)
    done = Done(job_id)
    try:
        with pulse:
            place = place or place_of(store, job)
            _measure(store, job, attempt, place, pulse, progress, done)
    except JobConflict as error:
        pulse.lost, done.state, done.message = True, JobState.FAILED, str(error)
    except processes.Interrupted:
        _interrupted(store, attempt, pulse, done, gives_back=gives_back)
    except PerfsvcError as error:
        done.state, done.message = JobState.FAILED, str(error)
    except BaseException as error:
        _close_broken(store, attempt, error, done)
        raise
    if done.failed and not done.measured and done.state is JobState.DONE:
        done.state = JobState.FAILED
    done.message = done.message or _summary(done)
    if place is not None:  # also after an attempt that only found everything in
        done.opened += pipeline.process(store, place.id, place.settings, datetime.now(UTC)).opened
    if done.state is not JobState.QUEUED and not pulse.lost:
        _complete(store, attempt, done)
    return done


def _interrupted(store: Store, attempt: int, pulse: Pulse, done: Done, *, gives_back: bool) -> None:
    if pulse.lost:
        done.state, done.message = JobState.FAILED, f"job {done.job}: a newer attempt has begun; this one ended"
    elif gives_back and not pulse.cancelled:
        jobs.release(store, done.job, attempt)
        done.state, done.message = JobState.QUEUED, "stopped; waits to go on"
    else:
        by = "cancelled" if pulse.cancelled else "stopped by hand"
        done.state, done.message = JobState.CANCELLED, f"{by}; {_summary(done)}"


def _close_broken(store: Store, attempt: int, error: BaseException, done: Done) -> None:
    """A fault of ours, or somebody who would not wait: the row says so, if the database takes it."""
    by_hand = isinstance(error, KeyboardInterrupt)
    done.state = JobState.CANCELLED if by_hand else JobState.FAILED
    done.message = "stopped by hand" if by_hand else f"a fault of perfsvc: {type(error).__name__}: {error}"
    with contextlib.suppress(Exception):  # the error at hand is the one to be told
        jobs.complete(store, done.job, attempt, done.state, datetime.now(UTC), message=done.message[:MESSAGE_KEPT])


def _complete(store: Store, attempt: int, done: Done) -> None:
    try:
        jobs.complete(store, done.job, attempt, done.state, datetime.now(UTC), message=done.message[:MESSAGE_KEPT])
    except JobConflict as error:
        done.state, done.message = JobState.FAILED, str(error)


def _measure(store: Store, job: JobRow, attempt: int, place: Place, pulse: Pulse, progress: Show, done: Done) -> None:
    with store.reading() as tx:
        already = queries.commits_of_job(tx, job.id)
    wanted = [hash_ for hash_ in job.spec["commits"] if hash_ not in already]

    def seen(step: agent.Progress) -> None:
        pulse.saw(step)
        progress(step)

    results = agent.measure(_request(job, attempt, place), wanted, progress=seen, cancelled=pulse.stops)
    until = time.monotonic() + _budget(job, place)
    with contextlib.closing(_generator(results)) as measured:  # its worktrees and locks end with us, whatever happens
        for number, result in enumerate(measured, start=1):
            if isinstance(result, agent.Failed):
                done.failed.append(result)
            else:
                _keep(store, place, job, attempt, result, done)
            if time.monotonic() > until and number < len(wanted):
                done.message = f"{_summary(done)}; the night is over, {len(wanted) - number} wait for the next"
                return


def _generator(results: Iterator[agent.Result]) -> Generator[agent.Result, None, None]:
    yield from results


def _budget(job: JobRow, place: Place) -> float:
    """Seconds: a night ends before people come; what somebody ordered is done to its end."""
    return place.settings.night.budget_minutes * 60 if job.kind is JobKind.NIGHTLY else float("inf")


def _request(job: JobRow, attempt: int, place: Place) -> agent.Request:
    return agent.Request(
        folder=place.folder,
        settings=place.settings,
        device=job.device,
        runner=job.runner,
        suite=job.suite_revision or "HEAD",
        bench=str(job.spec.get("bench", "")),
        grid=str(job.spec.get("grid", "quick")),
        guards=bool(job.spec.get("guards", True)),
        python=place.settings.environment.python,
        job=job.id,
        attempt=attempt,
    )


def _keep(store: Store, place: Place, job: JobRow, attempt: int, result: agent.Measured, done: Done) -> None:
    """A bundle that cannot be brought in is one commit's bad luck: it is kept aside, and the others go on."""
    try:
        bring_in(store, place, job.id, attempt, result.bundle, done)
    except JobConflict:
        raise
    except PerfsvcError as error:
        done.failed.append(
            agent.Failed(result.commit, f"measured, but not brought in: {error}; {result.bundle} has it")
        )
        return
    done.measured.append(result.commit)
    shutil.rmtree(result.bundle, ignore_errors=True)


def bring_in(store: Store, place: Place, job_id: int, attempt: int, folder: Path, done: Done) -> None:
    """Keep one bundle. Raises: JobConflict when a newer attempt has begun: the bundle is kept aside."""
    with store.reading() as tx:
        job = queries.job(tx, job_id)
    if not jobs.accepts(job, attempt):
        raise JobConflict(f"job {job_id}: attempt {attempt} is late, {job.attempt} has begun; kept aside: {folder}")
    reports = bundle.read(folder)
    done.messages += pipeline.ingest(store, place.id, reports, place.settings, datetime.now(UTC)).messages


def _summary(done: Done) -> str:
    parts = [f"{len(done.measured)} measured"]
    parts += [f"{failed.commit[:8]} failed: {failed.reason}" for failed in done.failed]
    return "; ".join(parts)
