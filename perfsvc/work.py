"""A job done on this machine, in this process: claim, measure, bring in each run as it is there, complete.

The remote runner does the same over HTTP; here the calls are direct.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from perfsvc import git, jobs, pipeline
from perfsvc.errors import JobConflict, NotFound, PerfsvcError, RunnerError
from perfsvc.formats import bundle
from perfsvc.model import Device, Heartbeat, JobKind, JobState
from perfsvc.runner import agent, asv_conf, machine, processes
from perfsvc.settings import SUITE_FILE, Settings
from perfsvc.store import Store, queries, writes
from perfsvc.store.rows import AlertRow, JobRow

Show = Callable[[agent.Progress], None]


@dataclass(frozen=True, slots=True)
class Place:
    """A project on this machine with its row in the store."""

    id: int
    name: str
    folder: Path
    settings: Settings


@dataclass(slots=True)
class Done:
    """What became of a job."""

    job: int
    state: JobState = JobState.DONE
    measured: list[str] = field(default_factory=list)
    failed: list[agent.Failed] = field(default_factory=list)
    opened: list[AlertRow] = field(default_factory=list)
    message: str = ""


def register_project(store: Store, folder: Path, settings: Settings) -> Place:
    """Have the store know the project in `folder` and the commits of its branch. Twice does no harm.

    Raises: RunnerError when there is no suite, GitError when there is no repository or no such branch.
    """
    conf = asv_conf.load(folder)
    root = git.repository_root(folder)
    name = settings.project.name or str(conf.get("project") or root.name)
    commit_url = settings.project.commit_url or str(conf.get("show_commit_url") or "")
    line = git.first_parent_line(root, settings.project.branch)
    with store.writing() as tx:
        project_id = writes.catalog.keep_project(
            tx,
            name,
            now=datetime.now(UTC),
            repository=str(folder),
            branch=settings.project.branch,
            commit_url=commit_url,
        )
        if not git.is_shallow(root):
            writes.catalog.keep_line(tx, project_id, line)
    return Place(project_id, name, folder, settings)


def register_runner(store: Store, device: Device, name: str = "") -> tuple[int, str]:
    """Have the store know this machine as a runner for `device`. Its id and name."""
    name = name or machine.default_name(device)
    with store.writing() as tx:
        return writes.catalog.keep_runner(tx, name, device, machine.machine_facts(name), now=datetime.now(UTC)), name


def unmeasured(store: Store, place: Place, runner: str, last: int) -> list[str]:
    """Of the branch's newest `last` commits those without a run on this runner, newest first; else the newest again."""
    with store.reading() as tx:
        line = queries.commits(tx, place.id)[-last:]
        have = queries.measured_commits(tx, place.id, runner)
    missing = [commit.hash for commit in reversed(line) if commit.hash not in have]
    return missing or [commit.hash for commit in line[-1:]]


def order_here(
    store: Store,
    place: Place,
    runner_id: int,
    kind: JobKind,
    commits: Sequence[str],
    *,
    bench: str = "",
    grid: str = "quick",
    guards: bool = True,
) -> int:
    """Order a job for a runner of this machine that is begun at once, by whoever ordered it."""
    job = jobs.order(
        store,
        project_id=place.id,
        runner_id=runner_id,
        kind=kind,
        spec={"commits": list(commits), "bench": bench, "grid": grid, "guards": guards},
        now=datetime.now(UTC),
        suite_revision=git.resolve(place.folder, "HEAD"),
        delivered=True,
    )
    assert job is not None  # only a schedule's job can have been ordered before
    return job


