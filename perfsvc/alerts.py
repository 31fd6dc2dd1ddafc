"""Which findings are told together, and what becomes of an alert. Pure: places and numbers in, decisions out.

A *place* is a commit's number along the watched line (or in order of author date). The range of a finding is every
commit after `after` up to `upto`: the untested ones and the first bad one.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from perfsvc.errors import TriageError
from perfsvc.model import STANDING, AlertState

#: Where a step starts among noisy points may be off by one commit; an exact change and a guard are where they are.
BLUR = 1

#: A level that has come back to within this share of the step (in log) is recovered.
RECOVERED_SHARE = 0.35

#: What joins an accepted or dismissed alert reopens it when it is this much worse than what was decided on.
REOPEN_RATIO = 1.05

#: States that take no new findings: what comes after them is news.
CLOSED = frozenset({AlertState.WITHDRAWN, AlertState.RESOLVED})


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
    """An alert as it is kept, with the findings that it has already."""

    id: int
    state: AlertState
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Findings that are told as one: an alert that is there (`alert`), or a new one (None)."""

    alert: int | None
    after: int
    upto: int
    sharp: bool  #: the range is bound by something that is where it is
    findings: tuple[Finding, ...]
    joined: tuple[Finding, ...] = ()  #: those of `findings` that are new to the alert
    reopened: bool = False

    def distance(self, finding: Finding) -> tuple[int, int] | None:
        """How far a finding is from the group, 0 = their ranges overlap; None: they are two stories."""
        gap = max(finding.after - self.upto, self.after - finding.upto) + 1  # commits that lie between, or less than 1
        blur = 0 if self.sharp and not finding.blurred else BLUR
        return None if gap > blur else (max(gap, 0), abs(finding.upto - self.upto))

    def narrowed(self, finding: Finding) -> Group:
        """With the range that both allow. Beside a sharp finding a blurred one says nothing about the range."""
        after, upto = max(self.after, finding.after), min(self.upto, finding.upto)
        if self.sharp is finding.blurred or after >= upto:
            mine = self.sharp or finding.blurred
            after, upto = (self.after, self.upto) if mine else (finding.after, finding.upto)
        sharp = self.sharp or not finding.blurred
        return replace(self, after=after, upto=upto, sharp=sharp, findings=(*self.findings, finding))


def group(findings: Iterable[Finding], kept: Sequence[Standing]) -> list[Group]:
    """One group per range of commits: every kept alert that takes findings, with those that join it, and new ones.

    Overlapping ranges join, on whatever machine they were found, and narrow the range to what all allow. An alert whose
    own findings turn out to lie apart, since commits between were measured, keeps the first; the others are news.
    """
    table = _Table()
    news = list(findings)
    for alert in sorted(kept, key=lambda a: a.id):
        if alert.state not in CLOSED and alert.findings:
            one, apart = _gathered(alert)
            table.put(one)
            news += apart
    for finding in sorted(news, key=_order):
        place = table.nearest(finding)
        if place is None:
            table.put(_alone(None, finding, (finding,)))
        else:
            one = table.groups[place].narrowed(finding)
            table.put(replace(one, joined=(*one.joined, finding)), place)
    standing = {alert.id: alert for alert in kept}
    return [one if one.alert is None else _reopened(one, standing[one.alert]) for one in table.groups]


class _Table:
    """Groups, found by the commits of their ranges: a tree's whole history has thousands of both."""

    def __init__(self) -> None:
        self.groups: list[Group] = []
        self._at: dict[int, set[int]] = defaultdict(set)

    def put(self, one: Group, place: int | None = None) -> None:
        """Add a group, or replace the one at `place`."""
        if place is None:
            place = len(self.groups)
            self.groups.append(one)
        self.groups[place] = one
        for commit in range(one.after + 1, one.upto + 1):
            self._at[commit].add(place)

    def nearest(self, finding: Finding) -> int | None:
        around = range(finding.after + 1 - BLUR, finding.upto + 1 + BLUR)
        seen = {place for commit in around for place in self._at.get(commit, ())}
        near = [(away, place) for place in seen if (away := self.groups[place].distance(finding)) is not None]
        return min(near)[1] if near else None


def _order(finding: Finding) -> tuple[bool, int, int, str]:
    """The sharp and narrow ones first: they say where the others belong."""
    return finding.blurred, finding.upto - finding.after, finding.upto, str(finding.key)


def _alone(alert: int | None, finding: Finding, joined: tuple[Finding, ...] = ()) -> Group:
    return Group(alert, finding.after, finding.upto, not finding.blurred, (finding,), joined)


def _gathered(alert: Standing) -> tuple[Group, list[Finding]]:
    """A kept alert with the range that its findings allow today, and those that do not belong to it any more.

    Only what is sharp is let go: where a step starts is fitted anew each night, and wanders.
    """
    first, *others = sorted(alert.findings, key=_order)
    one, apart = _alone(alert.id, first), []
    for finding in others:
        if finding.blurred or one.distance(finding) is not None:
            one = one.narrowed(finding)
        else:
            apart.append(finding)
    return one, apart


def _reopened(one: Group, alert: Standing) -> Group:
    """What joins an alert that was decided on reopens it, if it is worse than what the decision was about."""
    decided = max((f.badness for f in alert.findings), default=1.0)
    worse = any(f.badness > decided * REOPEN_RATIO for f in one.joined)
    return replace(one, reopened=worse and alert.state not in STANDING)


def is_recovered(before: float, after: float, level: float) -> bool:
    """Is `level`, the newest that was found, back where `before` was, or better than that?"""
    if before > 0 and after > 0 and level > 0:
        return math.log(level / before) / math.log(after / before) <= RECOVERED_SHARE
    return (level - before) / (after - before) <= RECOVERED_SHARE


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
NEEDS_REASON = frozenset({"accept", "dismiss", "exclude"})


def step(state: AlertState, action: str, *, actor: str, reason: str) -> AlertState:
    """The state after `action`. Raises: TriageError when the state forbids it, or a name or reason is missing."""
    require_name_and_reason(action, actor=actor, reason=reason)
    allowed, after = STEPS[action]
    if state not in allowed:
        wanted = ", ".join(sorted(allowed))
        raise TriageError(f"cannot {action} an alert that is {state.value}; it must be {wanted}")
    return after


def require_name_and_reason(action: str, *, actor: str, reason: str) -> None:
    """Raises: TriageError."""
    if not actor.strip():
        raise TriageError(f"{action} needs the name of who does it")
    if action in NEEDS_REASON and not reason.strip():
        raise TriageError(f"{action} needs a reason: the next one who looks will want to know why")
