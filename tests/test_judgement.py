"""One series from points to a word: what is found, what it is the same as, and what is told of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from perfsvc import judgement
from perfsvc.judgement import Judged, judge
from perfsvc.model import ChangeKind, ChangeState, Direction, Verdict
from perfsvc.rows import ChangeRow, CommitRow, PointRow, SeriesRow
from perfsvc.settings import DetectSection
from tests.bench import NOON, steady

TIME = SeriesRow(
    1, "attention", "time_a", "1", (), (), "time", "seconds", Direction.LOWER, False, "box",
    Verdict.NO_DATA, None, None, None, None, 0, (), None, None,
)  # fmt: skip
COUNT = replace(TIME, benchmark="count_a", metric="operators", unit="1", exact=True)
RATE = replace(TIME, benchmark="rate_a", metric="rate", unit="1", direction=Direction.HIGHER)
PLAIN = replace(TIME, benchmark="plain_a", metric="plain", unit="1", direction=Direction.NEITHER)


def commit(place: int, *, on_line: bool = True) -> CommitRow:
    return CommitRow(place + 1, f"{place:040x}", place if on_line else None, NOON + timedelta(place), "Ada", "")


def points(
    values: Sequence[float | None],
    *,
    wrong: Sequence[int] = (),
    moved: int | None = None,
    noisy: Sequence[int] = (),
    at: Sequence[int] | None = None,
) -> list[PointRow]:
    """A point a value; `moved`: where the environment moves; `noisy`: runs with a wide spread; `at`: their places."""
    made = []
    for i, value in enumerate(values):
        environment = "one" if moved is None or i < moved else "two"
        half = None if value is None else value * (0.2 if i in noisy else 0.005)
        made.append(
            PointRow(
                commit=commit(at[i] if at else i),
                value=value,
                q25=None if value is None or half is None else value - half,
                q75=None if value is None or half is None else value + half,
                runs=(i,),
                wrong=i in wrong,
                skip="" if value is not None else "it failed",
                environment=environment,
                measured_at=NOON,
            )
        )
    return made


def judged(
    series: SeriesRow, made: Sequence[PointRow], kept: Sequence[ChangeRow] = (), *, minimum_effect: float = 0.01
) -> Judged:
    return judge(series, made, kept, DetectSection(), minimum_effect)


def places(found: Judged) -> list[tuple[int | None, int | None]]:
    return [(f.last_good.commit.position, f.first_bad.commit.position) for f in found.findings]


def row_of(found: Judged, number: int = 0, state: ChangeState = ChangeState.REPORTED) -> ChangeRow:
    """What the store would keep of a finding."""
    one = found.findings[number]
    c = one.change
    return ChangeRow(
        number + 1, 1, "time_a", "time", "seconds", "box", c.kind, state, one.worse, c.ratio, c.ratio_low,
        c.ratio_high, c.before, c.after, c.p, 0.01, c.n_before, c.n_after, (), "", one.last_good.commit,
        one.first_bad.commit, 1, NOON,
    )  # fmt: skip


STEP = steady(1.0, 1, 12) + steady(1.3, 2, 10)


def test_a_step_is_found_between_its_last_good_and_first_bad_commit() -> None:
    found = judged(TIME, points(STEP))
    assert places(found) == [(11, 12)]
    assert found.findings[0].worse
    assert max(found.p_worse) < 1e-4
    assert found.p_better == (1.0,)


def test_the_range_spans_commits_without_a_value() -> None:
    values: list[float | None] = [*STEP[:12], None, None, *STEP[12:]]
    assert places(judged(TIME, points(values))) == [(11, 14)]


def test_a_wrong_value_is_no_evidence_for_a_level() -> None:
    """A kernel that computes nothing is fast: neither a change, nor the level that others are compared with."""
    values = steady(1.0, 1, 12) + steady(0.2, 2, 10)
    assert places(judged(TIME, points(values, wrong=range(12, 22)))) == []
    assert places(judged(COUNT, points([4.0, 4.0, 9.0, 4.0], wrong=[2]))) == []


@pytest.mark.parametrize(("series", "worse"), [(TIME, True), (COUNT, True), (RATE, False), (PLAIN, False)])
def test_which_way_is_worse_is_told_by_the_metric(series: SeriesRow, worse: bool) -> None:
    values = [4.0] * 8 + [5.0] * 8 if series.exact else STEP
    assert [f.worse for f in judged(series, points(values)).findings] == [worse]


def test_an_exact_metric_needs_one_point() -> None:
    found = judged(COUNT, points([4.0, 4.0, 5.0]))
    assert places(found) == [(1, 2)]
    assert found.minimum_detectable_effect == 0.0
    assert found.p_worse == (1.0,), "certain, and no matter of a false discovery rate"


def test_a_smaller_step_than_its_minimum_effect_is_nobodys_business() -> None:
    assert places(judged(TIME, points(STEP), minimum_effect=0.5)) == []


def test_noisy_runs_are_no_evidence_for_a_level() -> None:
    values = steady(1.0, 1, 20) + steady(1.5, 2, 4)
    assert places(judged(TIME, points(values))) == [(19, 20)]
    assert places(judged(TIME, points(values, noisy=[20, 22]))) == []


def test_many_series_are_judged_as_each_by_itself() -> None:
    cases = [
        judgement.Case(series, points(values, noisy=noisy), (), effect)
        for series, values, noisy, effect in [
            (TIME, STEP, (), 0.01),
            (TIME, STEP, (3, 13), 0.01),
            (TIME, STEP, (), 0.5),
            (COUNT, [4.0, 4.0, 5.0], (), 0.01),
            (TIME, [], (), 0.01),
        ]
    ]
    together = judgement.judge_all(cases, DetectSection())
    assert together == [judge(c.series, c.points, c.kept, DetectSection(), c.minimum_effect) for c in cases]


# --- environments -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moved", "told"), [(12, True), (11, True), (13, True), (5, False), (18, False), (None, False)]
)
def test_a_step_where_the_environment_moved_says_so(moved: int | None, told: bool) -> None:
    (finding,) = judged(TIME, points(STEP, moved=moved)).findings
    assert finding.environment_moved is told


def test_an_exact_change_is_where_it_is() -> None:
    for moved, told in ((2, True), (1, False), (3, False)):
        (finding,) = judged(COUNT, points([4.0, 4.0, 5.0, 5.0], moved=moved)).findings
        assert finding.environment_moved is told


# --- the same change, night after night -------------------------------------------------------------------------------


def test_a_step_that_moved_a_little_is_the_same() -> None:
    kept = replace(row_of(judged(TIME, points(STEP))), first_bad=commit(15), last_good=commit(14))
    again = judged(TIME, points(STEP), [kept])
    assert [f.kept and f.kept.id for f in again.findings] == [1]
    assert again.withdrawn == ()
    assert again.p_worse == (1.0,), "what is told is not tested again"


def test_a_change_that_later_data_do_not_show_is_withdrawn() -> None:
    kept = row_of(judged(TIME, points(STEP)))
    again = judged(TIME, points(steady(1.0, 3, 22)), [kept])
    assert (again.findings, [row.id for row in again.withdrawn]) == ((), [1])


def test_what_was_withdrawn_is_not_withdrawn_again_and_may_come_back() -> None:
    kept = row_of(judged(TIME, points(STEP)), state=ChangeState.WITHDRAWN)
    assert judged(TIME, points(steady(1.0, 3, 22)), [kept]).withdrawn == ()
    (finding,) = judged(TIME, points(STEP), [kept]).findings
    assert finding.kept == kept
    assert not finding.told


def test_a_commit_between_that_was_measured_later_narrows_the_same_change() -> None:
    kept = row_of(judged(COUNT, points([4.0, 5.0], at=[2, 9])))
    (finding,) = judged(COUNT, points([4.0, 5.0, 5.0], at=[2, 6, 9]), [kept]).findings
    assert finding.kept == kept
    assert (finding.last_good.commit.position, finding.first_bad.commit.position) == (2, 6)


def test_a_change_keeps_itself_when_its_first_commit_is_excluded() -> None:
    kept = row_of(judged(COUNT, points([4.0, 4.0, 5.0, 5.0])))
    (finding,) = judged(COUNT, points([4.0, 4.0, 5.0], at=[0, 1, 3]), [kept]).findings
    assert finding.kept == kept


def test_a_change_the_other_way_is_another() -> None:
    kept = row_of(judged(COUNT, points([4.0, 4.0, 5.0])))
    again = judged(COUNT, points([4.0, 4.0, 3.0]), [kept])
    assert again.findings[0].kept is None
    assert again.withdrawn == (kept,)


def test_of_two_changes_each_is_paired_with_the_nearest() -> None:
    """The first must not take what is kept of the second."""
    values = steady(1.0, 1, 20) + steady(1.3, 2, 8) + steady(1.7, 3, 20)
    alone = judged(TIME, points(values))
    assert places(alone) == [(19, 20), (27, 28)]
    kept = row_of(alone, 1)
    again = judged(TIME, points(values), [kept])
    assert [f.kept for f in again.findings] == [None, kept]


def test_a_change_whose_commits_left_the_line_is_withdrawn() -> None:
    kept = row_of(judged(TIME, points(STEP)))
    gone = replace(kept, first_bad=commit(12, on_line=False), last_good=commit(11, on_line=False))
    again = judged(TIME, points(STEP), [gone])
    assert [f.kept for f in again.findings] == [None]
    assert again.withdrawn == (gone,)


# --- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("series", "made", "word"),
    [
        (TIME, points([]), Verdict.NO_DATA),
        (TIME, points([1.0, None]), Verdict.NO_DATA),
        (TIME, points([1.0, 1.01]), Verdict.NEW),
        (TIME, points(steady(1.0, 1, 20, noise=0.9)), Verdict.NOISY),
        (TIME, points(steady(1.0, 1, 20)), Verdict.STEADY),
        (COUNT, points([4.0]), Verdict.STEADY),
        (TIME, points(steady(1.0, 1, 20), wrong=[19]), Verdict.WRONG),
    ],
)
def test_a_series_without_a_standing_change_has_a_word(series: SeriesRow, made: list[PointRow], word: Verdict) -> None:
    assert judgement.verdict(judged(series, made), []) == (word, None)


@pytest.mark.parametrize(("series", "word"), [(TIME, Verdict.SLOWER), (RATE, Verdict.FASTER), (PLAIN, Verdict.CHANGED)])
def test_the_newest_standing_change_speaks(series: SeriesRow, word: Verdict) -> None:
    found = judged(series, points(STEP))
    assert judgement.verdict(found, found.findings) == (word, found.findings[-1].change.ratio)


@pytest.mark.parametrize(
    ("newest", "noisy", "word"), [(1.4, (), Verdict.SUSPECT), (1.4, (30,), Verdict.STEADY), (1.0, (), Verdict.STEADY)]
)
def test_an_odd_newest_point_is_a_suspect_unless_its_run_was_noisy(
    newest: float, noisy: Sequence[int], word: Verdict
) -> None:
    found = judged(TIME, points([*steady(1.0, 1, 30), newest], noisy=noisy))
    assert judgement.verdict(found, []) == (word, None)


def test_an_old_change_is_no_news() -> None:
    values = steady(1.3, 1, 12) + steady(1.0, 2, judgement.NEWS_POINTS + 1)
    (finding,) = judged(TIME, points(values)).findings
    assert not finding.recent


# --- the family -------------------------------------------------------------------------------------------------------


def family(*p_values: float) -> list[float]:
    """q of each, in a family of one series each."""
    one = judged(TIME, points(STEP))
    found = judgement.family([replace(one, p_worse=(p,)) for p in p_values], worse=True)
    return [found[p] for p in p_values]


def test_a_family_tells_by_how_many_were_asked() -> None:
    assert family(0.04) == [pytest.approx(0.04)]
    assert family(0.04, *[1.0] * 99)[0] == 1.0
    assert family(0.0001, *[1.0] * 99)[0] == pytest.approx(0.01)


def test_a_weak_change_does_not_ride_on_a_strong_one_of_its_series() -> None:
    one = judged(TIME, points(STEP))
    quiet = [replace(one, p_worse=(1.0,))] * 99
    found = judgement.family([replace(one, p_worse=(1e-9, 0.009)), *quiet], worse=True)
    assert found[1e-9] < 0.05 < found[0.009]


def test_what_was_told_leaves_and_makes_nobody_else_bolder() -> None:
    assert family(0.01, 0.02, 1.0)[1] < family(1.0, 0.02, 1.0)[1]


def test_a_family_of_nobody_is_empty() -> None:
    assert judgement.family([], worse=True) == {}


def test_exact_changes_trends_and_flagged_steps_are_not_tested() -> None:
    (finding,) = judged(TIME, points(STEP)).findings
    assert judgement.is_tested(finding)
    for odd in (
        replace(finding.change, kind=ChangeKind.EXACT),
        replace(finding.change, kind=ChangeKind.TREND),
        replace(finding.change, flags=frozenset({"transient"})),
    ):
        assert not judgement.is_tested(replace(finding, change=odd))


def test_a_missing_value_is_not_a_number_to_the_method() -> None:
    values = judgement.Case(TIME, points([1.0, None, 3.0], wrong=[2]), (), 0.01).values
    assert values[0] == 1.0
    assert [math.isnan(v) for v in values] == [False, True, True]