def place_of(store: Store, job: JobRow) -> Place:
    """The project of a job, where it lies on this machine. Raises: NotFound when it does not."""
    with store.reading() as tx:
        project = queries.project(tx, job.project)
    folder = Path(project.repository)
    if not project.repository or not (folder / SUITE_FILE).is_file():
        raise NotFound(f"project {job.project!r}: {project.repository or 'no folder'} holds no {SUITE_FILE}")
    return Place(project.id, project.name, folder, Settings.load(folder))


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

    gives_back: when `cancelled` says stop, the job waits for its next attempt instead of ending.
    """
    job = jobs.claim(store, job_id, attempt, datetime.now(UTC))
    pulse = _Pulse(store, job, attempt, cancelled)
    done = Done(job_id)
    try:
        place = place or place_of(store, job)
        with pulse:
            _measure(store, job, attempt, place, pulse, progress, done)
    except KeyboardInterrupt:
        jobs.complete(store, job_id, attempt, JobState.CANCELLED, datetime.now(UTC), message="stopped by hand")
        raise
    except JobConflict as error:
        pulse.lost, done.state, done.message = True, JobState.FAILED, str(error)
    except processes.Interrupted:
        if gives_back and not pulse.cancelled:
            jobs.release(store, job_id, attempt)
            return Done(job_id, JobState.QUEUED, done.measured, done.failed, done.opened, "stopped; waits to go on")
        done.state, done.message = JobState.CANCELLED, "cancelled"
    except PerfsvcError as error:
        done.state, done.message = JobState.FAILED, str(error)
    if done.failed and not done.measured and done.state is JobState.DONE:
        done.state = JobState.FAILED
    done.message = done.message or _summary(done)
    if not pulse.lost:
        jobs.complete(store, job_id, attempt, done.state, datetime.now(UTC), message=done.message)
    return done


def _measure(
    store: Store,
    job: JobRow,
    attempt: int,
    place: Place,
    pulse: _Pulse,
    progress: Show,
    done: Done,
) -> None:
    with store.reading() as tx:
        already = queries.commits_of_job(tx, job.id)
    wanted = [hash_ for hash_ in job.spec["commits"] if hash_ not in already]
    request = agent.Request(
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

    def seen(step: agent.Progress) -> None:
        pulse.saw(step)
        progress(step)

    for result in agent.measure(request, wanted, progress=seen, cancelled=pulse.stops):
        if isinstance(result, agent.Failed):
            done.failed.append(result)
            continue
        done.opened += bring_in(store, place, job.id, attempt, result.bundle)
        done.measured.append(result.commit)
        shutil.rmtree(result.bundle, ignore_errors=True)


def bring_in(store: Store, place: Place, job_id: int, attempt: int, folder: Path) -> list[AlertRow]:
    """Keep and judge one bundle. Raises: JobConflict when a newer attempt has begun: the bundle is kept aside."""
    with store.reading() as tx:
        job = queries.job(tx, job_id)
    if not jobs.accepts(job, attempt):
        raise JobConflict(f"job {job_id}: attempt {attempt} is late, {job.attempt} has begun; kept aside: {folder}")
    now = datetime.now(UTC)
    pipeline.ingest(store, place.id, bundle.read(folder), place.settings, now)
    return list(pipeline.process(store, place.id, place.settings, now).opened)


def _summary(done: Done) -> str:
    parts = [f"{len(done.measured)} measured"]
    parts += [f"{failed.commit[:8]} failed: {failed.reason}" for failed in done.failed]
    return "; ".join(parts)[:2000]


class _Pulse:
    """Says every few seconds that the job is at work, and hears whether it is to stop."""

    def __init__(self, store: Store, job: JobRow, attempt: int, cancelled: Callable[[], bool]) -> None:
        self.lost = False
        self.cancelled = False  #: by a person, through the job's row
        self._store, self._job, self._attempt = store, job, attempt
        self._asked = cancelled
        self._cancel = threading.Event()
        self._ended = threading.Event()
        self._share, self._text = 0.0, ""
        self._thread = threading.Thread(target=self._beat, name=f"heartbeat of job {job.id}", daemon=True)

    def __enter__(self) -> _Pulse:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def stops(self) -> bool:
        return self.lost or self._cancel.is_set() or self._asked()

    def saw(self, step: agent.Progress) -> None:
        within = step.done / step.of if step.of else 0.0
        self._share = min(1.0, (step.index + within) / max(1, step.total))
        self._text = " ".join(part for part in (step.commit[:8], step.stage.value, step.text) if part)[:200]

    def _beat(self) -> None:
        while not self._ended.wait(2.0 if not self._share else jobs.HEARTBEAT.total_seconds() / 3):
            now = datetime.now(UTC)
            said = jobs.heartbeat(self._store, self._job.id, self._attempt, now, done=self._share, message=self._text)
            self.lost = said is Heartbeat.LOST
            self.cancelled = said is Heartbeat.CANCEL
            if said is not Heartbeat.OK:
                self._cancel.set()
                return


def choose(place: Place, revisions: Sequence[str]) -> list[str]:
    """The hashes that people mean by `A..B`, `HEAD~3`, a tag or a hash, newest first. Raises: RunnerError when none."""
    found: dict[str, None] = {}
    for revision in revisions:
        for commit in reversed(git.range_commits(place.folder, revision)):
            found[commit.hash] = None
    if not found:
        raise RunnerError(f"{place.folder}: {' '.join(revisions)} names no commit to measure")
    return list(found)
