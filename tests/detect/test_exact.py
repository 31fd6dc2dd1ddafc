"""A metric without noise changes at once, at every other value."""

from __future__ import annotations

import math

from perfsvc.detect import exact_changes
from perfsvc.model import ChangeKind


def test_one_launch_more_is_a_change_with_one_point() -> None:
    (change,) = exact_changes([12, 12, 12, 13])
    assert (change.index, change.before, change.after, change.p) == (3, 12.0, 13.0, 0.0)
    assert change.ratio == change.ratio_low == change.ratio_high == 13 / 12
    assert (change.n_before, change.n_after) == (3, 1)
    assert change.kind is ChangeKind.EXACT


def test_every_other_value_is_a_change() -> None:
    assert [change.index for change in exact_changes([1, 2, 2, 1, 1, 3])] == [1, 3, 5]


def test_missing_points_are_stepped_over_and_counted_in_the_index() -> None:
    assert exact_changes([4.0, math.nan, 4.0, math.inf, 4.0]) == []
    (change,) = exact_changes([math.nan, 4.0, math.nan, 5.0])
    assert (change.index, change.n_before, change.n_after) == (3, 1, 1)


def test_from_nothing_to_something_is_an_infinite_ratio() -> None:
    assert [change.ratio for change in exact_changes([0, 3, 0])] == [math.inf, 0.0]


def test_no_point_and_one_point_are_no_change() -> None:
    assert exact_changes([]) == exact_changes([5]) == exact_changes([5, 5]) == []
