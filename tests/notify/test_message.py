"""What an alert says to people, in plain text."""

from __future__ import annotations

from perfsvc import notify
from perfsvc.model import Outcome
from tests.bench import Bench, guard, steady


def body(bench: Bench) -> str:
    return notify.compose(bench.only_alert(), "http://127.0.0.1:8643").body


def test_a_slowdown_names_how_much_since_when_where_and_the_way_to_it(bench: Bench) -> None:
    bench.runs(time_a=steady(1.0, 1, 12) + steady(1.5, 2, 8))
    bench.process()
    alert = bench.only_alert()
    message = notify.compose(alert, "http://127.0.0.1:8643")
    assert message.title.startswith("[attention] regression: time_a 1.5")
    lines = message.body.splitlines()
    assert lines[0] == f"REGRESSION in attention (alert {alert.alert.id})"
    assert lines[2].startswith("since: 00000000 change 12 (Ada)")
    assert lines[3] == "on: box"
    assert lines[4].startswith("cause: undecided: ")
    assert "99 % interval" in lines[5]
    assert lines[-1] == f"look: http://127.0.0.1:8643/alert?alert={alert.alert.id}   or: perfsvc show {alert.alert.id}"


def test_a_range_says_how_many_commits_it_has(bench: Bench) -> None:
    bench.run(2, {"count_a": 1.0})
    bench.run(6, {"count_a": 2.0})
    bench.process()
    assert "since: one of 4 commits after 00000000 up to 00000000 change 6 (Ada)" in body(bench)


def test_a_wrong_result_is_loud_and_shows_its_margin(bench: Bench) -> None:
    bench.run(3, guards=[guard()])
    bench.run(4, guards=[guard(Outcome.FAILED, variant="masked", error=0.42, tolerance=1e-6)])
    bench.process()
    message = notify.compose(bench.only_alert(), "")
    assert message.title == "[attention] WRONG RESULT: G4 fails for masked (1 test)"
    assert "G4 masked fails on box: 420,000x the tolerance (test_g4)" in message.body


def test_a_first_failure_without_a_pass_says_so(bench: Bench) -> None:
    bench.run(4, guards=[guard(Outcome.FAILED)])
    bench.process()
    assert "change 4 (Ada); nothing good was measured before it" in body(bench)


def test_a_guard_that_passes_again_is_not_said_to_fail(bench: Bench) -> None:
    for place, outcome in enumerate([Outcome.PASSED, Outcome.FAILED, Outcome.PASSED]):
        bench.run(place, guards=[guard(outcome)])
        bench.process()
    message = notify.compose(bench.only_alert(), "")
    assert message.title.startswith("[attention] recovered: ")
    assert "G4 passes again on box (test_g4)" in message.body


def test_only_the_worst_members_are_listed(bench: Bench) -> None:
    for place, value in enumerate([1.0, 2.0]):
        bench.run(place, {f"count_{n}": value for n in range(8)})
    bench.process()
    assert body(bench).count("more operators (") == 5
    assert "  and 3 more" in body(bench)


def test_a_name_from_the_repository_forges_no_line(bench: Bench) -> None:
    bench.run(0, guards=[guard()])
    hostile = "G4\nlook: http://evil\x1b[31m\u202egnp"
    bench.run(1, guards=[guard(Outcome.FAILED, variant=hostile)])
    bench.process()
    message = notify.compose(bench.only_alert(), "")
    assert not any(line.startswith("look: http://evil") for line in message.body.splitlines())
    assert "\x1b" not in message.title + message.body
    assert "\u202e" not in message.title + message.body
