"""What an alert says of itself: title, cause, why, whom to ask. Pure: rows in, words out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from perfsvc import units
from perfsvc.model import Cause
from perfsvc.rows import AlertGuardRow, AlertRow, ChangeRow, Words

#: Names in a title; the page has them all.
SHOWN = 3


def badness(change: ChangeRow) -> float:
    """How many times worse; from nothing to something counts as very much."""
    if not change.ratio:
        return math.inf
    return max(change.ratio, 1 / change.ratio)


def of_changes(alert: AlertRow, members: Sequence[ChangeRow], cause: Cause, why: str) -> Words:
    """The worst timing speaks; where no timing moved, the worst of the others."""
    worst = max(members, key=lambda c: (c.unit == units.SECONDS, badness(c), -c.id))
    how = units.change(worst.ratio, worst.unit, worst.metric, before=worst.before, after=worst.after)
    others = f" and {units.count(len(members) - 1, 'other series', 'other series')}" if len(members) > 1 else ""
    operators = next((c.explanation for c in sorted(members, key=lambda c: c.id) if c.explanation), "")
    size = max(map(badness, members))
    return Words(
        title=f"{worst.label} {how}{others}",
        explanation=f"{why}; operators: {operators}" if operators else why,
        cause=cause,
        worst_ratio=size if math.isfinite(size) else None,
        owner=_owner(alert),
    )


def of_guards(alert: AlertRow, guards: Sequence[AlertGuardRow]) -> Words:
    """Those that fail still; where all have recovered, all of them."""
    failing = [guard for guard in guards if guard.recovered_at is None] or guards
    names = sorted({g.guard for g in failing})
    variants = sorted({g.variant for g in failing if g.variant})
    whom = f" for {_some(variants)}" if variants else ""
    return Words(
        title=f"{_some(names)} {'fails' if len(names) == 1 else 'fail'}{whom} ({units.count(len(failing), 'test')})",
        explanation="results are wrong from this commit on; timings that the guards cover are shown, never believed",
        cause=Cause.CODE,
        worst_ratio=None,
        owner=_owner(alert),
    )


def _owner(alert: AlertRow) -> str:
    """The author, where the commit is named; nobody is asked about a range."""
    named = alert.first_bad is not None and alert.last_good is not None and alert.commits_in_range == 1
    return alert.first_bad.author if named and alert.first_bad else ""


def operators(before: Mapping[str, int], after: Mapping[str, int]) -> str:
    """The operators that came and went, those that moved most first: `aten::triu 0 -> 1`."""
    moved = {name: (before.get(name, 0), after.get(name, 0)) for name in before.keys() | after.keys()}
    told = sorted(((name, *pair) for name, pair in moved.items() if pair[0] != pair[1]), key=_by_size)
    return "; ".join(f"{name} {a} -> {b}" for name, a, b in told)


def _by_size(moved: tuple[str, int, int]) -> tuple[int, str]:
    name, before, after = moved
    return -abs(after - before), name


def _some(names: Sequence[str]) -> str:
    """The first few by name, the others by number."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
