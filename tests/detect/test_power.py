"""What a series says it could see, it sees."""

from __future__ import annotations

import math

import numpy as np
import pytest

from perfsvc.detect import minimum_detectable_effect

RNG = np.random.default_rng(8)
NOISE = np.exp(RNG.normal(0.0, 0.01, 100)).tolist()


def test_a_quieter_series_sees_more() -> None:
    quiet, loud = minimum_detectable_effect([v**0.5 for v in NOISE]), minimum_detectable_effect([v**2 for v in NOISE])
    assert quiet is not None
    assert loud is not None
    assert 0.01 < quiet < 0.02 < loud < 0.08


def test_more_points_see_more() -> None:
    few, many = minimum_detectable_effect(NOISE[:12]), minimum_detectable_effect(NOISE)
    assert few is not None
    assert many is not None
    assert many < few


def test_nothing_below_the_minimum_effect_is_promised() -> None:
    assert minimum_detectable_effect([1.0] * 50) == 0.01
    assert minimum_detectable_effect([1.0] * 50, minimum_effect=0.03) == 0.03


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 1.1], [1.0, 1.1, 1.0, 1.1], [math.nan] * 20])
def test_too_few_points_to_say(values: list[float]) -> None:
    assert minimum_detectable_effect(values) is None


def test_too_noisy_to_say() -> None:
    assert minimum_detectable_effect([1.0, 2.0, 4.0, 8.0, 0.5, 1.0, 3.0, 0.2] * 3) is None


def test_values_without_a_logarithm_are_judged_on_the_linear_scale() -> None:
    found = minimum_detectable_effect([0.0] + [100.0 * v for v in NOISE])
    assert found is not None
    assert 0.01 < found < 0.1
