"""Commits of a toy project through real git, real asv and real pytest."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from perfsvc.errors import RunnerError
from perfsvc.formats import bundle
from perfsvc.model import Outcome, RunReport
from perfsvc.runner import agent, processes
from perfsvc.runner.events import Failed, Measured, Progress, Stage

from .conftest import Toy

Leftovers = Callable[[], list[str]]


def report(result: agent.Result) -> RunReport:
    assert isinstance(result, Measured), result
    (found,) = (each for each in bundle.read(result.bundle) if isinstance(each, RunReport))
    return found


def said(result: agent.Result) -> str:
    return "\n".join(report(result).messages)


def value(run: RunReport, benchmark: str) -> float:
    return next(each.value for each in run.measurements if each.benchmark == benchmark)


class Sitting:
    """One list of commits, measured once for all the tests that look at it."""

    def __init__(self, toy: Toy) -> None:
        self.told: list[Progress] = []
        names = ["good", "wrong", "broken", "elsewhere", "tip"]
        commits = [*(toy.hashes[name] for name in names), "no-such-commit"]
        results = list(agent.measure(toy.request(), commits, progress=self.told.append))
        self.results = dict(zip([*names, "unknown"], results, strict=True))


@pytest.fixture(scope="module")
def sitting(toy: Toy) -> Sitting:
    return Sitting(toy)


def test_each_commit_has_its_own_value_whatever_the_suite_revisions_package_says(sitting: Sitting) -> None:
    assert value(report(sitting.results["good"]), "speed.track_steps") == 3
    assert value(report(sitting.results["wrong"]), "speed.track_steps") == 4


def test_a_bundle_says_where_its_numbers_come_from(sitting: Sitting, toy: Toy) -> None:
    run = report(sitting.results["good"])
    assert run.commit.hash == toy.hashes["good"]
    assert (run.commit.subject, run.commit.author) == ("good", "Ada")
    assert run.suite_revision == toy.hashes["tip"]
    assert run.machine == run.machine_facts["machine"] == "toy-cpu"
    assert run.environment is not None
    assert run.environment.fingerprint["python"]["version"] == ".".join(map(str, sys.version_info[:3]))
    assert run.environment.fingerprint["variables"]["OMP_NUM_THREADS"] == "1"
    assert {"before", "after"} == set(run.canary) == set(run.readings)
    assert run.facts[0].imported_from.endswith("commit/toy/__init__.py")
    assert run.duration is not None
    assert run.duration > 0


def test_times_are_measured_every_round_and_exact_values_once(sitting: Sitting) -> None:
    rounds = {each.benchmark: len(each.rounds) for each in report(sitting.results["good"]).measurements}
    assert rounds == {"speed.Speed.time_work": 2, "speed.track_steps": 1}


def test_a_case_that_the_commit_lacks_is_a_skip_with_a_reason(sitting: Sitting) -> None:
    assert [skip.benchmark for skip in report(sitting.results["good"]).skips] == ["speed.track_later"]
    assert "module 'toy' has no attribute 'later'" in said(sitting.results["good"])
    assert not report(sitting.results["tip"]).skips


def test_guards_of_the_suite_revision_judge_the_commits_package(sitting: Sitting) -> None:
    outcomes = {name: report(sitting.results[name]).guards[0].outcome for name in ("good", "wrong", "tip")}
    assert outcomes == {"good": Outcome.PASSED, "wrong": Outcome.FAILED, "tip": Outcome.PASSED}


def test_a_commit_whose_import_fails_is_told_and_the_others_go_on(sitting: Sitting) -> None:
    failed = sitting.results["broken"]
    assert isinstance(failed, Failed)
    assert "toy is broken on purpose" in failed.reason


def test_a_package_from_another_tree_is_no_measurement(sitting: Sitting) -> None:
    failed = sitting.results["elsewhere"]
    assert isinstance(failed, Failed)
    assert "measured /somewhere/else/toy/__init__.py, wanted the commit's own tree" in failed.reason


def test_an_unknown_commit_is_told(sitting: Sitting) -> None:
    failed = sitting.results["unknown"]
    assert isinstance(failed, Failed)
    assert "no-such-commit" in failed.reason


def test_progress_counts_benchmarks_and_commits(sitting: Sitting, toy: Toy) -> None:
    mine = [each for each in sitting.told if each.commit == toy.hashes["good"]]
    assert (mine[0].index, mine[0].total) == (0, 6)
    stages = list(dict.fromkeys(each.stage for each in mine))
    assert stages == [Stage.CHECKOUT, Stage.CANARY, Stage.GUARDS, Stage.BENCHMARKS]
    counted = [(each.done, each.of) for each in mine if each.of]
    assert counted[0] == (1, 6)
    assert counted[-1] == (4, 4)  # the exact one and the failing one are not run again


def test_nothing_is_left_behind(sitting: Sitting, toy: Toy, leftovers: Leftovers) -> None:
    assert isinstance(sitting.results["good"], Measured)
    assert list((toy.home / "work" / "cpu").iterdir()) == []
    assert leftovers() == []


def test_a_suite_that_hangs_ends_at_its_limit_and_the_next_commit_is_measured(toy: Toy, leftovers: Leftovers) -> None:
    settings = toy.settings(measure={"rounds": 1, "timeout": 4.0, "launch_method": "spawn"}, guards={})
    started = time.monotonic()
    hung, good = agent.measure(toy.request(settings=settings), [toy.hashes["hangs"], toy.hashes["good"]])
    assert isinstance(hung, Failed)
    assert "not measured within 4 s ([measure] timeout), ended in round 1" in hung.reason
    assert value(report(good), "speed.track_steps") == 3
    assert time.monotonic() - started < 30
    assert leftovers() == []


def test_cancelling_ends_every_process_at_once(toy: Toy, leftovers: Leftovers) -> None:
    told: list[Progress] = []

    def cancelled() -> bool:
        return bool(told) and told[-1].stage is Stage.BENCHMARKS and bool(leftovers())

    with pytest.raises(processes.Interrupted, match="cancelled"):
        list(agent.measure(toy.request(guards=False), [toy.hashes["hangs"]], progress=told.append, cancelled=cancelled))
    assert leftovers() == []
    assert list((toy.home / "work" / "cpu").iterdir()) == []


RUNNER = """
import sys
from pathlib import Path
from perfsvc.runner import agent
from perfsvc.settings import Settings
settings = Settings.load(None, home=Path(sys.argv[2]))
request = agent.Request(Path(sys.argv[1]), settings, python=Path(sys.argv[3]), guards=False)
list(agent.measure(request, [sys.argv[4]], progress=lambda told: print(told.stage, told.text, flush=True)))
"""


def test_what_a_killed_runner_left_is_cleared_by_the_next(toy: Toy, leftovers: Leftovers) -> None:
    command = [sys.executable, "-c", RUNNER, str(toy.folder), str(toy.home), str(toy.python), toy.hashes["hangs"]]
    runner = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert runner.stdout is not None
    assert any(line.startswith("benchmarks") for line in runner.stdout)
    wait_for(lambda: any("time.sleep(600)" in line for line in leftovers()))
    with pytest.raises(RunnerError, match=f"measured on already by process {runner.pid}"):
        list(agent.measure(toy.request(guards=False), [toy.hashes["good"]]))
    os.kill(runner.pid, signal.SIGKILL)
    runner.wait()
    (good,) = agent.measure(toy.request(guards=False, rounds=1), [toy.hashes["good"]])
    assert value(report(good), "speed.track_steps") == 3
    assert leftovers() == []
    assert list((toy.home / "work" / "cpu").iterdir()) == []


def test_a_suite_that_cannot_be_imported_says_why(tmp_path: Path, toy: Toy) -> None:
    mine = Toy(tmp_path, toy.python)
    mine.write("benchmarks/odd.py", "raise ImportError('the suite is broken on purpose')\n")
    mine.commit("broken suite")
    (failed,) = agent.measure(mine.request(guards=False), [mine.hashes["good"]])
    assert isinstance(failed, Failed)
    assert "asv measured nothing in round 1" in failed.reason
    assert "the suite is broken on purpose" in failed.reason


def test_a_folder_without_a_suite_is_refused(tmp_path: Path, toy: Toy) -> None:
    with pytest.raises(RunnerError, match=r"no asv\.conf\.json"):
        list(agent.measure(agent.Request(tmp_path, toy.settings()), ["HEAD"]))


def wait_for(what: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.1)
