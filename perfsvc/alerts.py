"""Which findings are told together, and what becomes of an alert. Pure: places and numbers in, decisions out.

A *place* is a commit's number along the watched line (or in order of author date). The range of a finding is every
commit after `after` up to `upto`: the untested ones and the first bad one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from perfsvc.errors import TriageError
from perfsvc.model import STANDING, AlertKind, AlertState, Cause

#: Where a step starts among noisy points may be off by one commit; an exact change and a guard are where they are.
BLUR = 1

#: A level that has come back to within this share of the step (in log) is recovered.
RECOVERED_SHARE = 0.35

#: So many newest points must agree that a noisy series is back; an exact one needs one.
RECOVERED_POINTS = 3

#: What joins an accepted or dismissed alert reopens it when it is this much worse than what was decided on.
REOPEN_RATIO = 1.05


@dataclass(frozen=True, slots=True)
class Finding:
    """A change for the worse, or a failing guard, with the range of commits that it can come from."""

    key: int | tuple[str, str]  #: the change's id, or (machine, test) of a guard
    after: int  #: place of the last good commit; -1 = nothing good was seen
    upto: int  #: place of the first bad commit
    blurred: bool = False  #: a step among noisy points
    badness: float = 1.0  #: how many times worse


@dataclass(frozen=True, slots=True)
class Standing:
    """An alert as it is kept."""

    id: int
    kind: AlertKind
    state: AlertState
    after: int
    upto: int
    badness: float = 1.0


@dataclass(frozen=True, slots=True)
class Group:
    """Findings that are told as one: an alert that is there (`alert`), or a new one (None)."""

    alert: int | None
    after: int
    upto: int
    findings: tuple[Finding, ...] = ()
    state: AlertState = AlertState.OPEN
    badness: float = 1.0
    reopened: bool = field(default=False)

    def takes(self, finding: Finding) -> bool:
        slack = BLUR if finding.blurred else 0
        return finding.after < self.upto + slack and self.after < finding.upto + slack

    def with_(self, finding: Finding) -> Group:
        """Join, and narrow the range to what both allow; a blurred finding narrows nothing that is sharp already."""
        after, upto = max(self.after, finding.after), min(self.upto, finding.upto)
        if finding.blurred or after >= upto:
            after, upto = self.after, self.upto
        closed = self.state not in STANDING
        reopened = self.reopened or (closed and finding.badness > self.badness * REOPEN_RATIO)
        return replace(
            self,
            after=after,
            upto=upto,
            findings=(*self.findings, finding),
            badness=max(self.badness, finding.badness),
            reopened=reopened,
        )


def group(findings: Iterable[Finding], kept: Sequence[Standing]) -> list[Group]:
    """One group per range of commits. Overlapping ranges join, on whatever machine they were found, and narrow it.

    An alert that was withdrawn or resolved takes no new findings: what comes after it is news.
    """
    closed = (AlertState.WITHDRAWN, AlertState.RESOLVED)
    groups = [Group(a.id, a.after, a.upto, state=a.state, badness=a.badness) for a in kept if a.state not in closed]
    for finding in sorted(findings, key=lambda f: (f.blurred, f.upto - f.after, f.upto, str(f.key))):
        place = next((i for i, one in enumerate(groups) if one.takes(finding)), None)
        if place is None:
            groups.append(Group(None, finding.after, finding.upto, (finding,), badness=finding.badness))
        else:
            groups[place] = groups[place].with_(finding)
    return [one for one in groups if one.findings]


def is_recovered(before: float, after: float, newest: Sequence[float], *, exact: bool) -> bool:
    """Has the level come back? `newest`: the series' last values, oldest first, all later than the change."""
    wanted = 1 if exact else RECOVERED_POINTS
    recent = newest[-wanted:]
    if len(recent) < wanted:
        return False
    level = sorted(recent)[len(recent) // 2]
    if before > 0 and after > 0 and level > 0:
        return abs(math.log(level / before)) <= RECOVERED_SHARE * abs(math.log(after / before))
    return abs(level - before) <= RECOVERED_SHARE * abs(after - before)


def cause_of(*, exact: bool, environment_moved: bool, canary_moved: bool) -> tuple[Cause, str]:
    """Is it the code? With the reason in words."""
    if environment_moved:
        return Cause.ENVIRONMENT, "the environment moved between the last good and the first bad run"
    if exact:
        return Cause.CODE, "a deterministic count moved in an unchanged environment"
    if canary_moved:
        return Cause.MACHINE, "the machine's own canary moved with it"
    return Cause.UNDECIDED, "timings moved and no deterministic count did; no experiment has confirmed it yet"


#: action -> (states it may start from, state it leads to)
STEPS: dict[str, tuple[frozenset[AlertState], AlertState]] = {
    "acknowledge": (frozenset({AlertState.OPEN}), AlertState.ACKNOWLEDGED),
    "accept": (STANDING, AlertState.ACCEPTED),
    "dismiss": (STANDING, AlertState.DISMISSED),
    "reopen": (frozenset(AlertState) - STANDING, AlertState.OPEN),
    "resolve": (STANDING, AlertState.RESOLVED),
    "withdraw": (STANDING, AlertState.WITHDRAWN),
}

#: Decisions that others will read later, and want to understand.
NEEDS_REASON = frozenset({"accept", "dismiss"})


def step(state: AlertState, action: str, *, actor: str, reason: str) -> AlertState:
    """The state after `action`. Raises: TriageError when the state forbids it, or a name or reason is missing."""
    if not actor.strip():
        raise TriageError(f"{action} needs the name of who does it")
    if action in NEEDS_REASON and not reason.strip():
        raise TriageError(f"{action} needs a reason: the next one who looks will want to know why")
    allowed, after = STEPS[action]
    if state not in allowed:
        wanted = ", ".join(sorted(allowed))
        raise TriageError(f"cannot {action} an alert that is {state.value}; it must be {wanted}")
    return after
