"""Rounds of one run: the median of their medians, and a spread that fits their number."""

from __future__ import annotations

import statistics

from hypothesis import given
from hypothesis import strategies as st

from perfsvc.formats.rounds import merge_rounds
from perfsvc.model import Measurement, Skip

FAILED = Skip("b", (), "failed")
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


def measured(value: float, *samples: float, q25: float | None = None, q75: float | None = None) -> Measurement:
    return Measurement("b", (), value, q25, q75, (), samples)


def merged(*rounds: Measurement | Skip) -> Measurement | Skip:
    (only,) = merge_rounds([[each] for each in rounds])
    return only


def test_one_round_keeps_its_value_and_asvs_quartiles() -> None:
    assert merged(measured(2.0, q25=1.9, q75=2.1)) == Measurement("b", (), 2.0, 1.9, 2.1, (2.0,), ())


def test_few_rounds_take_their_quartiles_from_the_samples() -> None:
    found = merged(measured(2.0, 1.0, 2.0, 3.0), measured(4.0, 3.0, 4.0, 5.0))
    assert found == Measurement("b", (), 3.0, 2.25, 3.75, (2.0, 4.0), (1.0, 2.0, 3.0, 3.0, 4.0, 5.0))


def test_few_rounds_without_all_samples_take_the_middle_of_asvs_quartiles() -> None:
    found = merged(measured(2.0, 1.0, 2.0, q25=1.0, q75=3.0), measured(4.0, q25=3.0, q75=5.0), measured(6.0))
    assert isinstance(found, Measurement)
    assert (found.value, found.q25, found.q75) == (4.0, 2.0, 4.0)


def test_four_rounds_have_quartiles_of_their_own() -> None:
    found = merged(*(measured(value, 0.0, 100.0) for value in (1.0, 2.0, 3.0, 4.0, 5.0)))
    assert isinstance(found, Measurement)
    assert (found.value, found.q25, found.q75) == (3.0, 2.0, 4.0)


def test_a_case_that_failed_in_one_round_keeps_the_others() -> None:
    assert merged(FAILED, measured(2.0), measured(4.0)) == Measurement("b", (), 3.0, None, None, (2.0, 4.0), ())


def test_a_case_that_was_never_measured_keeps_its_first_reason() -> None:
    assert merged(FAILED, Skip("b", (), "skipped")) == FAILED


def test_cases_do_not_mix() -> None:
    rounds = [[Measurement("b", ("1",), 1.0), Measurement("b", ("2",), 2.0)], [Measurement("b", ("2",), 4.0)]]
    assert [(each.params, getattr(each, "value", 0)) for each in merge_rounds(rounds)] == [(("1",), 1.0), (("2",), 3.0)]


@given(st.lists(NUMBERS, min_size=1, max_size=9))
def test_the_value_lies_between_the_quartiles_and_is_always_finite(values: list[float]) -> None:
    found = merged(*map(measured, values))
    assert isinstance(found, Measurement)
    assert min(values) <= found.value <= max(values)
    assert found.rounds == tuple(values)
    if found.q25 is not None and found.q75 is not None:
        assert found.q25 <= found.value or abs(found.q25 - found.value) <= 1e-9 * abs(found.value)
        assert found.value <= found.q75 or abs(found.q75 - found.value) <= 1e-9 * abs(found.value)


@given(
    st.lists(st.floats(1e-9, 1e9), min_size=1, max_size=9).flatmap(lambda v: st.tuples(st.just(v), st.permutations(v)))
)
def test_the_order_of_rounds_does_not_matter(rounds: tuple[list[float], list[float]]) -> None:
    first, second = (merged(*map(measured, values)) for values in rounds)
    assert isinstance(first, Measurement)
    assert isinstance(second, Measurement)
    assert (first.value, first.q25, first.q75) == (second.value, second.q25, second.q75)
    assert first.value == statistics.median(rounds[0])
