"""What an alert says of itself."""

from __future__ import annotations

import pytest

from perfsvc.model import Cause
from perfsvc.wording import cause_of, operators


@pytest.mark.parametrize(
    ("exact", "environment_moved", "canary_moved", "cause"),
    [
        (True, False, False, Cause.CODE),
        (False, True, False, Cause.ENVIRONMENT),
        (False, False, True, Cause.MACHINE),
        (False, False, False, Cause.UNDECIDED),
        (True, True, True, Cause.CODE),  # a count moved on a machine where nothing else did
    ],
)
def test_the_code_is_blamed_on_counts_alone(
    exact: bool, environment_moved: bool, canary_moved: bool, cause: Cause
) -> None:
    found, why = cause_of(exact=exact, environment_moved=environment_moved, canary_moved=canary_moved)
    assert found is cause
    assert why


def test_the_operators_that_moved_are_named_the_largest_move_first() -> None:
    before, after = {"mm": 3, "add": 5, "triu": 0}, {"mm": 3, "add": 1, "ones": 1}
    assert operators(before, after) == "add 5 -> 1; ones 0 -> 1"


def test_where_no_operator_moved_nothing_is_said() -> None:
    assert operators({"mm": 3}, {"mm": 3, "triu": 0}) == ""
