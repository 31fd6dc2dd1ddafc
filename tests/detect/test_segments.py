"""The fit is the exact minimum it claims to be, and the constants do what their comments say."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from perfsvc.detect.segments import (
    LOSS_CAP,
    MOST_LEVELS,
    Floats,
    best_cuts,
    candidate_levels,
    candidates,
    penalty,
    refit,
)


def functional(z: Floats, cuts: list[int], levels: Floats) -> float:
    edges = [0, *cuts, len(z)]
    losses = [
        np.minimum((z[a:b, None] - levels) ** 2, LOSS_CAP).sum(axis=0).min() for a, b in itertools.pairwise(edges)
    ]
    return float(sum(losses)) + penalty(len(z)) * len(cuts)


@pytest.mark.parametrize("seed", range(8))
def test_no_other_cuts_cost_less(seed: int) -> None:
    rng = np.random.default_rng(seed)
    z = rng.normal(size=9) + 4.0 * (np.arange(9) >= rng.integers(2, 8)) - 5.0 * (np.arange(9) >= rng.integers(2, 8))
    levels = candidate_levels(z)
    every = (list(cuts) for k in range(9) for cuts in itertools.combinations(range(1, 9), k))
    least = min(functional(z, cuts, levels) for cuts in every)
    (found,) = best_cuts([z], [levels])
    assert functional(z, found, levels) == pytest.approx(least)


def test_series_of_other_lengths_and_levels_in_one_pass_do_not_disturb_each_other() -> None:
    rng = np.random.default_rng(4)
    series = [rng.normal(size=n) + 5.0 * (np.arange(n) >= n // 2) * (n % 2) for n in (2, 9, 31, 64, 65, 200)]
    levels = [candidate_levels(z) for z in series]
    assert best_cuts(series, levels) == [best_cuts([z], [own])[0] for z, own in zip(series, levels, strict=True)]


def test_an_outlier_costs_less_than_a_segment_of_its_own() -> None:
    assert all(2 * penalty(n) > LOSS_CAP for n in range(2, 2000))


def test_at_most_192_levels_are_tried_and_those_visited_most_are_kept() -> None:
    wild = np.concatenate((np.zeros(50), np.arange(5000.0)))
    levels = candidate_levels(wild)
    assert len(levels) == MOST_LEVELS
    assert 0.0 in levels


def test_a_cut_in_the_wrong_place_is_moved_to_the_step() -> None:
    z = np.array([0.0] * 20 + [5.0] * 20)
    assert refit(z, [15]) == refit(z, [27]) == [20]


def test_no_points_have_no_candidates() -> None:
    nothing = np.array([])
    assert candidates([nothing, np.array([1.0])], [1.0, 1.0]) == [[], []]
    assert candidates([], []) == []


def test_a_penalty_is_two_log_n() -> None:
    assert penalty(1000) == 2.0 * math.log(1000)
