"""benchmarks.json: what a number counts is told by the suite, else by asv's naming rule, never by values."""

from __future__ import annotations

import json
from typing import Any

import pytest

from perfsvc.errors import ResultFormatError
from perfsvc.formats.asv_suite import Suite, read_suite
from perfsvc.model import Complaint, Direction, Metric


def suite(version: Any = 2, **benchmarks: Any) -> Suite:
    return read_suite(json.dumps({**benchmarks, "version": version}).encode(), "benchmarks.json")


def metric(**words: Any) -> Metric:
    return suite(b={"name": "b", **words}).benchmarks["b"].metric


@pytest.mark.parametrize(
    ("kind", "unit", "expected"),
    [
        ("time", "seconds", Metric("time", "seconds", Direction.LOWER)),
        ("timeraw", "seconds", Metric("time", "seconds", Direction.LOWER)),
        ("memory", "bytes", Metric("memory", "bytes", Direction.LOWER)),
        ("peakmemory", "bytes", Metric("peakmemory", "bytes", Direction.LOWER)),
        ("track", "gflops", Metric("track", "gflops", Direction.NEITHER)),
        ("throughput", "1/s", Metric("throughput", "1/s", Direction.NEITHER)),
    ],
)
def test_the_type_of_a_benchmark_sets_its_metric(kind: str, unit: str, expected: Metric) -> None:
    assert metric(type=kind, unit=unit) == expected


def test_attributes_of_the_function_change_the_metric_and_the_rest_is_kept() -> None:
    words = {
        "type": "track",
        "metric": "operators",
        "unit": "1",
        "direction": "lower",
        "exact": True,
        "flops": {"16": 1e9},
    }
    found = suite(b={**words, "code": "def ...", "timeout": 60, "param_names": ["n"], "tags": ["smoke"]}).benchmarks[
        "b"
    ]
    assert found.metric == Metric("operators", "1", Direction.LOWER, exact=True)
    assert found.attributes == {"flops": {"16": 1e9}, "tags": ["smoke"]}
    assert found.param_names == ("n",)


def test_an_attribute_that_makes_no_sense_is_a_complaint_and_the_usual_holds() -> None:
    found = suite(b={"type": "track", "unit": "x", "direction": "up", "exact": "yes", "metric": 7})
    assert found.benchmarks["b"].metric == Metric("track", "x")
    assert found.complaints == (
        Complaint("benchmarks.json", "b: metric is 7; wanted a text"),
        Complaint("benchmarks.json", "b: direction is 'up'; wanted one of lower, higher, neither"),
        Complaint("benchmarks.json", "b: exact is 'yes'; wanted a boolean"),
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.Suite.time_forward", "time"),
        ("a.TimeSuite", "time"),
        ("a.timeraw_import", "time"),
        ("a.mem_list", "memory"),
        ("a.PeakMemList", "peakmemory"),
        ("a.peakmem_list", "peakmemory"),
        ("a.track_loss", "track"),
        ("a.timeless", "track"),
        ("a.Timeless", "track"),
        ("time_suite.forward", "track"),
        ("", "track"),
    ],
)
def test_without_a_description_the_name_tells_as_it_does_for_asv(name: str, expected: str) -> None:
    assert Suite().benchmark(name).metric.name == expected


def test_version_1_had_no_versions_of_benchmarks() -> None:
    found = suite(1, b={"name": "b", "type": "time", "unit": "seconds", "params": [["1"]]})
    assert found.benchmarks["b"].version == ""
    assert found.params == {"b": (("1",),)}


def test_a_description_that_makes_no_sense_is_a_complaint_and_the_others_go_in() -> None:
    found = suite(b=[], c={"type": "time"}, d={"params": 7}, e={"version": []})
    assert list(found.benchmarks) == ["c", "d"]
    assert [each.reason for each in found.complaints] == [
        "b is a list; wanted an object",
        "d: params are 7; wanted a list of lists",
        "e: version is []; wanted a text",
    ]


def test_an_unknown_version_is_refused_and_not_guessed() -> None:
    with pytest.raises(ResultFormatError, match=r"benchmarks.json: has version 3; wanted 1 or 2"):
        suite(3)


def test_only_a_changed_metric_changes_the_digest() -> None:
    plain = suite(**{"a.time_x": {"type": "time", "unit": "seconds"}})
    grown = suite(**{"a.time_x": {"type": "time", "version": "2"}, "a.time_y": {"type": "time", "code": "new"}})
    told = suite(**{"a.time_x": {"type": "time", "direction": "neither"}})
    assert plain.digest == grown.digest == Suite().digest == b""
    assert told.digest != plain.digest
