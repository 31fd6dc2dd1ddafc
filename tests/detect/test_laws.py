"""What holds for every series, whatever its numbers."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from perfsvc.detect import detect_batch, detect_changes, minimum_detectable_effect, watch
from perfsvc.model import Change, ChangeKind, ChangeState
from perfsvc.stats import Floats

SIGMA = 0.01
law = settings(max_examples=60, deadline=None, derandomize=True)

seeds = st.integers(0, 10_000)
steps = st.sampled_from([-0.2, -0.05, -0.02, 0.0, 0.02, 0.05, 0.2])


def made(seed: int, n: int = 80, step: float = 0.0, at: int = 40) -> Floats:
    rng = np.random.default_rng(seed)
    return np.exp(SIGMA * rng.normal(size=n)) * np.where(np.arange(n) < at, 1.0, 1.0 + step)


def seen(changes: list[Change]) -> list[tuple[int, str, frozenset[str]]]:
    return [(change.index, change.kind.value, change.flags) for change in changes]


@law
@given(seed=seeds, step=steps, scale=st.floats(1e-9, 1e9))
def test_a_change_of_unit_moves_no_change(seed: int, step: float, scale: float) -> None:
    values = made(seed, step=step)
    assert seen(detect_changes(values * scale)) == seen(detect_changes(values))


@law
@given(seed=seeds, step=steps)
def test_a_rate_changes_where_its_time_does_the_other_way(seed: int, step: float) -> None:
    there, back = detect_changes(made(seed, step=step)), detect_changes(1.0 / made(seed, step=step))
    assert seen(there) == seen(back)
    assert [change.ratio for change in there] == pytest.approx([1.0 / change.ratio for change in back])


@law
@given(seed=seeds, step=st.sampled_from([-0.2, 0.2]), at=st.integers(5, 75))
def test_backwards_in_time_slower_is_faster(seed: int, step: float, at: int) -> None:
    values = made(seed, step=step, at=at)
    (there,), (back,) = detect_changes(values), detect_changes(values[::-1])
    assert there.index + back.index == len(values)
    assert there.ratio * back.ratio == pytest.approx(1.0)
    assert (there.ratio > 1.0) == (step > 0.0)


@law
@given(seed=seeds, step=steps, missing=st.sets(st.integers(0, 100), max_size=40))
def test_missing_values_move_a_change_by_their_number_and_nothing_else(
    seed: int, step: float, missing: set[int]
) -> None:
    whole = made(seed, step=step)
    holed: list[float] = list(whole)
    for place in sorted(missing):
        holed.insert(min(place, len(holed)), float("nan"))
    present = np.flatnonzero(np.isfinite(holed))
    assert [change.index for change in detect_changes(holed)] == [int(present[c.index]) for c in detect_changes(whole)]


@law
@given(seed=seeds, lost=st.sets(st.integers(0, 79), max_size=30))
def test_a_lost_value_makes_no_change(seed: int, lost: set[int]) -> None:
    values = made(seed)
    if not detect_changes(values, alpha=0.05):
        values[list(lost)] = np.nan
        assert detect_changes(values, alpha=0.001) == []


@law
@given(seed=seeds, place=st.integers(0, 79), times=st.sampled_from([1e-6, 0.5, 1.2, 4.0, 1e9]))
def test_a_lone_outlier_is_never_a_change(seed: int, place: int, times: float) -> None:
    values = made(seed)
    if not detect_changes(values, alpha=0.05):
        values[place] *= times
        assert detect_changes(values) == []


@law
@given(seed=seeds, constant=st.floats(1e-6, 1e6), n=st.integers(1, 200))
def test_a_constant_series_beside_others_changes_nothing_but_the_family(seed: int, constant: float, n: int) -> None:
    series = [made(seed + i, step=0.02 * (i % 3)) for i in range(6)]
    alone = detect_batch(series)
    assert detect_batch([[constant] * n, *series]) == [[], *alone]
    before, after = (watch(some, [[] for _ in some]) for some in (series, [[constant] * n, *series]))
    told = [{k.change.index for k in one if k.state is ChangeState.REPORTED} for one in before]
    assert after[0] == []
    for was, now in zip(told, after[1:], strict=True):
        assert {k.change.index for k in now if k.state is ChangeState.REPORTED} <= was


@law
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=60))
@example([])
@example([0.0] * 40)
@example([1e308, -1e308] * 20)
@example([float("inf")] * 20)
@example([5e-324, 1e308] * 15)
def test_any_numbers_give_an_answer_that_makes_sense(values: list[float]) -> None:
    for change in detect_changes(values):
        assert np.isfinite(values[change.index])
        assert change.ratio_low <= change.ratio <= change.ratio_high
        assert 0.0 <= change.p <= 0.01
        assert min(change.n_before, change.n_after) >= 3
        assert change.kind is ChangeKind.TREND or (change.ratio > 1.0) == (change.after > change.before)
    smallest = minimum_detectable_effect(values)
    assert smallest is None or smallest >= 0.01


def test_a_million_points() -> None:
    values = made(1, n=1_000_000, step=0.05, at=600_000)
    (change,) = detect_changes(values)
    assert change.index == 600_000


def test_forty_thousand_streamed_series_stay_below_200_megabytes() -> None:
    """Above what the import alone takes, in a process of its own."""
    program = """
import resource, numpy as np
from perfsvc.detect import detect_batch, detect_changes
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
detect_changes([1.0, 2.0] * 30)
before = peak()
rng = np.random.default_rng(1)
found = detect_batch(np.exp(rng.normal(0.0, 0.01, 24)) * (1.0 + 0.1 * (np.arange(24) > 12)) for _ in range(40_000))
print(len(found), sum(map(len, found)), peak() - before)
"""
    told = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
    series, changes, kilobytes = map(int, told)
    assert series == 40_000
    assert changes >= 40_000
    assert kilobytes / (1024 if sys.platform != "darwin" else 1024**2) < 200


def test_the_first_call_takes_less_than_two_seconds_of_a_fresh_process() -> None:
    program = """
import time
from perfsvc.detect import detect_changes
detect_changes([1.0, 1.01] * 20 + [1.2, 1.21] * 20)
print(time.process_time())
"""
    told = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert float(told) < 2.0
