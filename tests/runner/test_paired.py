"""Two commits of the toy in one sitting: whose code is measured, in which order, and what only one side has."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from perfsvc.errors import GitError, NotFound, RunnerError
from perfsvc.model import Outcome
from perfsvc.runner import paired, preparation, processes
from perfsvc.runner.listing import chooser
from perfsvc.runner.request import Request
from perfsvc.runner.turns import Seat
from perfsvc.settings import Settings

from .conftest import Toy

Leftovers = Callable[[], list[str]]
STEPS = "speed.track_steps"


def test_a_selection_reads_as_asvs_does() -> None:
    name = "forward.Forward.time_forward('cached', 'b4')"
    for bench, wanted in (
        *(("", True), ("time_.*cached", True), ("(?i)TIME_", True), ("plain", False)),
        *(("!plain", True), ("!cached", False)),
    ):
        assert chooser(bench)(name) is wanted, bench


def test_each_side_is_measured_in_its_own_tree(toy: Toy, leftovers: Leftovers) -> None:
    with paired.opened(toy.request(guards=False), toy.hashes["good"], toy.hashes["wrong"]) as sitting:
        times = ["speed.Speed.time_work(10)", "speed.Speed.time_work(20)"]
        assert sorted(case.label for case in sitting.cases) == [*times, "speed.track_later", STEPS]
        turns = sitting.round(1, sitting.cases)
        again = sitting.round(2, [case for case in sitting.cases if case.label.endswith("(20)")])
    assert {seat: answer.value for seat, answer in turns[STEPS].items()} == {Seat.BASE: 3, Seat.HEAD: 4}
    assert set(turns["speed.Speed.time_work(10)"]) == set(Seat)
    assert all((answer.value or 0) > 0 for answer in turns["speed.Speed.time_work(10)"].values())
    assert all("no attribute 'later'" in answer.reason for answer in turns["speed.track_later"].values())
    assert list(again) == ["speed.Speed.time_work(20)"]
    assert leftovers() == []
    assert not list((toy.home / "work").glob("*/*"))


def test_a_benchmark_of_the_bases_suite_alone_is_told(toy: Toy) -> None:
    with paired.opened(toy.request(guards=False, bench="speed"), toy.hashes["good"], fewer_benchmarks(toy)) as sitting:
        assert [case.label for case in sitting.cases] == [STEPS]
        lacking = dict(sitting.lacking)
    assert "base's own suite" in lacking["speed.track_later"]


def fewer_benchmarks(toy: Toy) -> str:
    """A commit beside the branch whose suite has one benchmark left; the branch stays where it was."""
    toy.git("checkout", "--quiet", "-B", "fewer")
    suite = (toy.folder / "benchmarks" / "speed.py").read_text()
    left = suite[suite.index("def track_steps") : suite.index("def track_later")]
    toy.write("benchmarks/speed.py", f"import json, os\n{suite[suite.index('def tell') : suite.index('class')]}{left}")
    commit = toy.commit("fewer")
    toy.git("checkout", "--quiet", "main")
    return commit


def test_an_import_that_fails_is_each_cases_reason(toy: Toy) -> None:
    with paired.opened(toy.request(guards=False), toy.hashes["good"], toy.hashes["broken"]) as sitting:
        turns = sitting.round(1, sitting.cases)
    assert turns[STEPS][Seat.BASE].value == 3
    assert "toy is broken on purpose" in turns[STEPS][Seat.HEAD].reason


def test_the_wrong_tree_ends_the_sitting(toy: Toy) -> None:
    with (
        paired.opened(toy.request(guards=False), toy.hashes["good"], toy.hashes["elsewhere"]) as sitting,
        pytest.raises(RunnerError, match="/somewhere/else"),
    ):
        sitting.round(1, sitting.cases)


def test_asvs_command_line_tells_of_the_same_cases(toy: Toy) -> None:
    request = toy.request(guards=False, bench="!10")
    with paired.opened(request, toy.hashes["good"], toy.hashes["wrong"], by_asv=True) as sitting:
        turns = sitting.round(1, sitting.cases)
    assert sorted(turns) == ["speed.Speed.time_work(20)", "speed.track_later", STEPS]
    assert {seat: answer.value for seat, answer in turns[STEPS].items()} == {Seat.BASE: 3, Seat.HEAD: 4}
    assert all((answer.value or 0) > 0 for answer in turns["speed.Speed.time_work(20)"].values())
    assert all("no attribute 'later'" in answer.reason for answer in turns["speed.track_later"].values())


def test_guards_of_both_sides(toy: Toy) -> None:
    with paired.opened(toy.request(), toy.hashes["good"], toy.hashes["wrong"]) as sitting:
        results, said = sitting.guards()
    assert [guard.outcome for guard in results[Seat.BASE]] == [Outcome.PASSED]
    assert [guard.outcome for guard in results[Seat.HEAD]] == [Outcome.FAILED]
    assert said == ()


def test_what_cannot_begin_says_why(toy: Toy) -> None:
    good = toy.hashes["good"]
    for error, reason, arguments in (
        (GitError, "no commit is called 'nothing'", {"base": "nothing", "head": good}),
        (NotFound, "matches none of speed.Speed.time_work", {"base": good, "head": good, "bench": "nothing"}),
        (RunnerError, "not a regular expression", {"base": good, "head": good, "bench": "("}),
    ):
        request = toy.request(guards=False, bench=arguments.pop("bench", ""))
        with pytest.raises(error, match=reason), paired.opened(request, **arguments):
            pass


def test_a_commit_that_no_branch_holds_says_so(toy: Toy) -> None:
    with paired.opened(toy.request(guards=False), toy.hashes["good"], toy.hashes["good"]):
        pass  # by now there is a mirror
    toy.git("checkout", "--quiet", "--detach")
    loose = toy.commit("loose")
    toy.git("checkout", "--quiet", "main")
    with (
        pytest.raises(GitError, match="is on no branch and no tag"),
        paired.opened(toy.request(guards=False), toy.hashes["good"], loose),
    ):
        pass


def test_a_cancelled_sitting_leaves_nothing(toy: Toy, leftovers: Leftovers) -> None:
    stopped: list[bool] = []
    with (
        pytest.raises(processes.Interrupted),
        paired.opened(
            toy.request(guards=False), toy.hashes["good"], toy.hashes["hangs"], cancelled=lambda: bool(stopped)
        ) as sitting,
    ):
        sitting.round(1, sitting.cases, told=lambda *_: threading.Timer(0.5, stopped.append, [True]).start())
    assert leftovers() == []
    assert not list((toy.home / "work").glob("*/*"))


def test_a_commit_is_measured_in_what_it_orders_itself(toy: Toy, tmp_path: Path) -> None:
    today = Settings.load(None, home=toy.home, environment={"requirements": ["numpy"]})
    request, conf = toy.request(settings=today, python=None), {"matrix": {"req": {"torch": ["2.13.0"]}}}
    (tmp_path / "asv.conf.json").write_text('{"version": 1}')
    assert requirements(request, tmp_path, conf) == requirements(request, tmp_path / "nowhere", conf) == ("numpy",)
    (tmp_path / "perfsvc.toml").write_text('[environment]\nrequirements = ["numpy==1.26"]\n')
    assert requirements(request, tmp_path, conf) == ("numpy==1.26",)
    (tmp_path / "perfsvc.toml").write_text("[of_another_day]\n")
    assert requirements(request, tmp_path, conf) == ("numpy",)


def requirements(request: Request, folder: Path, conf: dict[str, Any]) -> tuple[str, ...]:
    lock = preparation.ordered(request, *paired.own(folder, request.settings, conf))
    return tuple(line for line in lock.requirements if not line.startswith(("asv_runner", "pympler", "pytest")))
