"""Keep, detect, decide, tell: from runs to alerts, night after night."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from perfsvc import pipeline, triage
from perfsvc.model import AlertKind, AlertState, Cause, ChangeState, Commit, Outcome, Verdict
from perfsvc.settings import NotifySection
from perfsvc.store import queries, writes
from tests.bench import NOON, Bench, guard, rows_of, steady

SLOW, WRONG = 7, 10
SLOWER = steady(1.0, 1, 12) + steady(1.5, 2, 8)


def messages(bench: Bench) -> list[str]:
    with bench.store.reading() as tx:
        return [row.title for row in queries.notifications(tx, bench.project)]


def events(bench: Bench, number: int = 0) -> list[str]:
    return [event.action for event in bench.alerts()[number].events]


# --- the story of the demo --------------------------------------------------------------------------------------------


def demo(place: int) -> dict[str, Any]:
    """Commit 7 builds the mask on every call, commit 10 lets it show the future."""
    slow = place >= SLOW
    forward = steady(1.4 if slow else 1.0, place, 1)[0]
    masked = steady(0.6 if place >= WRONG else 1.0, 100 + place, 1)[0]
    outcome = Outcome.FAILED if place >= WRONG else Outcome.PASSED
    return {
        "values": {"time_forward": forward, "count_forward": 13.0 if slow else 12.0, "time_masked": masked},
        "guards": [guard(outcome, covers="masked", variant="masked"), guard(name="G1", covers="forward")],
        "operators": {"aten::mm": 12, "aten::triu": int(slow)},
    }


def test_a_slowdown_and_a_wrong_result_are_two_alerts_that_name_their_commits(stored_bench: Bench) -> None:
    stored_bench.lay(13)
    for place in range(13):
        stored_bench.run(place, **demo(place))
        stored_bench.process()
    regression, wrong = stored_bench.alerts()

    assert (regression.alert.kind, regression.alert.state) == (AlertKind.REGRESSION, AlertState.OPEN)
    assert stored_bench.range(regression) == (SLOW - 1, SLOW)
    assert (regression.alert.commits_in_range, regression.alert.owner) == (1, "Ada")
    assert {c.label for c in regression.changes} == {"time_forward", "count_forward"}
    assert regression.alert.title.startswith("time_forward 1.4")
    assert regression.alert.title.endswith("slower and 1 other series")
    assert regression.alert.cause is Cause.CODE
    assert regression.alert.explanation.endswith("operators: aten::triu 0 -> 1")

    assert (wrong.alert.kind, wrong.alert.state) == (AlertKind.WRONG, AlertState.OPEN)
    assert stored_bench.range(wrong) == (WRONG - 1, WRONG)
    assert [(g.guard, g.variant) for g in wrong.guards] == [("G4", "masked")]

    assert stored_bench.series("time_masked").verdict is Verdict.WRONG
    assert stored_bench.series("time_forward").verdict is Verdict.SLOWER
    with stored_bench.store.reading() as tx:
        points = queries.points(tx, stored_bench.series("time_masked").id)
    assert [p.wrong for p in points] == [False] * 10 + [True] * 3
    assert not any(c.label == "time_masked" for c in stored_bench.changes()), "fast but wrong is no improvement"

    assert len(messages(stored_bench)) == 2
    assert pipeline.send(stored_bench.store, stored_bench.settings, stored_bench.now) == 2
    log = stored_bench.settings.alert_log.read_text()
    assert "REGRESSION in attention (alert 1)" in log
    assert "WRONG RESULT: G4 fails for masked (1 test)" in log
    assert pipeline.send(stored_bench.store, stored_bench.settings, stored_bench.now) == 0


# --- once is enough ---------------------------------------------------------------------------------------------------


def test_processing_twice_changes_nothing(stored_bench: Bench) -> None:
    for place in range(13):
        stored_bench.run(place, **demo(place))
    stored_bench.process()
    before = rows_of(stored_bench.store, times=True)
    again = stored_bench.process()
    assert (again.runs, again.series, again.opened, again.moved) == (0, 0, (), ())
    assert rows_of(stored_bench.store, times=True) == before


def test_judging_everything_again_changes_nothing_but_the_hour(stored_bench: Bench) -> None:
    for place in range(13):
        stored_bench.run(place, **demo(place))
    stored_bench.process()
    before = rows_of(stored_bench.store)
    again = stored_bench.judge_all_again()
    assert again.runs == 13
    assert (again.opened, again.moved) == ((), ())
    assert rows_of(stored_bench.store) == before


def test_a_night_that_repeats_the_last_sends_nothing(bench: Bench) -> None:
    bench.runs(time_a=SLOWER)
    bench.process()
    bench.run(20, {"time_a": 1.5})
    bench.process()
    assert len(messages(bench)) == 1


def test_what_breaks_in_the_middle_leaves_the_runs_waiting(
    stored_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored_bench.runs(time_a=SLOWER)
    before = rows_of(stored_bench.store, times=True)

    def fall(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(writes.judging, "mark_judged", fall)
        with pytest.raises(KeyboardInterrupt):
            stored_bench.process()
    assert rows_of(stored_bench.store, times=True) == before
    assert len(stored_bench.process().opened) == 1


def test_two_processes_at_once_tell_it_once(stored_bench: Bench) -> None:
    stored_bench.runs(time_a=SLOWER, count_a=[4.0] * 12 + [5.0] * 8)
    found: list[pipeline.Processed] = []

    def process() -> None:
        found.append(pipeline.process(stored_bench.store, stored_bench.project, stored_bench.settings, NOON))

    threads = [threading.Thread(target=process) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(len(one.opened) for one in found) == 1
    assert len(stored_bench.alerts()) == len(messages(stored_bench)) == 1


def test_a_run_that_comes_while_others_are_judged_is_not_lost(
    stored_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Judging only reads: others may write meanwhile, and it is done again."""
    stored_bench.runs(time_a=SLOWER[:-1])
    judge, late = pipeline.judgement.judge_all, [stored_bench.report(19, {"time_a": SLOWER[-1]})]

    def interrupted(*arguments: Any) -> Any:
        if late:
            stored_bench.ingest(late.pop())
        return judge(*arguments)

    monkeypatch.setattr(pipeline.judgement, "judge_all", interrupted)
    assert stored_bench.process().runs == 20
    assert stored_bench.series("time_a").points == 20


