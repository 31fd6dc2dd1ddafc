"""What a machine's series share is taken out; what a commit did to all of them stays."""

from __future__ import annotations

import numpy as np
import pytest

from perfsvc.detect import detect_batch, machine_fluctuation, without_fluctuation
from perfsvc.detect.machine import LEAST_SERIES
from perfsvc.detect.noise import estimate_noise
from perfsvc.stats import Floats

RUNS, SERIES = 150, 40


def machine(seed: int, *, shared: float = 0.02, own: float = 0.01, series: int = SERIES) -> list[Floats]:
    """Series of one machine, whose runs are all a little slow or fast together."""
    rng = np.random.default_rng(seed)
    together = shared * rng.normal(size=RUNS)
    return [np.exp(own * rng.normal(size=RUNS) + together) for _ in range(series)]


def slower(series: list[Floats], count: int, newest: int, step: float = 0.10) -> list[Floats]:
    """The first `count` series take longer in the newest runs."""
    return [np.concatenate((x[:-newest], x[-newest:] * (1 + step))) if i < count else x for i, x in enumerate(series)]


def sigma(series: list[Floats]) -> float:
    return float(np.median([estimate_noise(np.log(x)).sigma for x in series]))


def test_noise_that_is_shared_is_taken_out() -> None:
    before = machine(1)
    assert sigma(before) == pytest.approx(0.022, rel=0.15)
    assert sigma(without_fluctuation(before)) == pytest.approx(0.01, rel=0.1)


@pytest.mark.parametrize("newest", [4, 8, 16, 30, 75])
@pytest.mark.parametrize("count", [40, 24, 8])
def test_a_commit_that_slows_many_series_is_found_in_each_and_in_no_other(newest: int, count: int) -> None:
    """A plain subtraction shows 10 % in all series as nothing, and 10 % in 24 of 40 as a gain of the others."""
    quiet = without_fluctuation(slower(machine(2), count, newest))
    found = detect_batch(quiet)
    seen = [any(abs(c.index - (RUNS - newest)) <= 2 and c.ratio > 1.05 for c in one) for one in found[:count]]
    assert sum(seen) >= 0.9 * count
    levels = [np.median(x[-newest:]) / np.median(x[:-newest]) for x in quiet[count:]]
    if levels:
        assert abs(float(np.median(levels)) - 1.0) < 0.01


def test_the_newest_two_runs_stay_as_they_are() -> None:
    before = slower(machine(3), SERIES, 2)
    after = without_fluctuation(before)
    assert all((a[-2:] == b[-2:]).all() for a, b in zip(before, after, strict=True))


def test_of_few_series_nothing_is_shared() -> None:
    few = machine(5, series=LEAST_SERIES - 1)
    assert all((a == b).all() for a, b in zip(few, without_fluctuation(few), strict=True))
    assert len(machine_fluctuation([])) == 0


def test_missing_values_stay_missing_and_runs_with_few_values_stay_as_they_are() -> None:
    series = machine(6)
    for x in series[:25]:
        x[20] = np.nan
    after = without_fluctuation(series)
    assert [np.isnan(x[20]) for x in after] == [True] * 25 + [False] * 15
    assert all(a[20] == b[20] for a, b in zip(series[25:], after[25:], strict=True))


def test_series_without_a_logarithm_take_no_part() -> None:
    zero = np.zeros(RUNS)
    *others, same = without_fluctuation([*machine(7), zero])
    assert (same == zero).all()
    assert all((a == b).all() for a, b in zip(others, without_fluctuation(machine(7)), strict=True))


def test_the_order_of_series_changes_nothing() -> None:
    series = machine(8)
    assert (machine_fluctuation(series) == machine_fluctuation(series[::-1])).all()


def test_a_change_of_unit_changes_nothing() -> None:
    series = machine(9)
    scaled = [x * 1e6 for x in series]
    assert machine_fluctuation(scaled) == pytest.approx(machine_fluctuation(series), abs=1e-9)
