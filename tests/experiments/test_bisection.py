"""Which commit to build next, on a range of eight: a is the last good one, h the first bad one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsvc.experiments import Side, next_step

RANGE = tuple("abcdefgh")


def test_the_middle_is_built_first() -> None:
    step = next_step(RANGE, {})
    assert (step.build, step.suspects, step.culprit) == ("d", tuple("bcdefgh"), None)


def test_neighbours_need_no_build() -> None:
    step = next_step("gh", {})
    assert (step.build, step.culprit) == (None, "h")
    assert step.reason == "g is good and h, the next one, is not"


def test_a_commit_that_does_not_build_is_stepped_around() -> None:
    assert next_step(RANGE, {"d": Side.UNBUILDABLE}).build == "e"


def test_what_cannot_be_told_apart_is_named_with_its_reason() -> None:
    step = next_step(RANGE, {"d": Side.GOOD, "f": Side.BAD, "e": Side.UNBUILDABLE})
    assert (step.build, step.suspects, step.culprit) == (None, ("e", "f"), None)
    assert step.reason == "cannot be told apart: e does not build"
    assert "without a verdict" in next_step("abc", {"b": Side.UNDECIDED}).reason


def test_where_it_went_there_and_back_the_first_bad_commit_counts() -> None:
    assert next_step(RANGE, {"b": Side.GOOD, "c": Side.BAD, "e": Side.GOOD}).culprit == "c"


def test_a_range_has_two_ends() -> None:
    with pytest.raises(ValueError, match="got 1"):
        next_step("a", {})


@given(n=st.integers(2, 200), data=st.data())
def test_the_culprit_is_named_within_log_n_builds(n: int, data: st.DataObject) -> None:
    commits = [f"c{i}" for i in range(n)]
    culprit = data.draw(st.integers(1, n - 1))
    known: dict[str, Side] = {}
    while build := (step := next_step(commits, known)).build:
        known[build] = Side.BAD if commits.index(build) >= culprit else Side.GOOD
    assert step.culprit == commits[culprit]
    assert len(known) <= (n - 1).bit_length()


@given(n=st.integers(2, 40), data=st.data())
def test_the_culprit_is_always_among_the_suspects(n: int, data: st.DataObject) -> None:
    commits = [f"c{i}" for i in range(n)]
    culprit = data.draw(st.integers(1, n - 1))
    broken = data.draw(st.sets(st.sampled_from(commits[1:-1]))) if n > 2 else set()
    known: dict[str, Side] = {}
    while build := (step := next_step(commits, known)).build:
        side = Side.BAD if commits.index(build) >= culprit else Side.GOOD
        known[build] = Side.UNBUILDABLE if build in broken else side
    assert commits[culprit] in step.suspects
    assert set(step.suspects[:-1]) <= broken