def test_progress_counts_up_to_the_last_series(bench: Bench) -> None:
    bench.run(0, {f"time_{n}": 1.0 for n in range(3)})
    seen: list[tuple[int, int]] = []
    pipeline.process(bench.store, bench.project, bench.settings, NOON, progress=lambda *one: seen.append(one))
    assert seen == [(3, 3)]


# --- what is told, and what is not ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "values", "word"),
    [
        ("time_a", [1 / v for v in SLOWER], Verdict.FASTER),
        ("rate_a", SLOWER, Verdict.FASTER),
        ("plain_a", SLOWER, Verdict.CHANGED),
        ("count_a", [5.0] * 10 + [4.0] * 10, Verdict.FASTER),
    ],
)
def test_an_improvement_or_a_metric_without_a_direction_is_no_alert(
    bench: Bench, name: str, values: list[float], word: Verdict
) -> None:
    bench.runs(**{name: values})
    bench.process()
    assert bench.alerts() == []
    assert [c.state for c in bench.changes()] == [ChangeState.REPORTED]
    assert bench.series(name).verdict is word


def test_a_rate_that_falls_is_an_alert(bench: Bench) -> None:
    bench.runs(rate_a=[1 / v for v in SLOWER])
    bench.process()
    assert bench.range(bench.only_alert()) == (11, 12)


def test_a_count_from_nothing_to_something_is_an_alert(bench: Bench) -> None:
    bench.runs(count_a=[0.0, 0.0, 3.0])
    bench.process()
    alert = bench.only_alert().alert
    assert (alert.worst_ratio, alert.title) == (None, "count_a from 0 operators to 3 operators")


def test_below_the_threshold_nobody_is_told_and_the_page_shows_it(bench: Bench) -> None:
    bench.settings = bench.settings.model_copy(update={"notify": NotifySection(threshold=2.0)})
    bench.runs(time_a=SLOWER)
    bench.process()
    assert len(bench.alerts()) == 1
    assert messages(bench) == []


