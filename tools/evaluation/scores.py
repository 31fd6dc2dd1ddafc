"""What is asked of a detector: what it finds, what it makes up, how late it is, what it costs."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.random import Generator

from perfsvc.detect import Known, detect_batch, q_values, watch, without_fluctuation, worse_p
from perfsvc.detect.noise import estimate_noise
from perfsvc.experiments import LOOKS, judge
from perfsvc.model import ChangeState, Direction, ExperimentVerdict
from perfsvc.stats import Floats
from tools.evaluation.data import EDGE, Stretch, noise, with_step
from tools.evaluation.rules import ALPHA, OURS, Places, Rule

EARLY, LATE = 3, 10  #: points around a step in which a report counts as its own
PLACES = 3  #: steps tried in each stretch, one at a time
PATIENCE = 20  #: points after which a step that was not told is missed

Q = 0.05
NIGHT_CHANGED, NIGHT_POINTS = 0.02, 150
RUN_SIGMA, AB_EFFECT = 0.02, 0.02


@dataclass(frozen=True, slots=True)
class Recall:
    """Share of steps found, by size, and reports per 1,000 points of the same stretches before a step was put in."""

    found: dict[float, float]
    false_per_1000: float


def recall(rule: Rule, stretches: Sequence[Stretch], steps: Sequence[float], generator: Generator) -> Recall:
    """Steps at random places of each stretch: at the same ones for equal generators."""
    plain = [stretch.values for stretch in stretches] * PLACES
    places = [int(generator.integers(EDGE, len(values) - EDGE)) for values in plain]
    once = plain[: len(stretches)]
    false = sum(map(len, rule.find(once)))
    found = {}
    for step in steps:
        told = rule.find([with_step(values, at, step) for values, at in zip(plain, places, strict=True)])
        found[step] = fmean(_is_told(one, at) for one, at in zip(told, places, strict=True))
    return Recall(found, 1000.0 * false / sum(map(len, once)))


def _is_told(told: Places, at: int) -> bool:
    return any(at - EARLY <= place <= at + LATE for place in told)


@dataclass(frozen=True, slots=True)
class Online:
    """Point by point: reports of nothing per 1,000 new points, and the median delay by step, in points of its level."""

    false_per_1000: float
    delay: dict[float, float]  #: inf: half of the steps or more were not told in time


def online(rule: Rule, stretches: Sequence[Stretch], steps: Sequence[float], *, minimum_effect: float = 0.01) -> Online:
    """A new point each night; what was told once is not told again, and what the first night tells is not counted."""
    plain = [stretch.values for stretch in stretches]
    length = min(map(len, plain))
    warm, at = 2 * length // 5, 2 * length // 3
    false = sum(map(len, _nightly(rule, plain, range(warm, length + 1), minimum_effect)))
    delay = {}
    for step in steps:
        slow = [with_step(values, at, step) for values in plain]
        told = _nightly(rule, slow, range(at, min(length, at + PATIENCE) + 1), minimum_effect)
        late = [min((end - at for end, place in one if abs(place - at) <= EARLY), default=math.inf) for one in told]
        delay[step] = float(np.median(late))
    return Online(1000.0 * false / (len(plain) * (length - warm)), delay)


def _nightly(rule: Rule, series: Sequence[Floats], nights: range, minimum_effect: float) -> list[list[tuple[int, int]]]:
    """For each series what is told for the first time: (points that there were, place); the first night only primes."""
    seen: list[set[int]] = [set() for _ in series]
    told: list[list[tuple[int, int]]] = [[] for _ in series]
    known: list[list[Known]] = [[] for _ in series]
    for end in nights:
        prefixes = [values[:end] for values in series]
        if rule is OURS:
            known = watch(prefixes, known, q=None, minimum_effect=minimum_effect)
            found = [
                [k.change.index for k in one if k.state is ChangeState.REPORTED and k.change.ratio > 1.0]
                for one in known
            ]
        else:
            found = rule.find(prefixes)
        for i, places in enumerate(found):
            for place in places:
                if place not in seen[i]:
                    if end > nights.start:
                        told[i].append((end, place))
                    seen[i].update(range(place - LATE, place + LATE + 1))
    return told


def false_changes(rule: Rule, kind: str, series: int, generator: Generator) -> float:
    """Slowdowns and, of ours, gains told in one series of 300 points in which nothing happened."""
    batch = [noise(kind, 300, 0.01, generator) for _ in range(series)]
    found = detect_batch(batch, alpha=ALPHA) if rule is OURS else rule.find(batch)
    return sum(map(len, found)) / series


@dataclass(frozen=True, slots=True)
class Nights:
    """Over all simulated nights: the share of alerts that were false, and of slowdowns that were told."""

    false_share: float
    told: float


def nights(rule: Rule, count: int, generator: Generator, *, series: int = 2000) -> Nights:
    """Of each night's series one in fifty slowed down, by 3 to 10 sigma, 5 to 60 points ago."""
    alerts = wrong = slow = 0
    for _ in range(count):
        batch = [noise("log-normal", NIGHT_POINTS, 0.01, generator) for _ in range(series)]
        changed = int(NIGHT_CHANGED * series)
        for i in range(changed):
            at = NIGHT_POINTS - int(generator.integers(5, 60))
            batch[i] = with_step(batch[i], at, 0.01 * float(generator.uniform(3, 10)))
        told = _told_tonight(rule, batch)
        alerts += sum(told)
        wrong += sum(told[changed:])
        slow += changed
    return Nights(wrong / max(1, alerts), (alerts - wrong) / slow)


