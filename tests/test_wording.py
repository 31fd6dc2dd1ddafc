"""What an alert says of itself."""

from __future__ import annotations

from perfsvc.wording import operators


def test_the_operators_that_moved_are_named_the_largest_move_first() -> None:
    before, after = {"mm": 3, "add": 5, "triu": 0}, {"mm": 3, "add": 1, "ones": 1}
    assert operators(before, after) == "add 5 -> 1; ones 0 -> 1"


def test_where_no_operator_moved_nothing_is_said() -> None:
    assert operators({"mm": 3}, {"mm": 3, "triu": 0}) == ""
