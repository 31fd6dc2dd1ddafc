"""From night to night: suspect, candidate, reported, withdrawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from perfsvc.detect import Known, detect_changes, watch
from perfsvc.detect.online import SUSPECT_NEEDS, suspect
from perfsvc.model import ChangeState
from perfsvc.stats import Floats

States = list[tuple[int, ChangeState]]


def noise(seed: int, n: int, sigma: float = 0.01) -> Floats:
    return np.exp(sigma * np.random.default_rng(seed).normal(size=n))


def stepped(seed: int, n: int, at: int, step: float) -> Floats:
    return noise(seed, n) * np.where(np.arange(n) < at, 1.0, 1.0 + step)


def nights(series: Sequence[Floats], first: int, *, q: float | None = None) -> list[list[States]]:
    """For each night from `first` points on, what is known of each series."""
    known: list[list[Known]] = [[] for _ in series]
    told = []
    for end in range(first, len(series[0]) + 1):
        known = watch([x[:end] for x in series], known, q=q)
        told.append([[(one.change.index, one.state) for one in each] for each in known])
    return told


def test_a_step_is_suspected_then_reported() -> None:
    told = [night[0] for night in nights([stepped(1, 46, 40, 0.10)], 39)]
    assert told[:2] == [[], []]
    assert told[2] == [(40, ChangeState.SUSPECT)]
    assert told[-1] == [(40, ChangeState.REPORTED)]
    late = next(i for i, states in enumerate(told) if (40, ChangeState.REPORTED) in states)
    assert late <= 1 + 4, "a 10 % step of 10 sigma is told within four points"


def test_a_spike_is_suspected_once_and_forgotten() -> None:
    values = noise(2, 46)
    values[40] *= 1.5
    told = [night[0] for night in nights([values], 40)]
    assert told[1] == [(40, ChangeState.SUSPECT)]
    assert told[2:] == [[]] * 5


def test_what_was_reported_is_withdrawn_when_later_data_drop_it() -> None:
    """Twelve points of 2.5 % among a noise of 2 % look like a level, until the level is seen to be noise."""
    early, late = stepped(3, 60, 40, 0.05), noise(3, 60)
    known = watch([early], [[]], q=None)
    assert [one.state for one in known[0]] == [ChangeState.REPORTED]
    after = watch([late], known, q=None)
    assert [one.state for one in after[0]] == [ChangeState.WITHDRAWN]
    assert watch([late], after, q=None) == after
    assert [one.state for one in watch([early], after, q=None)[0]] == [ChangeState.REPORTED]


def test_a_weak_step_among_many_silent_series_stays_a_candidate() -> None:
    """What is enough for one series is not enough for the weakest of many."""
    weak = next(
        x for seed in range(200) for x in [stepped(seed, 60, 40, 0.013)] if any(c.p > 0.001 for c in detect_changes(x))
    )
    alone = watch([weak], [[]])
    family = watch([weak, *(noise(seed, 60) for seed in range(300, 400))], [[] for _ in range(101)])
    assert [one.state for one in alone[0]] == [ChangeState.REPORTED]
    assert [one.state for one in family[0]] == [ChangeState.CANDIDATE]


def test_the_same_night_twice_is_once() -> None:
    series = [stepped(seed, 80, 50, 0.01 * (seed % 6)) for seed in range(40)]
    once = watch(series, [[] for _ in series])
    assert sum(map(len, once)) > 20
    assert watch(series, once) == once


def test_the_order_of_series_changes_nothing() -> None:
    series = [stepped(seed, 80, 50, 0.01 * (seed % 6)) for seed in range(40)]
    there = watch(series, [[] for _ in series])
    assert watch(series[::-1], [[] for _ in series]) == there[::-1]


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 9.0], [1.0] * SUSPECT_NEEDS, [1.0, 1.1] * 10 + [float("nan")]])
def test_too_little_to_suspect(values: list[float]) -> None:
    assert suspect(values, []) is None


def test_a_noisy_run_and_a_series_of_outliers_are_not_suspected() -> None:
    odd = [*noise(4, 40), 1.5]
    assert suspect(odd, []) is not None
    assert suspect(odd, [], noisy=True) is None
    wild = noise(5, 41)
    wild[::10] = 1.6
    assert suspect(wild, []) is None


def test_a_suspect_lies_apart_from_the_level_that_holds() -> None:
    values = [*stepped(6, 60, 30, 0.20), 1.20]
    assert suspect(values, detect_changes(values)) is None
    back = [*stepped(6, 60, 30, 0.20), 1.00]
    found = suspect(back, detect_changes(back))
    assert found is not None
    assert found.index == 60
    assert found.ratio == pytest.approx(1.0 / 1.20, abs=0.02)


def test_as_many_answers_as_series() -> None:
    with pytest.raises(ValueError, match="shorter"):
        watch([[1.0], [2.0]], [[]])
