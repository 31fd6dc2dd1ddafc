"""The shared statistics, held against scipy.stats and against counting by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.stats

from perfsvc.stats import (
    binomial_tail,
    mad_sigma,
    mann_whitney,
    median,
    ratio_of,
    t_limit,
    trimmed_mean,
    two_sided_p,
    two_sided_z,
)


@pytest.mark.parametrize(("m", "n"), [(1, 1), (3, 3), (3, 9), (9, 3), (8, 8), (8, 80), (5, 40)])
def test_mann_whitney_is_exact_for_small_samples(m: int, n: int) -> None:
    rng = np.random.default_rng(m * 100 + n)
    first, second = rng.normal(size=m), rng.normal(0.5, 1.0, n)
    wanted = scipy.stats.mannwhitneyu(first, second, method="exact")
    found = mann_whitney(first, second)
    assert found.p == pytest.approx(wanted.pvalue, rel=1e-9)
    assert found.auc == pytest.approx(1.0 - wanted.statistic / (m * n))


def test_the_exact_tail_is_what_counting_all_orders_gives() -> None:
    ranks = range(7)
    first = {2, 3, 6}
    u = sum(b > a for a in first for b in set(ranks) - first)
    all_u = [sum(b > a for a in some for b in set(ranks) - set(some)) for some in itertools.combinations(ranks, 3)]
    p = min(1.0, 2 * sum(one <= min(u, 12 - u) for one in all_u) / math.comb(7, 3))
    rest = np.array(sorted(set(ranks) - first), dtype=float)
    assert mann_whitney(np.array(sorted(first), dtype=float), rest).p == pytest.approx(p)


def test_mann_whitney_is_normal_for_large_or_tied_samples() -> None:
    rng = np.random.default_rng(1)
    for first, second in [
        (rng.normal(size=30), rng.normal(0.3, 1.0, 40)),
        (rng.integers(0, 4, 5).astype(float), rng.integers(1, 5, 9).astype(float)),
    ]:
        wanted = scipy.stats.mannwhitneyu(first, second, method="asymptotic")
        assert mann_whitney(first, second).p == pytest.approx(wanted.pvalue, rel=1e-9)


def test_equal_values_are_no_evidence() -> None:
    same = mann_whitney(np.ones(5), np.ones(7))
    assert (same.p, same.auc) == (1.0, 0.5)


def test_a_p_and_its_z_say_the_same() -> None:
    for p in (1.0, 0.3, 1e-3, 1e-12):
        assert two_sided_p(two_sided_z(p)) == pytest.approx(p, rel=1e-9)


def test_the_binomial_tail() -> None:
    assert binomial_tail(3, 5, 0.1) == pytest.approx(scipy.stats.binom.sf(2, 5, 0.1))
    assert binomial_tail(0, 5, 0.1) == 1.0
    assert binomial_tail(5, 5, 0.1) == pytest.approx(1e-5)


def test_median_and_mad() -> None:
    assert median(np.array([3.0, 1.0, 2.0])) == 2.0
    assert median(np.array([4.0, 1.0, 2.0, 3.0])) == 2.5
    assert mad_sigma(np.array([1.0, 2.0, 3.0, 4.0, 100.0])) == pytest.approx(1.4826)
    assert mad_sigma(np.array([])) == 0.0


def test_the_trimmed_mean_is_yuens() -> None:
    x = np.array([5.0, 1.0, 2.0, 3.0, 4.0, 60.0])
    trimmed = trimmed_mean(x, cut=1 / 6)
    assert trimmed.mean == pytest.approx(scipy.stats.trim_mean(x, 1 / 6)) == 3.5
    winsorised = scipy.stats.mstats.winsorize(x, limits=(1 / 6, 1 / 6))
    assert trimmed.se == pytest.approx(math.sqrt(np.var(winsorised, ddof=1) * 5 / (4 * 3)))
    assert trimmed.df == 3


def test_the_limit_of_t() -> None:
    assert t_limit(3, 0.01) == pytest.approx(scipy.stats.t.isf(0.005, 3))


@pytest.mark.parametrize(
    ("before", "after", "ratio"),
    [(2.0, 3.0, 1.5), (0.0, 0.0, 1.0), (0.0, 3.0, math.inf), (0.0, -1.0, 0.0), (-2.0, -1.0, math.inf), (2.0, 0.0, 0.0)],
)
def test_a_ratio_is_above_one_exactly_when_the_level_rose(before: float, after: float, ratio: float) -> None:
    assert ratio_of(before, after) == ratio
