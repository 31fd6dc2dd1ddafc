"""Is it the code? From the facts of a change to one word, and the evidence for it in others.

The surest fact speaks first: a count without noise, then runs that are no evidence at all, then what else moved at the
same commit, then what did not. A fact that nobody collected is None, and decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from perfsvc.model import Cause

#: A fifth of a machine's series at one commit is a crowd: more than half of all changes on shared machines are in one.
CROWD = 0.2


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about one change, or about several that are told as one."""

    exact: bool = False  #: a deterministic count moved, in an unchanged environment
    environment_moved: bool = False  #: the fingerprint, between the last good and the first bad run
    only_noisy_runs: bool = False  #: of the new level, no run's own spread is ordinary
    canary_moved: bool | None = None  #: the machine's own arithmetic and memory read
    share_of_machine: float = 0.0  #: of its series, how many moved at this commit
    machines_moved: int = 0  #: others that show it at this commit, their environments unchanged
    machines_still: int = 0  #: others that measured both sides and do not


def cause_of(facts: Facts) -> tuple[Cause, str]:
    """The word, and why. UNDECIDED is an answer: what was not ruled out is named."""
    if facts.exact:
        return Cause.CODE, "a deterministic count moved in an unchanged environment"
    if facts.only_noisy_runs:
        return Cause.NOISE, "every run of the new level scatters more than three times as much as is usual here"
    if facts.machines_moved:
        return Cause.CODE, f"{_of_machines(facts)} in the same range of commits, in an unchanged environment"
    if facts.environment_moved:
        return Cause.ENVIRONMENT, "the environment moved between the last good and the first bad run"
    if facts.canary_moved:
        return Cause.MACHINE, "the machine's own canary moved with it"
    if facts.share_of_machine >= CROWD:
        return _of_a_crowd(facts)
    still = [
        *(["the canary stood still"] if facts.canary_moved is False else []),
        *([f"{_machines(facts.machines_still)} did not move"] if facts.machines_still else []),
    ]
    ruled_out = f"; {', '.join(still)}" if still else ""
    return (
        Cause.UNDECIDED,
        f"timings moved and no deterministic count did{ruled_out}; no experiment has confirmed it yet",
    )


def _of_a_crowd(facts: Facts) -> tuple[Cause, str]:
    crowd = f"{100.0 * facts.share_of_machine:.0f} % of this machine's series moved at once"
    if facts.canary_moved is False:
        return Cause.CODE, f"{crowd}, and its canary stood still"
    if facts.machines_still:
        return Cause.MACHINE, f"{crowd}, and {_machines(facts.machines_still)} did not"
    return Cause.UNDECIDED, f"{crowd}, and there is no canary and no other machine to tell whose doing it is"


def _of_machines(facts: Facts) -> str:
    asked = facts.machines_moved + facts.machines_still
    others = f"{facts.machines_moved} of {asked}" if facts.machines_still else str(facts.machines_moved)
    return f"seen on {others} other machine{'s' if asked > 1 else ''}"


def _machines(count: int) -> str:
    return "another machine" if count == 1 else f"{count} other machines"
