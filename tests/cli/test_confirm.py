"""`perfsvc confirm`: an alert measured again, by an exact count, and what its history says afterwards."""

from __future__ import annotations

import pytest

from perfsvc.model import Evidence
from perfsvc.work.comparing import Compared, Verdict
from perfsvc.work.confirming import evidence_of
from tests.bench import Bench
from tests.cli.conftest import Call
from tests.cli.toy import Toy


def test_an_alert_that_is_right_is_confirmed_and_its_history_says_so(perfsvc: Call, toy: Toy) -> None:
    assert perfsvc("measure", "--last", "3", "--bench", "track_steps").code == 1
    said = perfsvc("confirm", "1")
    assert said.code == 1
    assert "exact: 45 before, 55 now" in said.out
    assert "alert 1: confirmed" in said.err
    told = perfsvc("show", "1", "--json").json()["alert"]
    (event,) = (event for event in told["events"] if event["action"] == "confirm")
    assert told["alert"]["evidence"] == "confirmed"
    assert event["reason"].startswith("confirmed: speed.track_steps is slower: exact: 45 before, 55 now")


def test_an_alert_about_guards_has_nothing_to_time(perfsvc: Call, story: Bench, toy: Toy) -> None:
    wrong = next(a for a in perfsvc("alerts", "--json").json()["alerts"] if a["kind"] == "wrong result")
    said = perfsvc("confirm", str(wrong["id"]))
    assert said.code == 2
    assert "is a wrong result, about no benchmark" in said.err


def test_an_alert_that_is_not_there_is_refused(perfsvc: Call, story: Bench, toy: Toy) -> None:
    assert perfsvc("confirm", "99").code == 2


@pytest.mark.parametrize(
    ("verdicts", "wanted"),
    [
        ([Verdict.SLOWER, Verdict.SAME], Evidence.CONFIRMED),
        ([Verdict.FAILS], Evidence.CONFIRMED),
        ([Verdict.SAME, Verdict.FASTER], Evidence.NOT_CONFIRMED),
        ([Verdict.SAME, Verdict.NOT_COMPARED], Evidence.NOT_CONFIRMED),
        ([Verdict.SAME, Verdict.UNDECIDED], Evidence.NONE),
        ([Verdict.NOT_COMPARED], Evidence.NONE),
        ([], Evidence.NONE),
    ],
)
def test_one_difference_confirms_and_only_sameness_refutes(verdicts: list[Verdict], wanted: Evidence) -> None:
    rows = [Compared("x", "time", "seconds", False, verdict, "") for verdict in verdicts]
    assert evidence_of(rows) is wanted
