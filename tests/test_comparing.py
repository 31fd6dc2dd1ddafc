"""What a comparison says of its benchmarks: from turns to verdicts, without a process."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsvc.experiments import LOOKS
from perfsvc.model import Benchmark, Direction, GuardResult, Metric, Outcome
from perfsvc.runner.posts import Answer
from perfsvc.runner.turns import Case, Seat, Turn
from perfsvc.work import comparing
from perfsvc.work.comparing import BAD, Compared, Comparison, Verdict, direction_of, first_look, look_at

TIME = Metric("time", "seconds", Direction.LOWER)
COUNT = Metric("operators", "operators", Direction.LOWER, exact=True)
MIRRORED = {Verdict.SLOWER: Verdict.FASTER, Verdict.FASTER: Verdict.SLOWER}

rounds = st.sampled_from(LOOKS)
seeds = st.integers(0, 10_000)
factors = st.floats(0.8, 1.25)


def case(metric: Metric = TIME) -> Case:
    return Case(Benchmark("b.time_x", "1", metric), (), metric, 60.0, None, None)


def turn(base: float, head: float, again: float | None = None) -> Turn:
    values = {Seat.BASE: base, Seat.HEAD: head, Seat.AGAIN: base if again is None else again}
    return {seat: Answer(value) for seat, value in values.items()}


def noisy(seed: int, number: int, factor: float, *, sigma: float = 0.01) -> list[Turn]:
    """Rounds around a millisecond; head is `factor` slower."""
    chance = random.Random(seed)
    draw = lambda: 1e-3 * math.exp(chance.gauss(0.0, sigma))  # noqa: E731
    return [turn(draw(), factor * draw(), draw()) for _ in range(number)]


def scaled(turns: Sequence[Turn], by: float) -> list[Turn]:
    return [{seat: Answer((answer.value or 0.0) * by) for seat, answer in each.items()} for each in turns]


def swapped(turns: Sequence[Turn]) -> list[Turn]:
    return [{Seat.BASE: t[Seat.HEAD], Seat.HEAD: t[Seat.BASE], Seat.AGAIN: t[Seat.HEAD]} for t in turns]


def test_a_slowdown_is_found_and_equal_code_is_the_same() -> None:
    assert look_at(case(), noisy(1, 10, 1.05), 0.03).verdict is Verdict.SLOWER
    assert look_at(case(), noisy(1, 10, 0.95), 0.03).verdict is Verdict.FASTER
    assert look_at(case(), noisy(1, 10, 1.0), 0.03).verdict is Verdict.SAME


def test_noise_is_undecided_and_says_what_would_have_been_seen() -> None:
    row = look_at(case(), noisy(3, 6, 1.02, sigma=0.2), 0.03)
    assert row.verdict is Verdict.UNDECIDED
    assert row.would_see is not None
    assert row.would_see > 0.1
    assert "look again" in row.reason


def test_where_base_differs_from_itself_nothing_is_said() -> None:
    turns = [turn(1.0 + 0.001 * i, 1.2, 1.1 + 0.001 * i) for i in range(6)]
    row = look_at(case(), turns, 0.03)
    assert row.verdict is Verdict.UNDECIDED
    assert "against itself" in row.reason


@given(seed=seeds, number=rounds, factor=factors, by=st.floats(1e-6, 1e6))
def test_a_change_of_unit_changes_no_verdict(seed: int, number: int, factor: float, by: float) -> None:
    turns = noisy(seed, number, factor)
    first, second = (look_at(case(), each, 0.03) for each in (turns, scaled(turns, by)))
    assert first.verdict is second.verdict
    assert first.ratio == pytest.approx(second.ratio)


@given(seed=seeds, number=rounds, factor=factors)
def test_sides_that_change_places_change_verdict_and_ratio(seed: int, number: int, factor: float) -> None:
    turns = [{**each, Seat.AGAIN: each[Seat.BASE]} for each in noisy(seed, number, factor)]
    there, back = look_at(case(), turns, 0.03), look_at(case(), swapped(turns), 0.03)
    assert back.verdict is MIRRORED.get(there.verdict, there.verdict)
    assert there.ratio is not None
    assert back.ratio == pytest.approx(1 / there.ratio)
    assert back.would_see == pytest.approx(there.would_see)


@given(seed=seeds, number=rounds, factor=factors)
def test_a_difference_is_called_only_where_it_would_be_seen(seed: int, number: int, factor: float) -> None:
    row = look_at(case(), noisy(seed, number, factor), 0.03)
    assert row.ratio is not None
    assert row.would_see is not None
    if row.verdict in (Verdict.SLOWER, Verdict.FASTER):
        assert abs(math.log(row.ratio)) >= 0.999 * math.log1p(row.would_see)


@given(seed=seeds, number=rounds, factor=factors)
def test_higher_is_better_turns_the_words_around(seed: int, number: int, factor: float) -> None:
    turns = noisy(seed, number, factor)
    lower = look_at(case(), turns, 0.03).verdict
    higher = look_at(case(Metric("rate", "1/s", Direction.HIGHER)), turns, 0.03).verdict
    neither = look_at(case(Metric("share", "1", Direction.NEITHER)), turns, 0.03).verdict
    assert higher is MIRRORED.get(lower, lower)
    assert neither is (Verdict.CHANGED if lower in MIRRORED else lower)


def test_a_round_that_failed_is_left_out_and_told() -> None:
    turns = noisy(1, 10, 1.05)
    turns[4] = {**turns[4], Seat.HEAD: Answer(None, "killed")}
    row = look_at(case(), turns, 0.03)
    assert row.verdict is Verdict.SLOWER
    assert "1 without two values left out" in row.reason


@given(base=st.integers(0, 10**9), head=st.integers(0, 10**9))
def test_exact_values_are_settled_by_one_round(base: int, head: int) -> None:
    row = first_look(case(COUNT), {Seat.BASE: Answer(base), Seat.HEAD: Answer(head)})
    assert row is not None
    wanted = Verdict.SAME if base == head else Verdict.SLOWER if head > base else Verdict.FASTER
    assert (row.verdict, row.would_see, row.pairs) == (wanted, 0.0, 1)


def test_timings_need_more_than_one_round() -> None:
    assert first_look(case(), turn(1.0, 9.0)) is None


@pytest.mark.parametrize(
    ("base", "head", "verdict", "reason"),
    [
        (Answer(1.0), Answer(None, "KeyError: 'mask'"), Verdict.FAILS, "head: KeyError"),
        (Answer(1.0), Answer(None, "gone", skipped=True), Verdict.NOT_COMPARED, "head: gone"),
        (Answer(None, "not there yet", skipped=True), Answer(1.0), Verdict.NOT_COMPARED, "base: not there yet"),
        (Answer(None, "broken"), Answer(None, "broken too"), Verdict.NOT_COMPARED, "base: broken; head: broken too"),
    ],
)
def test_a_value_that_is_missing_is_told(base: Answer, head: Answer, verdict: Verdict, reason: str) -> None:
    row = first_look(case(), {Seat.BASE: base, Seat.HEAD: head, Seat.AGAIN: base})
    assert row is not None
    assert row.verdict is verdict
    assert reason in row.reason


@given(ratio=st.floats(0.1, 10).filter(lambda r: r != 1.0))
def test_worse_is_slower_or_less(ratio: float) -> None:
    assert (direction_of(ratio, TIME) in BAD) is (ratio > 1)
    assert (direction_of(ratio, Metric("rate", "1/s", Direction.HIGHER)) in BAD) is (ratio < 1)


def row(name: str, verdict: Verdict, ratio: float | None = None) -> Compared:
    return Compared(name, "time", "seconds", False, verdict, "", ratio=ratio)


@given(st.lists(st.tuples(st.sampled_from(list(Verdict)), st.none() | st.floats(0.01, 100)), max_size=20))
def test_rows_comeworst_first(found: list[tuple[Verdict, float | None]]) -> None:
    rows = [row(str(i), *each) for i, each in enumerate(found)]
    ordered = [list(Verdict).index(each.verdict) for each in sorted(rows, key=comparing.worst_first)]
    assert ordered == sorted(ordered)


def guard(name: str, covers: str) -> GuardResult:
    return GuardResult(name, f"test_{name}", Outcome.FAILED, covers=covers)


def test_what_a_broken_guard_covers_is_wrong_however_fast_it_is() -> None:
    fast = row("forward.time('sdpa')", Verdict.FASTER, 0.5)
    told = comparing.believed(fast, [guard("G4", "sdpa")])
    assert told.verdict is Verdict.WRONG
    assert told.reason.startswith("G4 fails on head; faster")
    assert comparing.believed(fast, [guard("G4", "'plain'")]) is fast


@pytest.mark.parametrize("verdict", list(Verdict))
def test_only_what_is_worse_is_worse(verdict: Verdict) -> None:
    done = Comparison("a", "b", "cpu", (row("x", verdict),), (), (), 1.0)
    assert done.is_worse is (verdict in {Verdict.WRONG, Verdict.FAILS, Verdict.SLOWER})
    assert Comparison("a", "b", "cpu", (), ("G1 test",), (), 1.0).is_worse
