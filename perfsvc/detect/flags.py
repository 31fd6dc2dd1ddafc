"""Steps that look like a series' habit rather than like a commit's doing: flagged, re-measured, not alerted."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from perfsvc.detect.confirmation import Step

RECURRENT = "recurrent"  #: this level was visited and left before
TRANSIENT = "transient"  #: the old level is back after a few points

BACK_WITHIN = 6  #: points
LOOK_BACK = 300  #: points
SHORT_VISIT = 25  #: points; one visit so short is enough, of longer ones it takes two
SAME_LEVEL = 0.35  #: of the effect: as near as that is the same level


def flags_of(steps: Sequence[Step], sigma: float) -> list[frozenset[str]]:
    """The flags of each of a series' confirmed steps, in order of time."""
    return [
        frozenset(
            name
            for name, holds in ((RECURRENT, _recurrent(steps, i, sigma)), (TRANSIENT, _transient(steps, i)))
            if holds
        )
        for i in range(len(steps))
    ]


def _recurrent(steps: Sequence[Step], i: int, sigma: float) -> bool:
    new = steps[i]
    tolerance = max(SAME_LEVEL * abs(new.effect), sigma)
    # The level a step leaves is a visit when another step had led to it; the one just left is not "before".
    visits = [
        left.at - reached.at
        for reached, left in itertools.pairwise(steps[:i])
        if abs(reached.after - new.after) <= tolerance and new.at - left.at <= LOOK_BACK
    ]
    return len(visits) >= 2 or any(length <= SHORT_VISIT for length in visits)


def _transient(steps: Sequence[Step], i: int) -> bool:
    """Either step of a short excursion: the way out, and the way back."""
    out_and_back = itertools.pairwise(steps[max(0, i - 1) : i + 2])
    return any(
        b.at - a.at <= BACK_WITHIN and abs(b.after - a.before) <= SAME_LEVEL * abs(a.effect) for a, b in out_and_back
    )