def test_what_began_and_ended_before_anybody_looked_is_history(bench: Bench) -> None:
    bench.runs(count_a=[4.0] * 5 + [5.0] * 5 + [4.0] * 5)
    done = bench.process()
    assert bench.only_alert().alert.state is AlertState.RESOLVED
    assert done.opened == ()
    assert messages(bench) == []


def test_a_weak_step_in_a_large_family_is_a_candidate(bench: Bench) -> None:
    weak = steady(1.0, 5, 7) + steady(1.025, 6, 7)
    steadies = {f"time_b{n}": steady(1.0, 100 + n, 14) for n in range(100)}
    bench.runs(time_a=weak)
    bench.process()
    alone = [c.state for c in bench.changes()]
    bench.runs(machine="other", time_a=weak, **steadies)
    bench.process()
    among = [c.state for c in bench.changes() if c.machine == "other" and c.label == "time_a"]
    assert (alone, among) == ([ChangeState.REPORTED], [ChangeState.CANDIDATE])


# --- ranges -----------------------------------------------------------------------------------------------------------


def test_the_range_is_every_commit_that_was_not_measured(bench: Bench) -> None:
    for place, value in ((0, 4.0), (3, 4.0), (8, 5.0)):
        bench.run(place, {"count_a": value})
    bench.process()
    alert = bench.only_alert()
    assert bench.range(alert) == (3, 8)
    assert [bench.place(c) for c in alert.commits] == [4, 5, 6, 7, 8]
    assert (alert.alert.commits_in_range, alert.alert.owner) == (5, "")


def test_a_commit_measured_later_narrows_the_alert(bench: Bench) -> None:
    bench.run(3, {"count_a": 4.0})
    bench.run(8, {"count_a": 5.0})
    bench.process()
    for place, value, narrowed in ((6, 5.0, (3, 6)), (4, 4.0, (4, 6)), (5, 4.0, (5, 6))):
        bench.run(place, {"count_a": value})
        assert bench.process().moved == ()
        assert bench.range(bench.only_alert()) == narrowed
    assert bench.only_alert().alert.owner == "Ada"
    assert len(messages(bench)) == 1


def test_two_machines_with_overlapping_ranges_join_one_alert_and_narrow_it(bench: Bench) -> None:
    for place, value in ((2, 4.0), (7, 5.0)):
        bench.run(place, {"count_a": value}, machine="box")
    bench.process()
    for place, value in ((5, 4.0), (9, 5.0)):
        bench.run(place, {"count_a": value}, machine="other")
    assert bench.process().opened == ()
    alert = bench.only_alert()
    assert bench.range(alert) == (5, 7)
    assert alert.alert.machines == ("box", "other")
    assert events(bench) == ["opened", "joined"]


def test_what_turns_out_to_be_two_commits_becomes_two_alerts(bench: Bench) -> None:
    bench.run(2, {"count_a": 4.0, "count_b": 4.0})
    bench.run(9, {"count_a": 5.0, "count_b": 5.0})
    bench.process()
    bench.run(5, {"count_a": 5.0, "count_b": 4.0})
    assert len(bench.process().opened) == 1
    assert [bench.range(alert) for alert in bench.alerts()] == [(2, 5), (5, 9)]
    assert [alert.alert.changes for alert in bench.alerts()] == [1, 1]


def test_without_git_the_range_is_by_date(bench: Bench) -> None:
    with bench.store.writing() as tx:
        bench.project = writes.catalog.keep_project(tx, "results only", now=NOON)
    for place, value in ((9, 4.0), (3, 5.0)):  # the bench's later places are earlier
        bench.run(place, {"count_a": value})
    bench.run(6, {"count_b": 1.0})
    bench.process()
    alert = bench.only_alert()
    assert [c.hash for c in alert.commits] == [bench.commit(6).hash, bench.commit(3).hash]
    assert alert.alert.commits_in_range == 2


