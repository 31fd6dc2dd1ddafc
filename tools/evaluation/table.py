"""One table: a row for each question, what is wanted there, and a column for each rule."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

OURS = "ours"  #: as rules.OURS is called


@dataclass(frozen=True, slots=True)
class Goal:
    """What ours must reach: at least, or at most, so much. None: shown beside the others, and nothing asked."""

    least: float | None = None
    most: float | None = None

    def __str__(self) -> str:
        if self.least is not None:
            return f">= {self.least:g}"
        return "" if self.most is None else f"<= {self.most:g}"

    def is_reached(self, value: float) -> bool:
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)


@dataclass(slots=True)
class Table:
    """Rows in the order in which they were asked; a rule that was not asked, or is not installed, has a dash."""

    rules: Sequence[str]
    rows: dict[str, tuple[Goal, dict[str, float]]] = field(default_factory=dict)

    def add(self, question: str, goal: Goal, answers: Mapping[str, float]) -> None:
        self.rows.setdefault(question, (goal, {}))[1].update(answers)

    def missed(self) -> list[str]:
        """Questions whose goal ours does not reach."""
        return [name for name, (goal, answers) in self.rows.items() if not goal.is_reached(answers[OURS])]

    def markdown(self) -> Iterator[str]:
        yield f"| what | wanted | {' | '.join(self.rules)} |"
        yield f"| --- | --- |{' --- |' * len(self.rules)}"
        for name, (goal, answers) in self.rows.items():
            cells = " | ".join(_told(answers.get(rule)) for rule in self.rules)
            yield f"| {name} | {goal} | {cells} |"


def _told(value: float | None) -> str:
    if value is None:
        return "-"
    if math.isinf(value):
        return "never"
    if value >= 100.0:
        return f"{value:.0f}"
    return f"{value:.3g}"
