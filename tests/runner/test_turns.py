"""One case in one round, with sides that answer from a list: who is asked when, how often, and what comes of it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsvc.model import Benchmark, Direction, Metric
from perfsvc.runner.posts import Answer, Measures
from perfsvc.runner.turns import ORDERS, VISITS, WITHIN, Case, Seat, best, settled, take

TIME = Metric("time", "seconds", Direction.LOWER)
ORDER = (Seat.BASE, Seat.HEAD, Seat.AGAIN)


class Room:
    """Posts that answer what they were told to, the last of it for ever; `asked`: who was, in their order."""

    def __init__(self, **values: Sequence[float | Answer]) -> None:
        self.asked: list[Seat] = []
        posts = {seat: _Post(self, seat, list(values[seat.name])) for seat in ORDER}
        self.posts = cast("dict[Seat, Measures]", posts)


class _Post:
    def __init__(self, room: Room, seat: Seat, values: list[float | Answer]) -> None:
        self.room, self.seat, self.values = room, seat, values

    def run(self, name: str, index: int | None, timeout: float) -> Answer:
        self.room.asked.append(self.seat)
        value = self.values.pop(0) if len(self.values) > 1 else self.values[0]
        return value if isinstance(value, Answer) else Answer(value)


def case(metric: Metric = TIME) -> Case:
    return Case(Benchmark("b.time_x", "1", metric), (), metric, 60.0, None, None)


def test_base_and_head_go_a_b_b_a_and_every_seat_is_everywhere_equally_often() -> None:
    for first, second in itertools.pairwise(ORDERS):
        if ORDERS.index(first) % 2 == 0:
            assert before(first, Seat.BASE, Seat.HEAD) is not before(second, Seat.BASE, Seat.HEAD)
            assert before(first, Seat.BASE, Seat.AGAIN) is not before(second, Seat.BASE, Seat.AGAIN)
    for place, seat in itertools.product(range(3), Seat):
        assert [order[place] for order in ORDERS].count(seat) == len(ORDERS) / len(Seat)


def before(order: tuple[Seat, ...], one: Seat, other: Seat) -> bool:
    return order.index(one) < order.index(other)


def test_two_visits_that_agree_are_enough_and_the_second_goes_back() -> None:
    room = Room(BASE=[1.0], HEAD=[2.0], AGAIN=[1.0])
    turn = take(case(), room.posts)
    assert {seat: answer.value for seat, answer in turn.items()} == {Seat.BASE: 1.0, Seat.HEAD: 2.0, Seat.AGAIN: 1.0}
    assert room.asked == [*ORDER, *reversed(ORDER)]


def test_all_sides_are_visited_as_often_as_the_one_that_was_disturbed() -> None:
    room = Room(BASE=[1.0], HEAD=[2.9, 2.0, 2.5, 2.001], AGAIN=[1.0])
    assert take(case(), room.posts)[Seat.HEAD].value == 2.0
    assert [room.asked.count(seat) for seat in ORDER] == [4, 4, 4]


def test_nobody_is_visited_for_ever() -> None:
    room = Room(BASE=[1.0], HEAD=[2.0 + i for i in range(50)], AGAIN=[1.0])
    assert take(case(), room.posts)[Seat.HEAD].value == 2.0
    assert room.asked.count(Seat.HEAD) == VISITS


def test_an_exact_case_is_asked_once_and_has_no_control() -> None:
    room = Room(BASE=[12], HEAD=[13], AGAIN=[12])
    assert set(take(case(Metric("operators", "1", Direction.LOWER, exact=True)), room.posts)) == {Seat.BASE, Seat.HEAD}
    assert room.asked == [Seat.BASE, Seat.HEAD]


@pytest.mark.parametrize("visit", [0, 1])
def test_a_visit_that_fails_is_the_answer(visit: int) -> None:
    room = Room(BASE=[1.0], HEAD=[*[2.0] * visit, Answer(None, "killed")], AGAIN=[1.0])
    turn = take(case(), room.posts)
    assert turn[Seat.HEAD] == Answer(None, "killed")
    assert len(room.asked) == 3 * (visit + 1)


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=VISITS))
def test_the_best_is_the_least_disturbed(values: list[float]) -> None:
    assert best(values, Direction.LOWER) == min(values)
    assert best(values, Direction.HIGHER) == max(values)
    assert best(values, Direction.NEITHER) in values


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=VISITS), st.sampled_from(Direction))
def test_settled_is_a_second_value_beside_the_best(values: list[float], direction: Direction) -> None:
    found = best(values, direction)
    others = list(values)
    others.remove(found)
    assert settled(values, direction) is any(abs(value - found) <= WITHIN * found for value in others)