def test_a_commit_off_the_line_changes_nothing(bench: Bench) -> None:
    bench.runs(count_a=[4.0, 4.0, 4.0])
    bench.run(Commit("f" * 40, NOON), {"count_a": 9.0}, guards=[guard(Outcome.FAILED)])
    bench.process()
    assert bench.changes() == []
    assert bench.alerts() == []


# --- an alert's life --------------------------------------------------------------------------------------------------


def test_a_level_that_comes_back_resolves_its_alert(stored_bench: Bench) -> None:
    stored_bench.runs(time_a=SLOWER, count_a=[4.0] * 12 + [5.0] * 8)
    stored_bench.process()
    for place, value in enumerate(steady(1.0, 3, 8), start=20):
        stored_bench.run(place, {"time_a": value, "count_a": 4.0})
        stored_bench.process()
    alert = stored_bench.only_alert()
    assert (alert.alert.state, events(stored_bench)) == (AlertState.RESOLVED, ["opened", "resolve"])
    assert [m.split()[1] for m in messages(stored_bench)] == ["regression:", "recovered:"]


def test_half_of_the_way_back_is_not_back(bench: Bench) -> None:
    bench.runs(time_a=SLOWER + steady(1.25, 3, 10))
    bench.process()
    assert bench.only_alert().alert.state is AlertState.OPEN


def test_one_of_two_levels_back_is_not_enough(bench: Bench) -> None:
    bench.runs(count_a=[4.0, 4.0, 5.0, 4.0], count_b=[4.0, 4.0, 5.0, 5.0])
    bench.process()
    assert bench.only_alert().alert.state is AlertState.OPEN


def test_a_level_that_is_not_back_after_all_reopens_its_alert(bench: Bench) -> None:
    bench.runs(count_a=[4.0, 4.0, 5.0, 4.0])
    bench.process()
    assert bench.only_alert().alert.state is AlertState.RESOLVED
    with bench.store.reading() as tx:
        newest = max(queries.runs(tx, bench.project), key=lambda run: bench.place(run.commit) or 0)
    triage.exclude(bench.store, newest.id, actor="Ada", reason="an old build was measured")
    done = bench.process()
    assert [row.state for row in done.moved] == [AlertState.OPEN]
    assert messages(bench)[-1].startswith("[attention] regression: ")


def test_an_alert_that_later_data_do_not_show_is_withdrawn_and_may_come_back(bench: Bench) -> None:
    bench.runs(count_a=[4.0, 4.0, 5.0])
    bench.process()
    with bench.store.reading() as tx:
        newest = max(queries.runs(tx, bench.project), key=lambda run: bench.place(run.commit) or 0)
    for reason, state in (("busy", AlertState.WITHDRAWN), (None, AlertState.OPEN)):
        with bench.store.writing() as tx:
            writes.runs.exclude_run(tx, newest.id, reason)
        assert [row.state for row in bench.process().moved] == [state]
    assert events(bench) == ["opened", "withdraw", "reopen"]
    assert len(messages(bench)) == 3


def test_an_excluded_run_moves_its_alert_and_opens_no_other(bench: Bench) -> None:
    bench.runs(count_a=[4.0, 4.0, 5.0, 5.0])
    bench.process()
    with bench.store.reading() as tx:
        (first_bad,) = (run for run in queries.runs(tx, bench.project) if bench.place(run.commit) == 2)
    triage.exclude(bench.store, first_bad.id, actor="Ada", reason="busy")
    bench.process()
    assert bench.range(bench.only_alert()) == (1, 3)


def test_a_second_slowdown_is_a_second_alert(bench: Bench) -> None:
    bench.runs(count_a=[4.0, 4.0, 5.0, 5.0, 6.0])
    bench.process()
    assert [bench.range(alert) for alert in bench.alerts()] == [(1, 2), (3, 4)]


def test_what_was_accepted_stays_accepted_when_another_machine_sees_it(bench: Bench) -> None:
    bench.runs(count_a=[4.0, 4.0, 5.0])
    bench.process()
    triage.accept(bench.store, bench.only_alert().alert.id, actor="Ada", reason="meant")
    bench.runs(machine="other", count_a=[4.0, 4.0, 5.0])
    done = bench.process()
    assert (done.opened, done.moved) == ((), ())
    assert bench.only_alert().alert.state is AlertState.ACCEPTED
    assert bench.series("count_a", "other").verdict is Verdict.STEADY


