"""One case in one round: it goes to and fro between base, head, and base again, and each has its best visit.

Neighbours make a process slower for seconds and never faster, so the best of a few visits is nearer to the code than
their median (docs/decisions.md has what that is worth). The visits of a round share its processes; rounds share none.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from perfsvc.model import Benchmark, Direction, Metric, label
from perfsvc.runner.posts import Answer, Measures

VISITS = 5  #: of one case to one side in one round, at most
WITHIN = 0.01  #: fewer, once the two best of each side lie within this


class Seat(StrEnum):
    """Who is measured: one of the two commits, or the first of them once more."""

    BASE = "base"
    HEAD = "head"
    AGAIN = "base again"


#: Base before head in every other round (A B B A); over six rounds each seat is equally often first, second and last.
ORDERS = tuple(
    tuple({"a": Seat.BASE, "b": Seat.HEAD, "c": Seat.AGAIN}[letter] for letter in letters)
    for letters in ("abc", "cba", "bca", "acb", "cab", "bac")
)

Turn = Mapping[Seat, Answer]


@dataclass(frozen=True, slots=True)
class Case:
    """A benchmark with its parameters, and where each side's suite lists it."""

    benchmark: Benchmark
    params: tuple[str, ...]
    metric: Metric
    timeout: float
    base_index: int | None
    head_index: int | None

    @property
    def label(self) -> str:
        return label(self.benchmark.name, self.params)

    def index(self, seat: Seat) -> int | None:
        return self.head_index if seat is Seat.HEAD else self.base_index

    def sits(self, seat: Seat) -> bool:
        """Whether this seat is measured: an exact value needs no control."""
        return seat is not Seat.AGAIN or not self.metric.exact


def take(case: Case, posts: Mapping[Seat, Measures]) -> Turn:
    """Visit the sides, in the order of `posts` and back, until their two best values agree. An exact case goes once.

    Where a visit fails, or is skipped, that is the answer of its side.
    """
    seats = [seat for seat in posts if case.sits(seat)]
    direction = case.metric.direction
    visits: list[Turn] = []
    while True:
        visits.append({seat: posts[seat].run(case.benchmark.name, case.index(seat), case.timeout) for seat in seats})
        seats.reverse()
        if any(answer.value is None for answer in visits[-1].values()):
            return visits[-1]
        values = {seat: [visit[seat].value or 0.0 for visit in visits] for seat in seats}
        if case.metric.exact or len(visits) == VISITS or all(settled(of, direction) for of in values.values()):
            return {seat: Answer(best(of, direction)) for seat, of in values.items()}


def best(values: Sequence[float], direction: Direction) -> float:
    """The value that was disturbed least; of a metric that has no better direction the median."""
    if direction is Direction.NEITHER:
        return statistics.median_low(values)
    return min(values) if direction is Direction.LOWER else max(values)


def settled(values: Sequence[float], direction: Direction) -> bool:
    """Whether a second visit was as good as the best, nearly."""
    found = best(values, direction)
    return sum(abs(value - found) <= WITHIN * abs(found) for value in values) > 1
