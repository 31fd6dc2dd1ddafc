"""What people do with alerts: each step is written down, and holds for the series at once."""

from __future__ import annotations

import pytest

from perfsvc import triage
from perfsvc.errors import NotFound, TriageError
from perfsvc.model import AlertState, Verdict
from tests.bench import Bench


@pytest.fixture
def slow(stored_bench: Bench) -> Bench:
    """One open alert about one count."""
    stored_bench.runs(count_a=[4.0, 4.0, 5.0])
    stored_bench.process()
    return stored_bench


def alert_id(bench: Bench) -> int:
    return bench.alerts()[0].alert.id


def test_acknowledging_keeps_the_alert_standing(slow: Bench) -> None:
    row = triage.acknowledge(slow.store, alert_id(slow), actor="Ada")
    assert row.state is AlertState.ACKNOWLEDGED
    assert slow.series("count_a").verdict is Verdict.SLOWER


@pytest.mark.parametrize("decide", [triage.accept, triage.dismiss])
def test_a_decision_settles_its_series_and_the_next_judgement_says_the_same(slow: Bench, decide: object) -> None:
    decide(slow.store, alert_id(slow), actor="Ada", reason="meant")  # type: ignore[operator]
    settled = slow.series("count_a")
    assert (settled.verdict, settled.ratio) == (Verdict.STEADY, None)
    slow.judge_all_again()
    assert slow.series("count_a") == settled


def test_reopening_brings_the_verdict_back(slow: Bench) -> None:
    before = slow.series("count_a")
    triage.dismiss(slow.store, alert_id(slow), actor="Ada", reason="noise")
    row = triage.reopen(slow.store, alert_id(slow), actor="Bob", reason="it is not")
    assert row.state is AlertState.OPEN
    assert slow.series("count_a") == before
    slow.judge_all_again()
    assert slow.series("count_a") == before


def test_a_series_with_another_standing_alert_stays_slower(stored_bench: Bench) -> None:
    stored_bench.runs(count_a=[4.0, 4.0, 5.0, 5.0, 8.0])
    stored_bench.process()
    first, second = (alert.alert.id for alert in stored_bench.alerts())
    triage.accept(stored_bench.store, second, actor="Ada", reason="meant")
    row = stored_bench.series("count_a")
    assert (row.verdict, row.ratio) == (Verdict.SLOWER, 1.25)
    stored_bench.judge_all_again()
    assert stored_bench.series("count_a") == row
    triage.accept(stored_bench.store, first, actor="Ada", reason="meant as well")
    assert stored_bench.series("count_a").verdict is Verdict.STEADY


def test_who_did_what_and_why_is_written_down(slow: Bench) -> None:
    triage.acknowledge(slow.store, alert_id(slow), actor="Ada")
    triage.accept(slow.store, alert_id(slow), actor="Bob", reason="exact masks cost one more operator")
    told = [(event.actor, event.action, event.reason) for event in slow.only_alert().events]
    assert told == [
        ("perfsvc", "opened", ""),
        ("Ada", "acknowledge", ""),
        ("Bob", "accept", "exact masks cost one more operator"),
    ]


def test_a_step_that_the_state_forbids_changes_nothing(slow: Bench) -> None:
    triage.accept(slow.store, alert_id(slow), actor="Ada", reason="meant")
    before = slow.only_alert()
    with pytest.raises(TriageError, match="cannot dismiss an alert that is accepted; it must be acknowledged, open"):
        triage.dismiss(slow.store, alert_id(slow), actor="Bob", reason="noise")
    assert slow.only_alert() == before


@pytest.mark.parametrize(("actor", "reason", "lacks"), [("", "meant", "name"), ("Ada", "  ", "reason")])
def test_a_decision_without_a_name_or_a_reason_is_refused(slow: Bench, actor: str, reason: str, lacks: str) -> None:
    with pytest.raises(TriageError, match=f"accept needs .*{lacks}"):
        triage.accept(slow.store, alert_id(slow), actor=actor, reason=reason)
    assert slow.only_alert().alert.state is AlertState.OPEN


def test_an_alert_or_a_run_that_is_not_there_is_told(slow: Bench) -> None:
    with pytest.raises(NotFound, match="no alert 99"):
        triage.acknowledge(slow.store, 99, actor="Ada")
    with pytest.raises(NotFound, match="no run 99"):
        triage.exclude(slow.store, 99, actor="Ada", reason="busy")


@pytest.mark.parametrize(("actor", "reason", "lacks"), [("", "busy", "name"), ("Ada", "", "reason")])
def test_excluding_needs_a_name_and_a_reason(slow: Bench, actor: str, reason: str, lacks: str) -> None:
    with pytest.raises(TriageError, match=f"exclude needs .*{lacks}"):
        triage.exclude(slow.store, 1, actor=actor, reason=reason)


def test_excluding_the_only_bad_run_withdraws_its_alert_at_the_next_judgement(slow: Bench) -> None:
    triage.exclude(slow.store, 3, actor="Ada", reason="an old build")
    assert slow.only_alert().alert.state is AlertState.OPEN
    slow.process()
    assert slow.only_alert().alert.state is AlertState.WITHDRAWN
