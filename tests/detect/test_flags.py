"""A series' habits are flagged, a commit's doing is not."""

from __future__ import annotations

from perfsvc.detect import detect_changes

LOW, HIGH = [1.00, 1.01, 0.99, 1.01, 1.00], [1.20, 1.21, 1.19, 1.21, 1.20]


def flags(series: list[float]) -> list[set[str]]:
    return [set(change.flags) for change in detect_changes(series)]


def test_a_first_step_has_no_flag() -> None:
    assert flags(LOW * 4 + HIGH * 4) == [set()]


def test_a_level_that_was_there_before_for_a_short_while_is_recurrent() -> None:
    assert flags(LOW * 4 + HIGH * 3 + LOW * 6 + HIGH * 4) == [set(), set(), {"recurrent"}]


def test_a_level_that_was_there_before_for_long_is_not_recurrent_the_first_time() -> None:
    assert flags(LOW * 6 + HIGH * 6 + LOW * 6 + HIGH * 6)[2] == set()
    assert flags(LOW * 6 + HIGH * 6 + LOW * 6 + HIGH * 6 + LOW * 6 + HIGH * 6)[4] == {"recurrent"}


def test_a_fix_is_not_recurrent() -> None:
    assert flags(LOW * 4 + HIGH * 4 + LOW * 4)[1] == set()


def test_out_and_back_within_six_points_is_transient_both_ways() -> None:
    assert flags(LOW * 6 + HIGH + LOW * 6) == [{"transient"}, {"transient"}]
    assert flags(LOW * 6 + HIGH + [1.20, 1.21] + LOW * 6) == [set(), set()]
