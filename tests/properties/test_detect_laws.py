"""Laws of detection: true of every series, not of examples."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from perfsvc.detect import detect_batch, detect_changes, exact_changes, minimum_detectable_effect, q_values
from perfsvc.model import ChangeKind

Series = list[float]


@st.composite
def steps(draw: st.DrawFn) -> tuple[Series, int]:
    """One step of 10 % or more in noise of 1 %, and its place."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    before, after = draw(st.integers(6, 40)), draw(st.integers(6, 40))
    level = np.repeat([1.0, draw(st.sampled_from([0.9, 1.1, 1.3]))], [before, after])
    return (level * np.exp(rng.normal(0.0, 0.01, before + after))).tolist(), before


def steady(seed: int, n: int) -> Series:
    return np.exp(np.random.default_rng(seed).normal(0.0, 0.01, n)).tolist()


anything = st.lists(
    st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([0.0, 1.0, -1.0, math.nan]), max_size=60
)
positive = st.lists(st.floats(1e-9, 1e9), max_size=60)


@given(anything)
def test_any_numbers_give_an_answer(values: Series) -> None:
    for change in detect_changes(values):
        assert math.isfinite(values[change.index])
        assert change.ratio_low <= change.ratio <= change.ratio_high
        assert 0.0 <= change.p <= 0.01
        assert (change.ratio > 1.0) == (change.after > change.before)
    effect = minimum_detectable_effect(values)
    assert effect is None or 0.01 <= effect <= 1.0
    exact_changes(values)


@given(series=steps(), power=st.integers(-40, 40))
def test_a_change_of_unit_moves_no_change(series: tuple[Series, int], power: int) -> None:
    values, _ = series
    scaled = detect_changes([v * 2.0**power for v in values])
    assert [(c.index, c.kind, c.flags) for c in scaled] == [(c.index, c.kind, c.flags) for c in detect_changes(values)]


@given(series=steps(), factor=st.floats(1e-9, 1e9))
def test_a_change_of_unit_moves_no_step(series: tuple[Series, int], factor: float) -> None:
    values, _ = series
    found = [c.index for c in detect_changes([v * factor for v in values]) if c.kind is ChangeKind.STEP]
    assert found == [c.index for c in detect_changes(values) if c.kind is ChangeKind.STEP]


@given(steps())
def test_backwards_a_slowdown_is_a_speedup(series: tuple[Series, int]) -> None:
    values, _ = series
    there, back = detect_changes(values), detect_changes(values[::-1])
    assume(len(there) == len(back) == 1)
    assert (there[0].ratio > 1.0) == (back[0].ratio < 1.0)
    assert abs(there[0].index + back[0].index - len(values)) <= 1
    assert there[0].ratio * back[0].ratio == pytest.approx(1.0, abs=0.02)


@given(seed=st.integers(0, 10_000), n=st.integers(10, 80), place=st.floats(0, 1), size=st.floats(1e-6, 1e6))
def test_a_lone_outlier_is_never_a_change(seed: int, n: int, place: float, size: float) -> None:
    values = steady(seed, n)
    assume(not detect_changes(values))
    at = round(place * (n - 1))
    values[at] = size
    assert all(abs(change.index - at) > 1 or change.n_after > 2 for change in detect_changes(values))
    flat = [1.0] * n
    flat[at] = size
    assert detect_changes(flat) == []


@given(series=steps(), gaps=st.lists(st.floats(0, 1), max_size=20), kind=st.sampled_from([math.nan, math.inf]))
def test_missing_values_neither_make_nor_hide_a_change(series: tuple[Series, int], gaps: Series, kind: float) -> None:
    values, _ = series
    with_gaps = list(values)
    for gap in gaps:
        with_gaps.insert(round(gap * len(with_gaps)), kind)
    found = [with_gaps[change.index] for change in detect_changes(with_gaps)]
    assert found == [values[change.index] for change in detect_changes(values)]


@settings(max_examples=30)
@given(st.lists(positive, max_size=12))
def test_a_batch_says_what_each_says_alone(series: list[Series]) -> None:
    assert detect_batch(series) == [detect_changes(values) for values in series]


@given(positive)
def test_the_same_values_say_the_same_twice(values: Series) -> None:
    before = list(values)
    assert detect_changes(values) == detect_changes(values)
    assert values == before


@given(st.lists(st.sampled_from([1.0, 2.0, 3.0, math.nan]), max_size=30))
def test_every_difference_of_an_exact_metric_is_one_change(values: Series) -> None:
    there = [v for v in values if not math.isnan(v)]
    changes = exact_changes(values)
    assert len(changes) == sum(a != b for a, b in itertools.pairwise(there))
    assert all(values[c.index] == c.after != c.before for c in changes)
    assert len(exact_changes(values[::-1])) == len(changes)


@given(st.lists(st.floats(0, 1), max_size=50))
def test_q_is_never_below_p_and_keeps_its_order(p: Series) -> None:
    q = q_values(p)
    assert all(a <= b + 1e-12 <= 1.0 + 1e-9 for a, b in zip(p, q, strict=True))
    by_p = [q[i] for i in sorted(range(len(p)), key=lambda i: p[i])]
    assert by_p == sorted(by_p)


@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=30), more=st.integers(0, 30))
def test_another_steady_series_lowers_nothing(p: Series, more: int) -> None:
    assert all(a <= b + 1e-12 for a, b in zip(q_values(p), q_values(p + [1.0] * more), strict=False))
