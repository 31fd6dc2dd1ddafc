"""Rows of asv's result files: every shape that a value was ever written in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from perfsvc.errors import ResultFormatError
from perfsvc.formats import asv_file, asv_rows
from perfsvc.formats.asv_rows import Row
from perfsvc.model import Measurement, Skip

NAN, INFINITY = float("nan"), float("inf")
COLUMNS = ["result", "params", "version", "started_at", "duration", "stats_q_25", "stats_q_75", "samples", "profile"]
HEAD = {"commit_hash": "a" * 40, "date": 1_600_000_000_000, "params": {"machine": "m1"}}


def rows(results: dict[str, Any], version: int = 2, suite: dict[str, Any] | None = None, **more: Any) -> dict[str, Row]:
    text = json.dumps({**HEAD, "result_columns": COLUMNS, "results": results, "version": version, **more})
    parsed = asv_file.parse(text.encode(), "file.json", suite)
    assert parsed.complaints == ()
    return dict(parsed.rows)


def outcomes(words: Any, version: int = 2, **more: Any) -> list[Measurement | Skip]:
    return list(asv_rows.outcomes("b", rows({"b": words}, version, **more)["b"]))


def complaint(words: Any, version: int = 2) -> str:
    text = json.dumps({**HEAD, "result_columns": COLUMNS, "results": {"b": words, "c": [[1.0]]}, "version": version})
    (only,) = asv_file.parse(text.encode(), "file.json").complaints
    assert only.place == "file.json"
    return only.reason


def test_a_short_row_is_filled_with_nothing() -> None:
    assert outcomes([[2.0], []]) == [Measurement("b", (), 2.0)]


def test_values_run_over_the_product_of_the_parameters() -> None:
    found = outcomes([[1.0, 2.0, 3.0, 4.0], [["'a'", "'b'"], ["16", "32"]]])
    assert [(each.params, getattr(each, "value", None)) for each in found] == [
        (("'a'", "16"), 1.0),
        (("'a'", "32"), 2.0),
        (("'b'", "16"), 3.0),
        (("'b'", "32"), 4.0),
    ]


def test_equal_parameters_are_numbered_as_newer_asv_does() -> None:
    found = outcomes([[1.0, 2.0, 3.0], [["'a'", "'a'", "'b'"]]])
    assert [each.params for each in found] == [("'a' (0)",), ("'a' (1)",), ("'b'",)]
    assert complaint([None, [["a", "a", "a (0)"]]]) == "b: params are ['a', 'a', 'a (0)']; wanted distinct values"


def test_failed_skipped_and_infinite_are_told_apart() -> None:
    found = outcomes([[None, NAN, INFINITY, 1.0], [["1", "2", "3", "4"]]])
    assert found == [
        Skip("b", ("1",), "asv reports that this benchmark failed"),
        Skip("b", ("2",), "skipped by the suite"),
        Skip("b", ("3",), "the suite reported inf, not a finite number"),
        Measurement("b", ("4",), 1.0),
    ]


def test_a_benchmark_that_failed_as_a_whole_failed_for_each_of_its_cases() -> None:
    assert [each.params for each in outcomes([None, [["1", "2"]]])] == [("1",), ("2",)]


def test_quartiles_and_samples_belong_to_their_case() -> None:
    row = [
        [1.0, None],
        [["1", "2"]],
        "v",
        1_600_000_000_000,
        2.5,
        [0.9, None],
        [1.1, None],
        [[0.9, 1, None, 1.1], None],
    ]
    first, second = outcomes(row)
    assert first == Measurement("b", ("1",), 1.0, 0.9, 1.1, (), (0.9, 1.0, 1.1))
    assert isinstance(second, Skip)


def test_a_tracked_value_may_be_an_integer_or_a_truth_but_no_text() -> None:
    assert outcomes([[17], []]) == [Measurement("b", (), 17.0)]
    assert outcomes([[True], []]) == [Measurement("b", (), 1.0)]
    assert outcomes([["fast"], []]) == [Skip("b", (), "the suite reported 'fast', not a number")]
    assert outcomes([[{"a": 1}], []]) == [Skip("b", (), "the suite reported {'a': 1}, not a number")]
    (huge,) = outcomes([[10**400], []])
    assert isinstance(huge, Skip)
    assert "not a finite number" in huge.reason


@pytest.mark.parametrize("words", [2.0, [2.0], {"result": 2.0}, {"result": [2.0], "params": []}])
def test_format_1_wrote_a_single_value_in_four_ways(words: Any) -> None:
    assert outcomes(words, version=1) == [Measurement("b", (), 2.0)]


def test_format_1_wrote_a_failure_as_null() -> None:
    assert outcomes(None, version=1) == [Skip("b", (), "asv reports that this benchmark failed")]


def test_a_bare_list_of_format_1_runs_over_the_parameters_of_the_suite() -> None:
    found = outcomes([1.0, None], version=1, suite={"b": (("1", "2"),)})
    assert found == [Measurement("b", ("1",), 1.0), Skip("b", ("2",), "asv reports that this benchmark failed")]


def test_statistics_of_format_1_stand_beside_each_result() -> None:
    stats = [{"q_25": 0.9, "q_75": 1.1, "ci_99": [0, 2], "repeat": 5, "number": 1}, None]
    words = {"result": [1.0, None], "params": [["1", "2"]], "stats": stats, "samples": [[1.0, 1.1], None]}
    first, _ = outcomes(words, version=1)
    assert first == Measurement("b", ("1",), 1.0, 0.9, 1.1, (), (1.0, 1.1))
    single = {"result": 1.0, "stats": {"q_25": 0.9}, "samples": [1.0, 1.1]}
    assert outcomes(single, version=1) == [Measurement("b", (), 1.0, 0.9, None, (), (1.0, 1.1))]


def test_format_1_keeps_versions_and_times_in_lists_of_their_own() -> None:
    more: dict[str, Any] = {"benchmark_version": {"b": "v1"}, "started_at": {"b": 1000}, "ended_at": {"b": 3500}}
    row = rows({"b": 1.0}, 1, **more)["b"]
    assert (row.version, row.started_at, row.duration) == ("v1", 1000, 2.5)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([[1.0, 2.0], []], "b: has 2 values for 1 parameter sets"),
        ([[1.0], [["1", "2"]]], "b: has 1 values for 2 parameter sets"),
        ([[1.0], [], None, None, None, [1.0, 2.0]], "b: has 2 first quartiles for 1 parameter sets"),
        ([1.0, []], "b: its values are 1.0; wanted a list or null"),
        ([[1.0], [1]], "b: params are [1]; wanted a list of lists"),
        ([[1.0], [[1]]], "b: params are [[1]]; wanted texts in the lists"),
        ([[1.0], [], {}], "b: version is {}; wanted a text"),
        (7, "b: is a number beside a list of columns; wanted two lists"),
        ([None] * 10, "b: has 10 values for 9 columns"),
        ([None, [["1"] * 100] * 9], "b: has 1,000,000,000,000,000,000 parameter sets; at most 100,000 are read"),
    ],
)
def test_a_row_that_makes_no_sense_is_a_complaint_and_the_others_go_in(words: Any, reason: str) -> None:
    assert complaint(words) == reason


def test_an_object_of_format_1_without_a_result_is_a_complaint() -> None:
    assert complaint({"params": []}, version=1) == "b: is {'params': []}; wanted a result in it"


def test_a_column_order_of_another_asv_is_read_by_its_names() -> None:
    text = json.dumps(
        {**HEAD, "version": 2, "result_columns": ["params", "new", "result"], "results": {"b": [[], 1, [2.0]]}}
    )
    (row,) = asv_file.parse(text.encode(), "f").rows.values()
    assert list(asv_rows.outcomes("b", row)) == [Measurement("b", (), 2.0)]


def test_result_files_without_columns_make_no_sense() -> None:
    text = json.dumps({**HEAD, "version": 2, "results": []})
    with pytest.raises(ResultFormatError, match="its results are a list; wanted an object"):
        asv_file.parse(text.encode(), "file.json")
