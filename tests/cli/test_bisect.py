"""`perfsvc bisect`: from a range to the commit, by an exact count, which needs one round a step."""

from __future__ import annotations

import pytest

from perfsvc.experiments import Side
from perfsvc.work.bisecting import side_of, size
from perfsvc.work.comparing import Compared, Verdict
from tests.cli.conftest import Call
from tests.cli.toy import BROKEN, FILES, SLOWER, Toy

BENCH = ("--bench", "track_steps")


@pytest.fixture
def longer(toy: Toy) -> Toy:
    """good, good, slower (the toy's own three), then three that change nothing."""
    for number in range(3):
        toy.commit(f"note {number}", ("NOTES", f"{number}\n"))
    return toy


def test_the_commit_is_named_with_its_author_and_the_ways_to_it(perfsvc: Call, longer: Toy) -> None:
    said = perfsvc("bisect", longer.hashes[0], *BENCH)
    assert said.code == 1
    (*_, named) = said.out.splitlines()
    assert named == f"{longer.hashes[2][:12]}  Ada  tidy up, they said"
    assert f"{longer.hashes[2][:8]} is bad: exact: 45 before, 55 now" in said.err


def test_a_commit_that_does_not_import_is_gone_around(perfsvc: Call, toy: Toy) -> None:
    good = toy.commit("back", ("toy/__init__.py", FILES["toy/__init__.py"]))
    broken = toy.commit("broken", ("toy/__init__.py", BROKEN))
    slow = toy.commit("slow", ("toy/__init__.py", SLOWER))
    last = toy.commit("note", ("NOTES", "x\n"))
    told = perfsvc("bisect", good, last, "--json", *BENCH)
    found = told.json()["bisection"]
    assert told.code == 1
    assert [commit["hash"] for commit in found["suspects"]] == [broken, slow]
    assert f"{broken} does not build" in found["reason"]


def test_ends_that_do_not_differ_have_no_culprit(perfsvc: Call, longer: Toy) -> None:
    said = perfsvc("bisect", longer.hashes[2], "HEAD", *BENCH)
    assert said.code == 0
    assert "the ends do not differ for the worse: speed.track_steps is same" in said.out


def test_a_range_that_holds_no_commit_is_refused(perfsvc: Call, toy: Toy) -> None:
    said = perfsvc("bisect", "HEAD", "HEAD~1", *BENCH)
    assert said.code == 2
    assert "of A..B, B is the newer end" in said.err


@pytest.mark.parametrize("sought", [Verdict.SLOWER, Verdict.CHANGED, Verdict.FAILS])
def test_what_is_sought_is_bad_what_runs_is_good_and_the_rest_is_open(sought: Verdict) -> None:
    assert side_of(sought, sought) is Side.BAD
    assert side_of(Verdict.SAME, sought) is Side.GOOD
    assert side_of(Verdict.FASTER, sought) is Side.GOOD
    assert side_of(Verdict.UNDECIDED, sought) is Side.UNDECIDED
    assert side_of(Verdict.NOT_COMPARED, sought) is Side.UNBUILDABLE
    assert side_of(Verdict.FAILS, Verdict.SLOWER) is Side.UNBUILDABLE


@pytest.mark.parametrize(("ratio", "wanted"), [(1.05, 0.05), (0.8, 0.25), (None, 0.03), (float("inf"), 0.03)])
def test_the_size_of_a_change_is_that_of_its_larger_side(ratio: float | None, wanted: float) -> None:
    row = Compared("x", "time", "seconds", False, Verdict.SLOWER, "", ratio=ratio)
    assert size(row) == pytest.approx(wanted)
