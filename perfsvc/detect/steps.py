"""From a series, or many, to its changes: scale, noise, candidates, confirmation, flags, in this order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np

from perfsvc.detect.confirmation import Step, confirm
from perfsvc.detect.flags import flags_of
from perfsvc.detect.noise import Noise, estimate_noise
from perfsvc.detect.scale import LOG, Scaled, scaled_effect, to_scale
from perfsvc.detect.segments import candidates
from perfsvc.model import Change, ChangeKind
from perfsvc.stats import Floats

#: A run whose own spread is above so many times its series' median spread is noisy: kept, and no evidence for a level.
NOISY_SPREAD = 3.0

BATCH = 512  #: series held at once


def detect_changes(
    values: Sequence[float] | Floats,
    *,
    scale: str = LOG,
    alpha: float = 0.01,
    minimum_effect: float = 0.01,
    spread: Sequence[float] | None = None,
) -> list[Change]:
    """The changes of level in one series, in order of time; steps, and trends where a slope says it as well.

    Shapes: values [n] in time order, NaN = missing; `Change.index` counts in `values` as given, missing ones included.
    spread: [n], each run's own (q75 - q25) / median where known; a noisy run is none of a side's three points.
    minimum_effect: smallest step worth telling (0.01 = 1 %); on the linear scale, of the series' typical size.
    Raises: ValueError when `scale` is neither "log" nor "linear", or `spread` is not as long as `values`.
    """
    x = to_scale(values, scale)
    if spread is not None and len(spread) != len(values):
        raise ValueError(f"{len(spread)} spreads for {len(values)} values")
    quiet = None if spread is None else _quiet(np.asarray(spread, dtype=float)[x.places])
    noise = estimate_noise(x.x)
    (cuts,) = candidates([x.x], [noise.sigma])
    return _changes(x, noise, cuts, alpha, minimum_effect, quiet)


def detect_batch(
    series: Iterable[Sequence[float] | Floats], *, scale: str = LOG, alpha: float = 0.01, minimum_effect: float = 0.01
) -> list[list[Change]]:
    """`detect_changes` of many series: the same answers, several times sooner, since they share each pass over time."""
    found: list[list[Change]] = []
    for batch in _batches(series):
        scaled = [to_scale(values, scale) for values in batch]
        noises = [estimate_noise(s.x) for s in scaled]
        cuts = candidates([s.x for s in scaled], [noise.sigma for noise in noises])
        found += [_changes(*one, alpha, minimum_effect, None) for one in zip(scaled, noises, cuts, strict=True)]
    return found


def _batches(series: Iterable[Sequence[float] | Floats]) -> Iterator[list[Sequence[float] | Floats]]:
    left = iter(series)
    while batch := list(islice(left, BATCH)):
        yield batch


def _quiet(spread: Floats) -> list[bool]:
    known = spread[np.isfinite(spread)]
    limit = NOISY_SPREAD * float(np.median(known)) if len(known) else np.inf
    return [not one > limit for one in spread.tolist()]


def _changes(
    x: Scaled, noise: Noise, cuts: list[int], alpha: float, minimum_effect: float, quiet: list[bool] | None
) -> list[Change]:
    if not cuts:
        return []
    smallest = scaled_effect(x, minimum_effect)
    steps, trends = confirm(x.x, cuts, noise, alpha=alpha, minimum_effect=smallest, quiet=quiet)
    flags = flags_of(steps, noise.sigma)
    changes = [
        _change(x, step, step.before, step.after, ChangeKind.STEP, flag)
        for step, flag in zip(steps, flags, strict=True)
    ]
    changes += [_change(x, trend, *trend.line, ChangeKind.TREND, frozenset()) for trend in trends if trend.line]
    return sorted(changes, key=lambda change: change.index)


def _change(x: Scaled, step: Step, before: float, after: float, kind: ChangeKind, flags: frozenset[str]) -> Change:
    return Change(
        index=int(x.places[step.at]),
        ratio=x.ratio(before, after),
        ratio_low=x.ratio(before, after - step.half_width),
        ratio_high=x.ratio(before, after + step.half_width),
        p=step.p,
        before=x.value(before),
        after=x.value(after),
        n_before=step.n_before,
        n_after=step.n_after,
        sigma=step.sigma,
        auc=step.auc,
        kind=kind,
        flags=flags,
    )
