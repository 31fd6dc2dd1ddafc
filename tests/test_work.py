"""A job at work in this process. The measuring is played; tests/cli and tests/test_schedule.py do it for real."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from perfsvc import jobs, work
from perfsvc.errors import JobConflict, NotFound, RunnerError
from perfsvc.model import Device, Heartbeat, JobKind, JobState
from perfsvc.rows import JobRow
from perfsvc.runner import agent, machine, processes
from perfsvc.runner.events import Failed, Measured, Progress, Stage
from perfsvc.store import Store, queries, writes
from perfsvc.work import Place, Selection, doing, places
from perfsvc.work.pulse import Pulse
from tests.bench import NOON, Bench

BUNDLE = Path(__file__).parent / "data" / "bundle" / "1" / "two_rounds"

Script = Callable[[agent.Request, Sequence[str], Any], Iterator[Measured | Failed]]


class Desk:
    """A project with commits, a job for the first three of them, and an agent that does as it is told."""

    def __init__(self, bench: Bench, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store, self.folder, self._patch = bench.store, folder, monkeypatch
        self.bundles = folder / "bundles"
        self.line = [commit.hash for commit in bench.line]
        self.place = Place(bench.project, "attention", folder, bench.settings, tuple(self.line))
        with self.store.writing() as tx:
            self.runner = writes.catalog.keep_runner(tx, "box", Device.CPU, {}, now=NOON)
        self.job = self.order(JobKind.BACKFILL)
        self.closed = False
        self.asked: list[str] = []

    def order(self, kind: JobKind) -> int:
        job = jobs.order(
            self.store,
            project_id=self.place.id,
            runner_id=self.runner,
            kind=kind,
            spec={"commits": self.line[:3]},
            now=NOON,
            suite_revision="main",
        )
        assert job is not None
        return job

    def bundle(self, commit: str, attempt: int = 1) -> Path:
        """One as a runner makes them, of this commit."""
        path = self.bundles / commit[-8:]
        shutil.copytree(BUNDLE, path)
        told = json.loads((path / "bundle.json").read_text())
        told["commit"]["hash"] = commit
        told |= {"machine": "box", "job": self.job, "attempt": attempt, "project": "attention"}
        (path / "bundle.json").write_text(json.dumps(told))
        return path

    def plays(self, step: Callable[[int, str], None] = lambda *_: None) -> None:
        """Have the agent measure each commit; `step` is called before it."""

        def measure(request: agent.Request, commits: Sequence[str], **kw: Any) -> Iterator[Measured | Failed]:
            self.asked = list(commits)
            try:
                for number, commit in enumerate(commits):
                    kw["progress"](Progress(Stage.BENCHMARKS, commit, number, len(commits)))
                    step(number, commit)
                    if kw["cancelled"]():
                        raise processes.Interrupted("cancelled")
                    yield Measured(commit, self.bundle(commit, request.attempt or 1))
            finally:
                self.closed = True

        self._patch.setattr(doing.agent, "measure", measure)

    def work(self, attempt: int = 1, **more: Any) -> work.Done:
        return work.work(self.store, self.job, attempt, place=self.place, **more)

    def row(self) -> JobRow:
        with self.store.reading() as tx:
            return queries.job(tx, self.job)

    def stored(self) -> set[str]:
        with self.store.reading() as tx:
            return queries.commits_of_job(tx, self.job)


@pytest.fixture
def desk(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(bench, tmp_path, monkeypatch)


def test_runs_come_in_are_judged_and_the_job_is_done(desk: Desk) -> None:
    desk.plays()
    done = desk.work()
    assert (done.state, done.measured, done.message) == (JobState.DONE, desk.line[:3], "3 measured")
    assert desk.stored() == set(desk.line[:3])
    assert (desk.row().state, desk.row().done) == (JobState.DONE, 1.0)
    assert not list(desk.bundles.iterdir())
    with desk.store.reading() as tx:
        assert not writes.judging.waiting_runs(tx, desk.place.id)


def test_a_commit_that_fails_is_told_and_the_job_is_done(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(_: object, commits: Sequence[str], **__: object) -> Iterator[Measured | Failed]:
        yield Failed(commits[0], "it does not build")
        yield Measured(commits[1], desk.bundle(commits[1]))

    monkeypatch.setattr(doing.agent, "measure", measure)
    done = desk.work()
    assert (done.state, [failed.commit for failed in done.failed]) == (JobState.DONE, desk.line[:1])
    assert desk.row().message == f"1 measured; {desk.line[0][:8]} failed: it does not build"


def test_a_bundle_that_cannot_be_read_is_kept_aside_and_the_others_come_in(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(_: object, commits: Sequence[str], **__: object) -> Iterator[Measured | Failed]:
        for commit in commits:
            path = desk.bundle(commit)
            if commit == commits[0]:
                (path / "bundle.json").write_text("{")
            yield Measured(commit, path)

    monkeypatch.setattr(doing.agent, "measure", measure)
    done = desk.work()
    assert done.measured == desk.line[1:3]
    (failed,) = done.failed
    (kept,) = desk.bundles.iterdir()
    assert "not brought in" in failed.reason
    assert str(kept) in failed.reason


def test_nothing_measured_at_all_is_a_failure(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doing.agent, "measure", lambda *_, **__: iter([Failed(desk.line[0], "no wheel")]))
    assert desk.work().state is JobState.FAILED
    assert desk.row().state is JobState.FAILED


def test_what_stops_the_whole_job_is_its_message(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(*_: object, **__: object) -> Iterator[Measured]:
        raise RunnerError("the device cpu is being measured on already")
        yield

    monkeypatch.setattr(doing.agent, "measure", measure)
    assert desk.work().message == "the device cpu is being measured on already"
    assert desk.row().state is JobState.FAILED


def test_stopped_by_hand_it_ends_and_what_is_in_stays_in(desk: Desk) -> None:
    asked: list[int] = []
    desk.plays(lambda number, _: asked.append(number))
    done = desk.work(cancelled=lambda: len(asked) > 2)
    assert (done.state, done.message) == (JobState.CANCELLED, "stopped by hand; 2 measured")
    assert desk.stored() == set(desk.line[:2])
    assert desk.row().state is JobState.CANCELLED


def test_given_back_it_goes_on_with_what_is_missing(desk: Desk) -> None:
    asked: list[int] = []
    desk.plays(lambda number, _: asked.append(number))
    done = desk.work(cancelled=lambda: len(asked) > 2, gives_back=True)
    assert (done.state, desk.row().state, desk.row().attempt) == (JobState.QUEUED, JobState.QUEUED, 2)
    desk.plays()
    assert desk.work(2).state is JobState.DONE
    assert desk.asked == desk.line[2:3]
    assert desk.stored() == set(desk.line[:3])


def test_cancelled_through_its_row_it_ends_even_where_it_would_be_given_back(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("perfsvc.work.pulse.EARLY", 0.01)
    monkeypatch.setattr("perfsvc.work.pulse.STEADY", 0.01)
    stops: list[Pulse] = []
    monkeypatch.setattr(doing, "Pulse", lambda *told: stops.append(Pulse(*told)) or stops[0])

    def step(number: int, _: str) -> None:
        if number == 1:
            jobs.cancel(desk.store, desk.job, NOON)
            wait_until(lambda: stops[0].cancelled)

    desk.plays(step)
    done = desk.work(gives_back=True)
    assert (done.state, done.message) == (JobState.CANCELLED, "cancelled; 1 measured")
    assert desk.row().state is JobState.CANCELLED


def test_a_late_attempts_runs_are_kept_aside(desk: Desk) -> None:
    """It slept; another attempt was begun; then it woke with a bundle in its hands."""

    def step(number: int, _: str) -> None:
        if number == 1:
            jobs.reap(desk.store, NOON.replace(year=2100))
            jobs.claim(desk.store, desk.job, 2, NOON)

    desk.plays(step)
    done = desk.work()
    assert done.state is JobState.FAILED
    assert "kept aside" in done.message
    assert desk.stored() == set(desk.line[:1])
    assert len(list(desk.bundles.iterdir())) == 1
    assert (desk.row().state, desk.row().attempt) == (JobState.RUNNING, 2)
    assert desk.closed


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ZeroDivisionError("ours")], ids=["by hand", "a fault"])
def test_what_breaks_in_leaves_no_job_at_work(desk: Desk, error: BaseException) -> None:
    def step(number: int, _: str) -> None:
        if number == 1:
            raise error

    desk.plays(step)
    with pytest.raises(type(error)):
        desk.work()
    assert desk.closed
    assert desk.row().state in (JobState.CANCELLED, JobState.FAILED)
    assert desk.stored() == set(desk.line[:1])


def test_a_job_that_somebody_has_is_not_begun(desk: Desk) -> None:
    jobs.claim(desk.store, desk.job, 1, NOON)
    with pytest.raises(JobConflict):
        desk.work()


def test_a_night_ends_with_its_budget_and_says_what_waits(desk: Desk) -> None:
    desk.job = desk.order(JobKind.NIGHTLY)
    night = desk.place.settings.night.model_copy(update={"budget_minutes": 1e-9})
    settings = desk.place.settings.model_copy(update={"night": night})
    desk.place = Place(desk.place.id, "attention", desk.folder, settings)
    desk.plays()
    done = desk.work()
    assert (done.state, done.measured) == (JobState.DONE, desk.line[:1])
    assert done.message == "1 measured; the night is over, 2 wait for the next"
    assert desk.closed


def test_a_project_that_is_not_on_this_machine(desk: Desk) -> None:
    with pytest.raises(NotFound, match=r"holds no asv\.conf\.json"):
        work.place_of(desk.store, desk.row())
    assert work.work(desk.store, desk.job, 1).state is JobState.FAILED


# --- the heart --------------------------------------------------------------------------------------------------------


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert true()


def test_the_heart_outlives_a_database_that_is_busy(sqlite_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [OperationalError("UPDATE", {}, Exception("database is locked")), Heartbeat.OK, Heartbeat.CANCEL]
    beats = threading.Semaphore(0)

    def heartbeat(*_: object, **__: object) -> Heartbeat:
        beats.release()
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(jobs, "heartbeat", heartbeat)
    with Pulse(sqlite_store, 1, 1, lambda: False, every=0.01) as pulse:
        wait_until(pulse.stops)
    assert (pulse.cancelled, pulse.lost, answers) == (True, False, [])


def test_a_lost_job_stops(sqlite_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "heartbeat", lambda *_, **__: Heartbeat.LOST)
    with Pulse(sqlite_store, 1, 1, lambda: False, every=0.01) as pulse:
        wait_until(pulse.stops)
    assert pulse.lost


def test_it_tells_how_far_the_work_is(desk: Desk) -> None:
    jobs.claim(desk.store, desk.job, 1, NOON)
    with Pulse(desk.store, desk.job, 1, lambda: False, every=0.01) as pulse:
        pulse.saw(Progress(Stage.BENCHMARKS, "c" * 40, index=1, total=4, done=5, of=10, text="time_it"))
        wait_until(lambda: desk.row().done > 0)
    assert (desk.row().done, desk.row().message) == (0.375, "cccccccc benchmarks time_it")


# --- places -----------------------------------------------------------------------------------------------------------


def test_a_night_takes_what_is_missing_and_else_the_newest_again(bench: Bench, tmp_path: Path) -> None:
    line = tuple(commit.hash for commit in bench.line)
    place = Place(bench.project, "attention", tmp_path, bench.settings, line)
    assert places.unmeasured(bench.store, place, "box", 3) == [line[29], line[28], line[27]]
    bench.run(28, {"time_it": 1.0})
    assert places.unmeasured(bench.store, place, "box", 3) == [line[29], line[27]]
    assert places.unmeasured(bench.store, place, "other", 2) == [line[29], line[28]]
    bench.run(29, {"time_it": 1.0})
    assert places.unmeasured(bench.store, place, "box", 2) == [line[29]]
    assert places.newest(place, 99) == list(reversed(line))
    assert places.newest(Place(1, "empty", tmp_path, bench.settings), 3) == []


def test_runners_of_this_machine_are_those_that_bear_its_name(sqlite_store: Store) -> None:
    work.register_runner(sqlite_store, Device.CPU)
    work.register_runner(sqlite_store, Device.CUDA)
    work.register_runner(sqlite_store, Device.CPU, "somebody-elses-cpu")
    assert set(work.local_runners(sqlite_store)) == {machine.default_name(d) for d in (Device.CPU, Device.CUDA)}


def test_a_selection_is_written_into_the_job(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places.git, "resolve", lambda *_: "f" * 40)
    chosen = Selection(bench="time", grid="full", guards=False)
    job = work.order_here(desk.store, desk.place, desk.runner, JobKind.BACKFILL, desk.line[:1], chosen)
    with desk.store.reading() as tx:
        row = queries.job(tx, job)
    assert dict(row.spec) == {"commits": desk.line[:1], "bench": "time", "grid": "full", "guards": False}
    assert row.suite_revision == "f" * 40