def test_what_was_accepted_is_reopened_when_it_is_much_worse_elsewhere(bench: Bench) -> None:
    bench.runs(count_a=[4.0, 4.0, 5.0])
    bench.process()
    triage.accept(bench.store, bench.only_alert().alert.id, actor="Ada", reason="meant")
    bench.runs(machine="other", count_a=[4.0, 4.0, 8.0])
    assert [row.state for row in bench.process().moved] == [AlertState.OPEN]


# --- environments -----------------------------------------------------------------------------------------------------


def test_an_environment_that_moved_is_not_blamed_on_the_code(bench: Bench) -> None:
    for place in range(20):
        moved = place >= 12
        values = {"time_a": SLOWER[place], "count_a": 5.0 if moved else 4.0}
        bench.run(place, values, environment="two" if moved else "one")
    bench.process()
    alert = bench.only_alert().alert
    assert (alert.cause, alert.explanation) == (
        Cause.ENVIRONMENT,
        "the environment moved between the last good and the first bad run",
    )


def test_a_machine_whose_environment_stood_still_tells_that_it_is_the_code(bench: Bench) -> None:
    for place in range(4):
        bench.run(place, {"count_a": 5.0 if place >= 2 else 4.0}, environment="two" if place >= 2 else "one")
        bench.run(place, {"count_a": 5.0 if place >= 2 else 4.0}, machine="other")
    bench.process()
    assert bench.only_alert().alert.cause is Cause.CODE


# --- guards -----------------------------------------------------------------------------------------------------------

PASSED, FAILED, NOT_RUN, NOT_APPLICABLE = Outcome.PASSED, Outcome.FAILED, Outcome.NOT_RUN, Outcome.NOT_APPLICABLE


def guards(bench: Bench, *outcomes: Outcome | None, machine: str = "box", **more: Any) -> None:
    """A run with this outcome of a guard for each commit from 0 on; None = the commit is not measured."""
    for place, outcome in enumerate(outcomes):
        if outcome is not None:
            bench.run(place, guards=[guard(outcome, **more)], machine=machine)


@pytest.mark.parametrize(
    ("outcomes", "named"),
    [
        ((PASSED, PASSED, FAILED), (1, 2)),
        ((PASSED, FAILED, FAILED), (0, 1)),
        ((FAILED, PASSED, FAILED), (1, 2)),
        ((FAILED,), (None, 0)),  # nothing good was ever seen
        ((None, FAILED, FAILED), (None, 1)),
        ((NOT_APPLICABLE, NOT_APPLICABLE, FAILED), (None, 2)),
        ((PASSED, NOT_RUN, FAILED), (0, 2)),  # it may have begun at the commit that could not say
        ((PASSED, FAILED, NOT_RUN), (0, 1)),  # a time-out is no recovery
        ((PASSED, NOT_APPLICABLE, None, FAILED, NOT_APPLICABLE), (0, 3)),
    ],
)
def test_a_guard_that_fails_names_where_it_began(
    bench: Bench, outcomes: tuple[Outcome | None, ...], named: tuple[int | None, int]
) -> None:
    guards(bench, *outcomes)
    bench.process()
    alert = bench.only_alert()
    assert (alert.alert.kind, bench.range(alert)) == (AlertKind.WRONG, named)
    assert alert.alert.owner == ("Ada" if alert.alert.commits_in_range == 1 else "")


@pytest.mark.parametrize(
    "outcomes", [(PASSED, PASSED), (NOT_RUN, NOT_RUN), (NOT_APPLICABLE,), (PASSED, FAILED, PASSED), (PASSED, NOT_RUN)]
)
def test_a_guard_that_does_not_fail_today_is_no_alert(bench: Bench, outcomes: tuple[Outcome, ...]) -> None:
    guards(bench, *outcomes)
    bench.process()
    assert bench.alerts() == []