def _told_tonight(rule: Rule, batch: Sequence[Floats]) -> list[bool]:
    if rule is OURS:
        q = q_values([worse_p(changes, Direction.LOWER) for changes in detect_batch(batch, alpha=ALPHA)])
        return [value <= Q for value in q]
    return [bool(places) for places in rule.find(batch)]


@dataclass(frozen=True, slots=True)
class Power:
    """A/B experiments at one true difference: share called different, and the mean number of pairs."""

    different: float
    pairs: float


def power(run_sigmas: float, tries: int, generator: Generator) -> Power:
    """The rule as it is driven: a control beside it, looks after 6, 10, 14, 20 pairs, an end at the first verdict."""
    different, used = 0, []
    for _ in range(tries):
        runs = np.exp(RUN_SIGMA * generator.normal(size=(2, LOOKS[-1], 2)))
        runs[0, :, 1] *= math.exp(run_sigmas * RUN_SIGMA)
        pairs, control = ([(float(a), float(b)) for a, b in side] for side in runs)
        for look, wanted in enumerate(LOOKS, start=1):
            verdict = judge(pairs, minimum_effect=AB_EFFECT, look=look, control=control).verdict
            if verdict is not ExperimentVerdict.UNDECIDED or look == len(LOOKS):
                different += verdict is ExperimentVerdict.DIFFERENT
                used.append(wanted)
                break
    return Power(different / tries, fmean(used))


def sigmas(machine: Sequence[Floats]) -> tuple[float, float]:
    """Median sigma of a machine's series as measured, and without what they share."""
    before, after = (
        [estimate_noise(np.log(x[np.isfinite(x)])).sigma for x in series if np.nanmin(x) > 0.0]
        for series in (machine, without_fluctuation(machine))
    )
    return float(np.median(before)), float(np.median(after))


def speed(rules: Sequence[Rule], generator: Generator, *, rounds: int = 3, points: int = 1000) -> dict[str, float]:
    """Series of 1,000 points a second of CPU time, one in three with a step; the rules in turns, each one's best.

    Ours takes 512 at a time, as the service does, the others as many as a second or so allows.
    """
    batch = [noise("log-normal", points, 0.01, generator) for _ in range(512)]
    batch = [with_step(values, points // 2, 0.05) if i % 3 == 0 else values for i, values in enumerate(batch)]
    best = dict.fromkeys((rule.name for rule in rules), 0.0)
    for _ in range(rounds):
        for rule in rules:
            some = batch if rule is OURS else batch[:9]
            started = time.thread_time()
            rule.find(some)
            best[rule.name] = max(best[rule.name], len(some) / (time.thread_time() - started))
    return best
