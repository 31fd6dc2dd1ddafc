"""sigma and rho, from series whose sigma and rho are known."""

from __future__ import annotations

import numpy as np
import pytest

from perfsvc.detect.noise import RHO_CEILING, SIGMA_FLOOR, estimate_noise, spread_sigma


def test_sigma_is_that_of_the_noise_and_not_of_the_steps() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(0.0, 0.02, 2000) + 0.3 * (np.arange(2000) // 200 % 2)
    noise = estimate_noise(x)
    assert noise.sigma == pytest.approx(0.02, rel=0.06)
    assert noise.rho < 0.1


def test_neighbours_that_resemble_each_other_show_in_rho() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(0.0, 0.02, 3000)
    for i in range(1, len(x)):
        x[i] += 0.5 * x[i - 1]
    noise = estimate_noise(x)
    assert 0.35 < noise.rho <= RHO_CEILING
    assert noise.inflation == (1.0 + noise.rho) / (1.0 - noise.rho)


def test_few_points_are_taken_as_independent() -> None:
    assert estimate_noise(np.array([0.0, 0.01] * 5 + [0.3, 0.31] * 5)).rho == 0.0


@pytest.mark.parametrize("x", [[], [1.0], [1.0, 2.0], [1.0] * 50])
def test_without_a_difference_to_learn_from_sigma_is_the_floor(x: list[float]) -> None:
    noise = estimate_noise(np.array(x))
    assert (noise.sigma, noise.rho) == (SIGMA_FLOOR, 0.0)


def test_residuals_about_two_fitted_medians_are_widened() -> None:
    residuals = np.array([-0.01, 0.0, 0.01, -0.01, 0.0, 0.01])
    assert spread_sigma(residuals, 2) == pytest.approx(1.4826 * 0.01 * (6 / 4) ** 0.5)
    assert spread_sigma(np.zeros(6), 2) == SIGMA_FLOOR
