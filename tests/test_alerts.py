"""Which findings are told together, and what becomes of an alert."""

from __future__ import annotations

import math
from typing import Any

import pytest

from perfsvc.alerts import Finding, Group, Standing, group, is_recovered, step
from perfsvc.errors import TriageError
from perfsvc.model import AlertState


def sharp(key: int, after: int, upto: int, badness: float = 1.5) -> Finding:
    return Finding(key, after, upto, badness=badness)


def blurred(key: int, after: int, upto: int) -> Finding:
    return Finding(key, after, upto, blurred=True)


def kept(*findings: Finding, state: AlertState = AlertState.OPEN, alert: int = 1) -> Standing:
    return Standing(alert, state, findings)


def shown(groups: list[Group]) -> list[tuple[int | None, tuple[int, int], list[Any]]]:
    return [(one.alert, (one.after, one.upto), sorted(f.key for f in one.findings)) for one in groups]


def test_findings_of_one_commit_are_one_alert() -> None:
    assert shown(group([sharp(1, 6, 7), blurred(2, 6, 7)], [])) == [(None, (6, 7), [1, 2])]


def test_findings_of_two_commits_are_two() -> None:
    assert shown(group([sharp(1, 6, 7), sharp(2, 7, 8)], [])) == [(None, (6, 7), [1]), (None, (7, 8), [2])]


def test_overlapping_ranges_of_two_machines_join_and_narrow() -> None:
    assert shown(group([sharp(1, 2, 7), sharp(2, 5, 9)], [])) == [(None, (5, 7), [1, 2])]


def test_a_step_may_start_one_point_off_its_exact_change() -> None:
    assert shown(group([blurred(1, 7, 8), sharp(2, 6, 7)], [])) == [(None, (6, 7), [1, 2])]
    assert shown(group([blurred(1, 5, 6), sharp(2, 6, 7)], [])) == [(None, (6, 7), [1, 2])]
    assert len(group([blurred(1, 8, 9), sharp(2, 6, 7)], [])) == 2


def test_a_step_narrows_no_sharp_range() -> None:
    assert shown(group([blurred(1, 6, 7), sharp(2, 4, 9)], [])) == [(None, (4, 9), [1, 2])]


def test_steps_narrow_each_other() -> None:
    assert shown(group([blurred(1, 4, 7), blurred(2, 5, 9)], [])) == [(None, (5, 7), [1, 2])]


def test_a_step_joins_what_it_overlaps_before_what_it_is_next_to() -> None:
    assert shown(group([sharp(1, 6, 7), sharp(2, 7, 8), blurred(3, 7, 8)], [])) == [
        (None, (6, 7), [1]),
        (None, (7, 8), [2, 3]),
    ]


def test_a_sharp_finding_says_where_a_kept_step_is() -> None:
    assert shown(group([sharp(2, 6, 7)], [kept(blurred(1, 7, 8))])) == [(1, (6, 7), [1, 2])]


def test_a_kept_alert_narrows_when_commits_between_were_measured() -> None:
    assert shown(group([], [kept(sharp(1, 5, 6), sharp(2, 2, 9))])) == [(1, (5, 6), [1, 2])]


def test_sharp_findings_that_turn_out_to_lie_apart_are_two_alerts() -> None:
    found = group([], [kept(sharp(1, 5, 6), sharp(2, 8, 9))])
    assert shown(found) == [(1, (5, 6), [1]), (None, (8, 9), [2])]
    assert [len(one.joined) for one in found] == [0, 1]


def test_a_step_that_wanders_stays_with_its_alert() -> None:
    assert shown(group([], [kept(sharp(1, 5, 6), blurred(2, 9, 10))])) == [(1, (5, 6), [1, 2])]


def test_a_guard_that_never_passed_joins_what_began_in_its_range() -> None:
    assert shown(group([Finding(("box", "g1"), -1, 12), Finding(("box", "g4"), 9, 10)], [])) == [
        (None, (9, 10), [("box", "g1"), ("box", "g4")])
    ]


