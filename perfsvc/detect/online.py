"""One more point a night, for all series of a project: what was known of their changes in, what is known now out.

suspect -> candidate -> reported -> withdrawn. A suspect is one odd newest point: it asks for a second run of its commit
and tells nobody. A candidate stands in its series. It is reported once the night's family lets it, or, where a series
is watched by itself, a stricter alpha. What is reported stays so, untested, until the data stop showing it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perfsvc.detect.confirmation import SIDE
from perfsvc.detect.family import q_values
from perfsvc.detect.noise import estimate_noise
from perfsvc.detect.scale import LOG, to_scale
from perfsvc.detect.steps import detect_batch
from perfsvc.model import Change, ChangeKind, ChangeState
from perfsvc.stats import Floats, median, two_sided_p

#: Of a series that is watched by itself: no family shares out its false discoveries.
ALPHA_ALONE = 0.001

#: A step found again may have moved by so many points: its boundary is fitted anew each night.
SAME_WITHIN = 10

SUSPECT_SIGMAS = 4.0
SUSPECT_TAIL = 0.02  #: largest share of the level's points that lie as far out: where outliers are many none is odd
SUSPECT_NEEDS = 10  #: points of the level: of fewer, sigma is a guess


@dataclass(frozen=True, slots=True)
class Known:
    """A change as it stands after the newest point."""

    change: Change
    state: ChangeState


def watch(
    series: Sequence[Sequence[float] | Floats],
    known: Sequence[Sequence[Known]],
    *,
    q: float | None = 0.05,
    alpha: float = 0.01,
    minimum_effect: float = 0.01,
) -> list[list[Known]]:
    """What is known of each series after tonight's point; the same night once more changes nothing.

    Shapes: a series is [n], tonight's point last, NaN = missing; known: last night's answer, at first empty lists.
    q: largest false share of what is reported, over all series, slower and faster apart; None: each by itself.
    Raises: ValueError when `known` is not as long as `series`.
    """
    found = detect_batch(series, alpha=ALPHA_ALONE if q is None else alpha, minimum_effect=minimum_effect)
    paired = [_pair(changes, before) for changes, before in zip(found, known, strict=True)]
    told = _told(paired, q)
    return [
        _after(pairs, before, told[i], suspect(values, [change for change, _ in pairs]))
        for i, (values, pairs, before) in enumerate(zip(series, paired, known, strict=True))
    ]


Pairs = list[tuple[Change, Known | None]]


def _pair(changes: Sequence[Change], before: Sequence[Known]) -> Pairs:
    """Each change found tonight with what it was called before, the nearest of its kind and direction."""
    left = list(before)
    pairs: Pairs = []
    for change in changes:
        same = [one for one in left if _is_same(change, one.change)]
        was = min(same, key=lambda one: abs(one.change.index - change.index), default=None)
        if was is not None:
            left.remove(was)
        pairs.append((change, was))
    return pairs


def _is_same(change: Change, other: Change) -> bool:
    alike = change.kind is other.kind and (change.ratio > 1.0) == (other.ratio > 1.0)
    return alike and abs(change.index - other.index) <= SAME_WITHIN


def _told(paired: Sequence[Pairs], q: float | None) -> list[set[int]]:
    """For each series the places of the changes that are reported tonight for the first time."""
    told: list[set[int]] = [set() for _ in paired]
    for slower in (True, False):
        asked = [(i, change) for i, pairs in enumerate(paired) for change in _tested(pairs, slower=slower)]
        silent = len(paired) - len({i for i, _ in asked})
        p = [change.p for _, change in asked] + [1.0] * silent
        for (i, change), value in zip(asked, q_values(p), strict=False):
            if q is None or value <= q:
                told[i].add(change.index)
    return told


def _tested(pairs: Pairs, *, slower: bool) -> list[Change]:
    return [
        change
        for change, was in pairs
        if (change.ratio > 1.0) is slower
        and change.kind is ChangeKind.STEP
        and not change.flags
        and not (was and was.state is ChangeState.REPORTED)
    ]


def _after(pairs: Pairs, before: Sequence[Known], told: set[int], odd: Change | None) -> list[Known]:
    now = []
    for change, was in pairs:
        stays = was is not None and was.state is ChangeState.REPORTED
        now.append(Known(change, ChangeState.REPORTED if stays or change.index in told else ChangeState.CANDIDATE))
    found_again = {id(was) for _, was in pairs}
    now += [
        Known(was.change, ChangeState.WITHDRAWN)
        for was in before
        if was.state is not ChangeState.SUSPECT and id(was) not in found_again
    ]
    if odd is not None:
        now.append(Known(odd, ChangeState.SUSPECT))
    return sorted(now, key=lambda one: (one.change.index, one.state))


def suspect(values: Sequence[float] | Floats, changes: Sequence[Change], *, noisy: bool = False) -> Change | None:
    """The newest point, where it lies oddly far from the level that holds; None where it does not, or is missing.

    changes: those of the series. noisy: the newest run's own spread is too wide for it to be evidence.
    """
    given = np.asarray(values, dtype=float)
    if noisy or not len(given) or not np.isfinite(given[-1]):
        return None
    scaled = to_scale(given, LOG)
    last = max((change.index for change in changes), default=0)
    level_from = max(int(np.searchsorted(scaled.places, last)), len(scaled.x) - 1 - SIDE)
    level = scaled.x[level_from:-1]
    if len(level) < SUSPECT_NEEDS:
        return None
    before, after = median(level), float(scaled.x[-1])
    sigma = estimate_noise(scaled.x[:-1]).sigma
    as_far = float(np.mean(np.abs(level - before) >= abs(after - before)))
    if abs(after - before) <= SUSPECT_SIGMAS * sigma or as_far > SUSPECT_TAIL:
        return None
    ratio = scaled.ratio(before, after)
    return Change(
        index=len(given) - 1,
        ratio=ratio,
        ratio_low=ratio,
        ratio_high=ratio,
        p=two_sided_p((after - before) / sigma),
        before=scaled.value(before),
        after=scaled.value(after),
        n_before=len(level),
        n_after=1,
        sigma=sigma,
    )
