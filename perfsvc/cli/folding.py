"""Many parametrised cases of one guard as one line: how many, how they ended, and the worst of them. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from perfsvc import units
from perfsvc.model import Outcome
from perfsvc.rows import CommitRow, GuardRow

MESSAGE_SHOWN = 100

#: The outcome that speaks for many, first; of these, passed ones are the ones that people count on.
WORST_FIRST = (Outcome.FAILED, Outcome.NOT_RUN, Outcome.PASSED, Outcome.NOT_APPLICABLE)


@dataclass(frozen=True, slots=True)
class Fold:
    """A guard and variant on a machine. `says`: the first line of the worst case's message."""

    guard: str
    variant: str
    machine: str
    outcome: str  #: `2 failed, 10 passed`
    margin: str
    commit: CommitRow
    test: str
    says: str


def folded(rows: Sequence[GuardRow], *, each: bool) -> list[Fold]:
    """In the order of the rows' first mention. each: one line a row, nothing folded."""
    groups: dict[tuple[str, ...], list[GuardRow]] = {}
    for row in rows:
        key = (row.guard, row.variant, row.machine, row.test if each else "")
        groups.setdefault(key, []).append(row)
    return [_fold(group) for group in groups.values()]


def _fold(group: Sequence[GuardRow]) -> Fold:
    worst = min(group, key=_how_bad)
    counts = {outcome: sum(row.outcome is outcome for row in group) for outcome in WORST_FIRST}
    return Fold(
        guard=worst.guard,
        variant=worst.variant,
        machine=worst.machine,
        outcome=worst.outcome.value if len(group) == 1 else cases({o.value: n for o, n in counts.items()}),
        margin=units.margin(worst.error, worst.tolerance),
        commit=worst.commit,
        test=worst.test,
        says=worst.message.strip().split("\n")[0][:MESSAGE_SHOWN],
    )


def _how_bad(row: GuardRow) -> tuple[int, float]:
    return WORST_FIRST.index(row.outcome), -_size(row)


def _size(row: GuardRow) -> float:
    """The margin as something to sort by: an error that is no number, or that none is allowed of, is the largest."""
    if row.error is None:
        return 0.0
    return math.inf if row.margin is None or math.isnan(row.margin) else row.margin


def cases(counts: Mapping[str, int]) -> str:
    """`2 failed, 10 passed`; what is none is not named."""
    return ", ".join(f"{number} {name}" for name, number in counts.items() if number)