def test_a_guard_that_passes_again_resolves_its_alert_and_is_news_when_it_fails_again(stored_bench: Bench) -> None:
    for place, outcome in enumerate([PASSED, FAILED, FAILED, PASSED, FAILED]):
        stored_bench.run(place, guards=[guard(outcome)])
        stored_bench.process()
    first, second = stored_bench.alerts()
    assert (first.alert.state, second.alert.state) == (AlertState.RESOLVED, AlertState.OPEN)
    assert (stored_bench.range(first), stored_bench.range(second)) == ((0, 1), (3, 4))
    assert len(messages(stored_bench)) == 3


def test_two_guards_at_one_commit_are_one_alert_until_both_pass(bench: Bench) -> None:
    for place, (one, two) in enumerate([(PASSED, PASSED), (FAILED, FAILED), (PASSED, FAILED)]):
        bench.run(place, guards=[guard(one, name="G1"), guard(two, name="G4")])
        bench.process()
    alert = bench.only_alert()
    assert (alert.alert.state, alert.alert.title) == (AlertState.OPEN, "G4 fails (1 test)")
    assert [(g.guard, g.recovered_at is None) for g in alert.guards] == [("G1", False), ("G4", True)]


def test_a_commit_measured_later_narrows_a_wrong_result(bench: Bench) -> None:
    guards(bench, PASSED, None, None, None, FAILED)
    bench.process()
    assert bench.range(bench.only_alert()) == (0, 4)
    bench.run(2, guards=[guard(FAILED)])
    bench.process()
    assert bench.range(bench.only_alert()) == (0, 2)


def test_of_several_runs_of_one_commit_the_newest_that_says_something_counts(bench: Bench) -> None:
    guards(bench, PASSED, FAILED)
    bench.run(1, guards=[guard(NOT_RUN)], origin="job:7")
    bench.process()
    assert bench.only_alert().alert.state is AlertState.OPEN
    bench.run(1, guards=[guard(PASSED)], origin="job:8")
    bench.process()
    assert bench.only_alert().alert.state is AlertState.RESOLVED


def test_an_excluded_run_withdraws_what_only_it_showed(bench: Bench) -> None:
    bench.run(0, guards=[guard(FAILED)])
    bench.process()
    triage.exclude(bench.store, 1, actor="Ada", reason="a broken build")
    bench.process()
    assert bench.only_alert().alert.state is AlertState.WITHDRAWN


def test_a_dismissed_wrong_result_stays_dismissed_and_another_guard_reopens_it(bench: Bench) -> None:
    guards(bench, PASSED, FAILED)
    bench.process()
    triage.dismiss(bench.store, bench.only_alert().alert.id, actor="Ada", reason="the test is wrong")
    bench.run(2, guards=[guard(FAILED)])
    assert bench.process().moved == ()
    guards(bench, PASSED, FAILED, name="G1")
    assert [row.state for row in bench.process().moved] == [AlertState.OPEN]


def test_two_machines_see_one_wrong_result(bench: Bench) -> None:
    guards(bench, PASSED, None, FAILED)
    guards(bench, None, PASSED, FAILED, machine="other")
    bench.process()
    alert = bench.only_alert()
    assert (bench.range(alert), alert.alert.machines) == ((1, 2), ("box", "other"))


# --- a line that was rewritten ----------------------------------------------------------------------------------------


def test_a_rewritten_line_withdraws_what_was_found_on_the_old_one(bench: Bench) -> None:
    bench.runs(count_a=[4.0, 4.0, 5.0])
    bench.run(2, {"count_a": 5.0}, guards=[guard(FAILED)], env_name="other")
    bench.process()
    bench.lay(30, branch=1)
    bench.process()
    assert {alert.alert.state for alert in bench.alerts()} == {AlertState.WITHDRAWN}
    assert bench.series("count_a").verdict is Verdict.NO_DATA
    for place, value in ((3, 4.0), (4, 5.0)):
        bench.run(bench.commit(place, branch=1), {"count_a": value})
    bench.process()
    newest = bench.alerts()[-1]
    assert (newest.alert.state, bench.range(newest)) == (AlertState.OPEN, (3, 4))
