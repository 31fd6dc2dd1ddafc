"""One alert on one screen, and deciding on it."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.deciding import reproduction
from perfsvc.model import AlertState
from perfsvc.rows import AlertDetail
from perfsvc.store import Store, queries
from tests.dashboard.conftest import Show, address, link, text


def detail(home: Path, alert: int) -> AlertDetail:
    store = Store.open(address(home))
    with store.reading() as tx:
        found = queries.alert(tx, alert)
    store.close()
    return found


def press(page: AppTest, label: str) -> AppTest:
    return next(button for button in page.button if button.label == label).click().run()


def test_it_says_what_by_how_much_since_when_where_and_why(show: Show, month: Path) -> None:
    told = text(show("alert", month, alert="1"))
    for words in (
        "1.42x slower worst",
        "mybox-cpu on",
        "2 series touched",
        "code cause",
        "a deterministic count moved in an unchanged environment",
        "1.08x more operators exact, every run 12 operators 13 operators",
        "masks: build the causal mask on every call Ada 7 days ago",
        "No guard began to fail in this range.",
        "perfsvc opened",
    ):
        assert words in told


def test_a_wrong_result_names_the_guard_and_the_first_wrong_commit(show: Show, month: Path) -> None:
    page = show("alert", month, alert="2")
    assert "G4 masked 420,000x the tolerance" in text(page)
    assert "masks: tidy the offset of the triangle mybox-cpu row 17 reads the future" in text(page)
    assert link(page, "G4 masked").startswith("correctness?project=attention&machine=mybox-cpu&test=tests")


def test_one_command_measures_both_sides_again(month: Path) -> None:
    words = shlex.split(reproduction(detail(month, 1)))
    assert words[:2] == ["asv", "continuous"]
    assert words[-2:] == [detail(month, 1).alert.last_good.hash, detail(month, 1).alert.first_bad.hash]  # type: ignore[union-attr]
    assert shlex.split(reproduction(detail(month, 2)))[:2] == ["perfsvc", "measure"]


def test_the_command_of_a_hostile_name_is_still_one_command(hostile_month: Path) -> None:
    assert shlex.split(reproduction(detail(hostile_month, 1)))[0] == "asv"


@pytest.mark.usefixtures("on_loopback")
def test_accepting_needs_a_reason_and_is_written_down(show: Show, own_month: Path) -> None:
    page = press(show("alert", own_month, alert="1"), "Accept")
    assert "accept needs a reason" in page.warning[0].value
    page.text_input[0].set_value("the old mask was wrong")
    page = press(page, "Accept")
    assert "accept the old mask was wrong" in text(page)
    assert [button.label for button in page.button] == ["Reopen"]
    assert detail(own_month, 1).alert.state is AlertState.ACCEPTED
    assert detail(own_month, 1).events[-1].actor


@pytest.mark.usefixtures("on_loopback")
def test_an_acknowledged_alert_can_be_dismissed_and_reopened(show: Show, own_month: Path) -> None:
    page = press(show("alert", own_month, alert="2"), "Acknowledge")
    assert [button.label for button in page.button] == ["Accept", "Dismiss"]
    page.text_input[0].set_value("the guard was wrong")
    page = press(press(page, "Dismiss"), "Reopen")
    assert detail(own_month, 2).alert.state is AlertState.OPEN
    assert [event.action for event in detail(own_month, 2).events][-3:] == ["acknowledge", "dismiss", "reopen"]


def test_a_stranger_reads_and_does_not_decide(show: Show, month: Path) -> None:
    page = show("alert", month, alert="1")
    assert "You can read this, not decide on it." in text(page)
    assert not page.button


@pytest.mark.usefixtures("on_loopback")
def test_where_names_are_listed_only_those_decide(show: Show, month: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERFSVC_DASHBOARD__TRIAGE", '["somebody else"]')
    assert not show("alert", month, alert="1").button


def test_an_alert_that_is_not_there_is_said_so(show: Show, month: Path) -> None:
    assert "there is no alert 99" in show("alert", month, alert="99").exception[0].message
    assert "which alert?" in show("alert", month).exception[0].message
