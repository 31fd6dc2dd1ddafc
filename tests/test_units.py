"""Numbers as people read them."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsvc import units

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("number", "unit", "noun", "shown"),
    [
        (0.00342, "seconds", "", "3.42 ms"),
        (0.0009999, "seconds", "", "1.00 ms"),
        (125.0, "seconds", "", "125 s"),
        (0.0, "seconds", "", "0 s"),
        (3.2e-13, "seconds", "", "0.00032 ns"),
        (1.5 * 1024**2, "bytes", "", "1.50 MiB"),
        (1023, "bytes", "", "1,023 B"),
        (0, "bytes", "", "0 B"),
        (12, "1", "operators", "12 operators"),
        (1_234_567, "1", "operators", "1,234,567 operators"),
        (0.8734, "1", "accuracy", "0.87 accuracy"),
        (31.25, "tokens/s", "", "31.2 tokens/s"),
        (None, "seconds", "", units.NOTHING),
        (math.nan, "bytes", "", units.NOTHING),
        (math.inf, "seconds", "", "inf s"),
    ],
)
def test_a_value_has_three_digits_that_count_and_its_unit(
    number: float | None, unit: str, noun: str, shown: str
) -> None:
    assert units.value(number, unit, noun) == shown


@pytest.mark.parametrize(
    ("ratio", "unit", "metric", "shown"),
    [
        (1.23, "seconds", "time", "1.23x slower"),
        (1 / 1.23, "seconds", "time", "1.23x faster"),
        (1.1, "1", "operators", "1.10x more operators"),
        (0.5, "bytes", "allocated", "2.00x less allocated"),
        (1.012, "seconds", "time", "1.012x slower"),
        (1.0, "seconds", "time", "no change in time"),
        (1.0001, "1", "operators", "no change in operators"),
        (250.4, "seconds", "time", "250x slower"),
    ],
)
def test_a_ratio_is_told_with_its_direction(ratio: float, unit: str, metric: str, shown: str) -> None:
    assert units.change(ratio, unit, metric) == shown


@pytest.mark.parametrize("ratio", [None, math.inf, 0.0, math.nan])
def test_where_there_is_no_ratio_the_two_levels_speak(ratio: float | None) -> None:
    assert units.change(ratio, "1", "operators", before=0, after=12) == "from 0 operators to 12 operators"
    assert units.change(ratio, "1", "operators") == "changed from or to nothing"


def test_an_interval_names_its_direction_once_or_both() -> None:
    assert units.interval(1.38, 1.46, "seconds", "time") == "1.38x to 1.46x slower"
    assert units.interval(0.8, 0.85, "seconds", "time") == "1.18x to 1.25x faster"
    assert units.interval(0.8, 1.25, "seconds", "time") == "1.25x faster to 1.25x slower"
    assert units.interval(1.5, math.inf, "seconds", "time") == "at least 1.50x slower"
    assert units.interval(None, 2.0, "seconds", "time") == ""


def test_what_a_series_can_see_is_a_percentage() -> None:
    assert units.effect(0.018) == "can see changes of 1.8 % or more"
    assert units.effect(0.25) == "can see changes of 25 % or more"
    assert units.effect(0.0) == "can see any change"
    assert units.effect(None) == "cannot tell yet what it can see"
    assert units.percent(0.00001) == "less than 0.01 %"


def test_a_margin_is_told_as_a_share_of_what_is_allowed() -> None:
    assert units.margin(3.1e-6, 1e-5) == "0.31 of the tolerance"
    assert units.margin(4.2e-5, 1e-5) == "4.20x the tolerance"
    assert units.margin(0.0, 0.0) == "exact"
    assert units.margin(0.5, 0.0) == "off by 0.5, none allowed"
    assert units.margin(math.nan, 1e-5) == "error is not a number"
    assert units.margin(math.inf, 1e-5) == "error is infinite"
    assert units.margin(None, 1e-5) == ""


@pytest.mark.parametrize(
    ("elapsed", "shown"),
    [
        (timedelta(seconds=20), "just now"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(hours=3, minutes=50), "3 hours ago"),
        (timedelta(days=2), "2 days ago"),
        (timedelta(days=800), "2 years ago"),
        (-timedelta(minutes=5), "in 5 minutes"),
    ],
)
def test_an_age_is_one_number_and_its_unit(elapsed: timedelta, shown: str) -> None:
    assert units.age(NOW - elapsed, NOW) == shown


def test_what_never_happened_has_no_age() -> None:
    assert units.age(None, NOW) == "never"


def test_a_wait_is_told_in_the_unit_one_waits_in() -> None:
    assert [units.duration(x) for x in (None, 4.25, 45, 720, 11100)] == [
        "not known", "4.2 s", "45 s", "12 min", "3 h 5 min",
    ]  # fmt: skip


def test_one_of_something_is_singular() -> None:
    assert units.count(1, "commit") == "1 commit"
    assert units.count(1204, "series", "series") == "1,204 series"


@given(st.floats(1e-12, 1e12), st.sampled_from(["seconds", "bytes", "tokens/s"]))
def test_no_number_stands_without_its_unit(number: float, unit: str) -> None:
    assert " " in units.value(number, unit)


@given(st.floats(1e-6, 1e6))
def test_the_way_back_is_as_many_times_in_the_other_direction(ratio: float) -> None:
    there, back = units.change(ratio, "seconds", "time"), units.change(1 / ratio, "seconds", "time")
    assert there.split()[0] == back.split()[0]
    assert (there == back) == there.startswith("no change")
