"""What detect_changes says of series small enough to see. One digit of a series is one hundredth of its level."""

from __future__ import annotations

import math

import pytest

from perfsvc.detect import detect_batch, detect_changes
from perfsvc.model import Change, ChangeKind

NAN = math.nan


def values(digits: str) -> list[float]:
    """'3' is 1.03 seconds, '.' a missing point, '!' a run four times as slow."""
    special = {".": NAN, "!": 4.0}
    return [special.get(digit) or 1.0 + int(digit) / 100.0 for digit in digits]


def only(found: list[Change]) -> Change:
    assert len(found) == 1, found
    return found[0]


def test_a_slowdown_at_the_seventh_of_ten_commits_is_found_with_four_points() -> None:
    series = [1.00, 1.02, 0.99, 1.01, 1.00, 0.98, 1.22, 1.25, 1.21, 1.24]
    change = only(detect_changes(series))
    assert change.index == 6
    assert change.ratio == pytest.approx(1.23, abs=0.01)
    assert change.ratio_low < change.ratio < change.ratio_high
    assert change.p <= 0.01
    assert (change.n_before, change.n_after) == (6, 4)
    assert change.before == pytest.approx(1.0, abs=0.01)
    assert change.after == pytest.approx(1.23, abs=0.01)
    assert change.auc == 1.0
    assert change.kind is ChangeKind.STEP
    assert change.flags == frozenset()


def test_two_points_of_a_new_level_are_not_yet_a_change() -> None:
    assert detect_changes([1.0] * 20 + [1.3, 1.3]) == []
    assert only(detect_changes([1.0] * 20 + [1.3, 1.3, 1.3])).index == 20


@pytest.mark.parametrize(
    ("old", "new", "seen"), [(3, 4, False), (4, 3, False), (4, 4, True), (7, 3, False), (8, 3, True)]
)
def test_how_few_points_are_enough_for_a_clear_step(old: int, new: int, seen: bool) -> None:
    jitter = [0.0, 0.01, -0.008, 0.006, -0.011, 0.009, -0.004, 0.007, 0.002, -0.003, 0.004]
    series = [1.0 + 0.25 * (i >= old) + jitter[i] for i in range(old + new)]
    assert [change.index for change in detect_changes(series)] == [old] * seen


def test_a_single_spike_is_not_a_change() -> None:
    assert detect_changes(values("012101201!0121021012")) == []
    assert detect_changes(values("012101201102101201!")) == []


def test_two_spikes_side_by_side_are_not_a_change() -> None:
    assert detect_changes(values("012101201!!121021012")) == []


def test_a_step_down_is_a_ratio_below_one() -> None:
    assert only(detect_changes(values("8978798787" + "1021201021"))).ratio == pytest.approx(0.94, abs=0.01)


def test_up_and_down_again_are_two_changes() -> None:
    found = detect_changes(values("0121012010" + "9898999898" + "0121012010"))
    assert [change.index for change in found] == [10, 20]
    assert found[0].ratio > 1.0 > found[1].ratio


def test_the_index_counts_missing_points() -> None:
    change = only(detect_changes(values("..012.1012.010" + "98.989998")))
    assert change.index == 14


def test_a_missing_point_at_the_change_leaves_the_first_measured_one_as_index() -> None:
    assert only(detect_changes(values("0121012010" + "..9898999898"))).index == 12


def test_less_than_the_minimum_effect_is_not_told() -> None:
    series = values("0000000000" + "3333333333")
    assert len(detect_changes(series)) == 1
    assert detect_changes(series, minimum_effect=0.05) == []


def test_a_steady_slope_is_a_trend_and_not_a_step() -> None:
    jitter = (0.0, 0.011, -0.008, 0.004, -0.004, 0.012, -0.01)
    series = [1.0 + 0.004 * i + jitter[i % 7] for i in range(40)]
    found = detect_changes(series)
    trend = only(found)
    assert trend.kind is ChangeKind.TREND
    assert trend.before == pytest.approx(1.0, abs=0.02)
    assert trend.after == pytest.approx(1.16, abs=0.02)


def test_zero_and_negative_values_are_judged_on_the_linear_scale() -> None:
    change = only(detect_changes([0.0] * 10 + [5.0] * 10))
    assert (change.index, change.before, change.after, change.ratio) == (10, 0.0, 5.0, math.inf)
    change = only(detect_changes([-3.0, -3.1] * 6 + [-2.0, -2.1] * 6))
    assert (change.index, change.ratio) == (12, math.inf)
    assert change.after > change.before


def test_the_linear_scale_can_be_asked_for() -> None:
    change = only(detect_changes(values("0121012010" + "9898999898"), scale="linear"))
    assert (change.index, round(change.ratio, 2)) == (10, 1.08)
    with pytest.raises(ValueError, match="not 'cubic'"):
        detect_changes([1.0], scale="cubic")


def test_an_infinity_is_a_missing_point() -> None:
    assert detect_changes([1.0, math.inf] * 10) == []
    assert detect_changes([1.0, -math.inf, 1.0]) == []


@pytest.mark.parametrize(
    "series", [[], [1.0], [1.0, 2.0], [0.0], [NAN] * 9, [1.0] * 9, [0.0] * 9, [-1.0] * 9, [math.inf]]
)
def test_too_little_to_say_anything_is_no_change(series: list[float]) -> None:
    assert detect_changes(series) == []


@pytest.mark.parametrize("size", [5e-324, 1e-300, 1e300, 1.7e308])
def test_extreme_sizes_are_values_like_any_other(size: float) -> None:
    detect_changes([size] * 9)
    detect_changes([0.0, size] * 9)
    detect_changes([-size] * 9 + [size] * 9)
    detect_changes([size] * 9 + [1.0] * 9)


def test_noisy_runs_do_not_make_a_level() -> None:
    series = [*values("0121012010"), 1.3, 1.31, 1.29]
    quiet = [0.01] * 13
    assert len(detect_changes(series, spread=quiet)) == 1
    assert len(detect_changes(series, spread=[NAN] * 13)) == 1
    assert detect_changes(series, spread=[0.01] * 12 + [0.05]) == []


def test_a_spread_for_each_value() -> None:
    with pytest.raises(ValueError, match="2 spreads for 3 values"):
        detect_changes([1.0, 2.0, 3.0], spread=[0.1, 0.1])


def test_a_batch_says_what_each_series_says_alone() -> None:
    series = [[], [1.0], values("0121012010" + "98989998"), [0.0] * 9 + [4.0] * 9, values("01.1012!10" * 12), [NAN] * 3]
    series += [[1.0 + 0.01 * ((7 * i * k) % 5) + (i > 20) * 0.1 * k for i in range(30 + k)] for k in range(20)]
    assert detect_batch(series) == [detect_changes(one) for one in series]
    assert detect_batch([]) == []
    assert sum(map(len, detect_batch(series))) > 10
