"""Which commit to build next, to name the one that changed a series. Pure: what is known in, the next step out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Side(StrEnum):
    """What is known of a commit between the last good and the first bad one."""

    GOOD = "good"
    BAD = "bad"
    UNBUILDABLE = "does not build"
    UNDECIDED = "undecided"  #: its experiment could not tell


#: States that close a commit for good: it is not tried again, and stays among the suspects.
CLOSED = frozenset({Side.UNBUILDABLE, Side.UNDECIDED})


@dataclass(frozen=True, slots=True)
class BisectStep:
    """A commit to build, or the end: the suspects, one of which (the only one, if all went well) made the change."""

    build: str | None
    suspects: tuple[str, ...]  #: in order of time
    reason: str

    @property
    def culprit(self) -> str | None:
        """The commit that made the change, once it is the only suspect left."""
        return self.suspects[0] if self.build is None and len(self.suspects) == 1 else None


def next_step(commits: Sequence[str], known: Mapping[str, Side]) -> BisectStep:
    """The untried commit nearest to the middle of what is left, or the verdict.

    commits: in order of time, from the last good to the first bad one, both included; neither needs an entry.
    Where good and bad alternate (the series went there and back), the last good commit before the first bad one counts.
    Raises: ValueError for fewer than two commits.
    """
    if len(commits) < 2:
        raise ValueError(f"a range has a good and a bad end, got {len(commits)} commits")
    states = [known.get(commit) for commit in commits]
    states[0], states[-1] = Side.GOOD, Side.BAD
    bad = states.index(Side.BAD)
    good = max(i for i in range(bad) if states[i] is Side.GOOD)
    suspects = tuple(commits[good + 1 : bad + 1])
    if still_open := [i for i in range(good + 1, bad) if states[i] is None]:
        middle = (good + bad) / 2.0
        nearest = min(still_open, key=lambda i: (abs(i - middle), i))
        return BisectStep(commits[nearest], suspects, f"{len(suspects)} commits may have made the change")
    closed = [f"{commits[i]} {_why(states[i])}" for i in range(good + 1, bad)]
    if not closed:
        return BisectStep(None, suspects, f"{commits[good]} is good and {commits[bad]}, the next one, is not")
    return BisectStep(None, suspects, f"cannot be told apart: {'; '.join(closed)}")


def _why(state: Side | None) -> str:
    assert state in CLOSED
    return "does not build" if state is Side.UNBUILDABLE else "was measured without a verdict"
