"""The sequential A/B rule, on pairs small enough to see."""

from __future__ import annotations

import math

import pytest

from perfsvc.experiments import LOOKS, Pair, judge
from perfsvc.experiments.ab import SHARES
from perfsvc.model import ExperimentVerdict

JITTER = (0.0, 0.004, -0.003, 0.002, -0.004, 0.003, -0.002, 0.001, -0.001, 0.002)


def pairs(ratio: float, n: int, jitter: float = 1.0) -> list[Pair]:
    return [(1.0, ratio * (1.0 + jitter * JITTER[i % len(JITTER)])) for i in range(n)]


def test_five_percent_are_different_at_the_first_look() -> None:
    found = judge(pairs(1.05, 6), minimum_effect=0.02, look=1)
    assert found.verdict is ExperimentVerdict.DIFFERENT
    assert 1.0 < found.low < found.estimate < found.high
    assert found.estimate == pytest.approx(1.05, abs=0.003)
    assert "B differs by 5" in found.reason


def test_equal_sides_are_same_once_the_interval_is_narrow() -> None:
    assert judge(pairs(1.0, 6), minimum_effect=0.01, look=1).verdict is ExperimentVerdict.UNDECIDED
    found = judge(pairs(1.0, 20), minimum_effect=0.01, look=4)
    assert found.verdict is ExperimentVerdict.SAME
    assert "any difference is below 1 %" in found.reason


def test_undecided_says_when_to_look_again_and_when_no_look_is_left() -> None:
    assert "look again after 10 pairs" in judge(pairs(1.01, 6, 5.0), minimum_effect=0.02, look=1).reason
    assert "no look is left" in judge(pairs(1.01, 20, 5.0), minimum_effect=0.01, look=4).reason


def test_a_sure_difference_below_half_the_minimum_effect_is_not_different() -> None:
    assert judge(pairs(1.004, 20, 0.2), minimum_effect=0.01, look=4).verdict is ExperimentVerdict.SAME


def test_one_disturbed_run_moves_nothing() -> None:
    disturbed = [*pairs(1.0, 19), (1.0, 3.0)]
    assert judge(disturbed, minimum_effect=0.01, look=4).verdict is ExperimentVerdict.SAME


def test_only_the_pairs_of_this_look_are_read() -> None:
    assert judge(pairs(1.05, 6) + pairs(1.0, 14), minimum_effect=0.02, look=1).verdict is ExperimentVerdict.DIFFERENT


def test_no_verdict_where_a_differs_from_itself() -> None:
    found = judge(pairs(1.05, 6), minimum_effect=0.02, look=1, control=pairs(1.03, 6))
    assert found.verdict is ExperimentVerdict.UNDECIDED
    assert found.reason == "no verdict: A against itself differs by 3.1 %"
    assert (
        judge(pairs(1.05, 6), minimum_effect=0.02, look=1, control=pairs(1.0, 6)).verdict is ExperimentVerdict.DIFFERENT
    )


def test_a_control_that_was_not_finished_gives_no_verdict() -> None:
    found = judge(pairs(1.05, 6), minimum_effect=0.02, look=1, control=pairs(1.0, 2))
    assert found.reason == "no verdict: A against itself has 2 pairs of 6"


def test_too_few_pairs_are_undecided_and_lost_ones_are_told() -> None:
    found = judge([*pairs(1.05, 5), (1.0, math.nan)], minimum_effect=0.02, look=1)
    assert found.verdict is ExperimentVerdict.UNDECIDED
    assert found.reason == "5 pairs, and the first look takes 6 (1 without two values left out)"
    assert judge([], minimum_effect=0.02, look=1).verdict is ExperimentVerdict.UNDECIDED


def test_sides_can_be_exchanged() -> None:
    there = judge(pairs(1.05, 6), minimum_effect=0.02, look=1)
    back = judge([(b, a) for a, b in pairs(1.05, 6)], minimum_effect=0.02, look=1)
    assert back.verdict is there.verdict
    assert back.estimate == pytest.approx(1.0 / there.estimate)
    assert (back.low, back.high) == pytest.approx((1.0 / there.high, 1.0 / there.low))


@pytest.mark.parametrize("look", [0, 5])
def test_there_are_four_looks(look: int) -> None:
    with pytest.raises(ValueError, match="look is 1 to 4"):
        judge(pairs(1.0, 6), minimum_effect=0.01, look=look)


def test_the_minimum_effect_is_positive() -> None:
    with pytest.raises(ValueError, match="above 0"):
        judge(pairs(1.0, 6), minimum_effect=0.0, look=1)


def test_the_looks_spend_alpha_once() -> None:
    assert len(SHARES) == len(LOOKS)
    assert sum(SHARES) == pytest.approx(1.0)
