"""Of many series judged together, which are told."""

from __future__ import annotations

import pytest
import scipy.stats

from perfsvc.detect import q_values, worse_p
from perfsvc.model import Change, ChangeKind, Direction

SLOWER = Change(index=10, ratio=1.2, ratio_low=1.1, ratio_high=1.3, p=0.001)
FASTER = Change(index=20, ratio=0.8, ratio_low=0.7, ratio_high=0.9, p=0.0001)


def test_q_values_are_those_of_benjamini_and_hochberg() -> None:
    p = [0.01, 0.04, 0.03, 0.005, 1.0, 1.0]
    assert q_values(p) == pytest.approx(list(scipy.stats.false_discovery_control(p)))


def test_a_family_of_one_or_none() -> None:
    assert q_values([]) == []
    assert q_values([0.02]) == [0.02]


def test_series_without_a_candidate_make_the_others_less_sure() -> None:
    assert q_values([0.01])[0] == 0.01
    assert q_values([0.01] + [1.0] * 9)[0] == pytest.approx(0.1)


def test_a_series_brings_its_surest_step_for_the_worse() -> None:
    assert worse_p([SLOWER, FASTER], Direction.LOWER) == 0.001
    assert worse_p([SLOWER, FASTER], Direction.HIGHER) == 0.0001
    assert worse_p([SLOWER, FASTER], Direction.NEITHER) == 1.0
    assert worse_p([], Direction.LOWER) == 1.0


def test_what_was_there_before_this_report_is_not_tested_again() -> None:
    assert worse_p([SLOWER], Direction.LOWER, since=10) == 0.001
    assert worse_p([SLOWER], Direction.LOWER, since=11) == 1.0


def test_flagged_steps_and_trends_are_not_alerted() -> None:
    flagged = Change(10, 1.2, 1.1, 1.3, 0.001, flags=frozenset({"transient"}))
    trend = Change(10, 1.2, 1.1, 1.3, 0.001, kind=ChangeKind.TREND)
    assert worse_p([flagged, trend], Direction.LOWER) == 1.0