@pytest.mark.parametrize("state", [AlertState.RESOLVED, AlertState.WITHDRAWN])
def test_what_is_over_takes_no_new_finding(state: AlertState) -> None:
    assert shown(group([sharp(2, 6, 7)], [kept(sharp(1, 6, 7), state=state)])) == [(None, (6, 7), [2])]


@pytest.mark.parametrize("state", [AlertState.ACCEPTED, AlertState.DISMISSED])
@pytest.mark.parametrize(("badness", "reopened"), [(1.5, False), (1.52, False), (1.8, True), (math.inf, True)])
def test_what_is_worse_reopens_what_was_decided_on(state: AlertState, badness: float, reopened: bool) -> None:
    (one,) = group([sharp(2, 6, 7, badness)], [kept(sharp(1, 6, 7), state=state)])
    assert (one.alert, one.reopened) == (1, reopened)


def test_nothing_reopens_what_is_open() -> None:
    (one,) = group([sharp(2, 6, 7, 9.0)], [kept(sharp(1, 6, 7), state=AlertState.ACKNOWLEDGED)])
    assert not one.reopened


def test_thousands_of_findings_are_grouped_at_once() -> None:
    """A second or so; looking at every group for every finding would take minutes."""
    findings = [sharp(i, i % 3000, i % 3000 + 1) for i in range(30_000)]
    assert len(group(findings, [])) == 3000


@pytest.mark.parametrize(
    ("before", "after", "level", "back"),
    [
        (1.0, 2.0, 1.0, True),
        (1.0, 2.0, 1.2, True),
        (1.0, 2.0, 1.5, False),
        (1.0, 2.0, 0.5, True),  # better than it ever was
        (1.0, 2.0, 3.0, False),
        (2.0, 1.0, 2.0, True),  # a rate that fell and is back
        (2.0, 1.0, 1.1, False),
        (0.0, 4.0, 0.0, True),
        (0.0, 4.0, 3.0, False),
    ],
)
def test_recovered_is_back_or_better(before: float, after: float, level: float, back: bool) -> None:
    assert is_recovered(before, after, level) is back


ALLOWED = {
    ("open", "acknowledge"): "acknowledged",
    ("open", "accept"): "accepted",
    ("open", "dismiss"): "dismissed",
    ("open", "resolve"): "resolved",
    ("open", "withdraw"): "withdrawn",
    ("acknowledged", "accept"): "accepted",
    ("acknowledged", "dismiss"): "dismissed",
    ("acknowledged", "resolve"): "resolved",
    ("acknowledged", "withdraw"): "withdrawn",
    ("accepted", "reopen"): "open",
    ("dismissed", "reopen"): "open",
    ("resolved", "reopen"): "open",
    ("withdrawn", "reopen"): "open",
}


@pytest.mark.parametrize("state", list(AlertState))
@pytest.mark.parametrize("action", ["acknowledge", "accept", "dismiss", "reopen", "resolve", "withdraw"])
def test_a_step_is_allowed_from_some_states_only(state: AlertState, action: str) -> None:
    wanted = ALLOWED.get((state.value, action))
    if wanted is None:
        with pytest.raises(TriageError, match=f"cannot {action} an alert that is {state.value}; it must be "):
            step(state, action, actor="Ada", reason="because")
    else:
        assert step(state, action, actor="Ada", reason="because").value == wanted


def test_a_decision_needs_a_name() -> None:
    with pytest.raises(TriageError, match="needs the name of who does it"):
        step(AlertState.OPEN, "acknowledge", actor=" ", reason="")


@pytest.mark.parametrize("action", ["accept", "dismiss"])
def test_what_others_will_read_needs_a_reason(action: str) -> None:
    with pytest.raises(TriageError, match=f"{action} needs a reason"):
        step(AlertState.OPEN, action, actor="Ada", reason=" ")
