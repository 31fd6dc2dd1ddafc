"""Bencher Metric Format: numbers with a name and a measure, and nothing else."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from perfsvc.errors import ResultFormatError
from perfsvc.formats import RunIdentity, bencher
from perfsvc.model import Commit, Direction, Metric

TOY = Path(__file__).parents[1] / "data" / "bencher" / "1" / "toy.json"
COMMIT = Commit("a" * 40, datetime(2026, 1, 1, tzinfo=UTC))
RUN = RunIdentity("box", commit=COMMIT)


def test_each_measure_is_a_benchmark_in_si_with_its_direction() -> None:
    report, complaints = bencher.read(TOY.read_bytes(), "toy.json", RUN)
    assert complaints == []
    told = {each.benchmark: each.value for each in report.measurements}
    assert told == {
        "sort (1,000 numbers):latency": pytest.approx(88e-9),
        "sort (1,000 numbers):throughput": 5.55,
        "toy:file-size": 4096.0,
        "toy:instructions": 123456.0,
    }
    counts = {each.name.rpartition(":")[2]: each.metric for each in report.benchmarks}
    assert counts["latency"] == Metric("latency", "seconds", Direction.LOWER)
    assert counts["throughput"].direction is Direction.HIGHER
    assert counts["instructions"] == Metric("instructions", "unit", Direction.NEITHER)
    assert (report.machine, report.commit, report.env_name) == ("box", COMMIT, "")


def test_a_value_that_is_none_is_a_skip() -> None:
    report, _ = bencher.read(TOY.read_bytes(), "toy.json", RUN)
    assert [(each.benchmark, each.reason) for each in report.skips] == [
        ("broken:latency", "its value is None; wanted a finite number")
    ]


@pytest.mark.parametrize("value", [True, "1", float("nan"), float("inf"), 10**400, [], {"value": {}}])
def test_no_other_value_is_taken_for_a_number(value: Any) -> None:
    report, _ = bencher.read(json.dumps({"b": {"latency": {"value": value}}}).encode(), "f", RUN)
    assert (report.measurements, len(report.skips)) == ((), 1)


def test_it_must_be_told_its_machine_and_its_commit() -> None:
    for run, missing in ((RunIdentity(commit=COMMIT), "machine"), (RunIdentity("box"), "commit")):
        with pytest.raises(ResultFormatError, match=f"toy.json: does not say which {missing} it is of"):
            bencher.read(TOY.read_bytes(), "toy.json", run)


@pytest.mark.parametrize("text", ["{}", '{"b": 1}', '{"b": {}}'])
def test_a_document_without_measures_makes_no_sense(text: str) -> None:
    with pytest.raises(ResultFormatError, match="holds no measures"):
        bencher.read(text.encode(), "f", RUN)


@pytest.mark.parametrize(
    ("document", "known"),
    [
        ({"b": {"latency": {"value": 1}}}, True),
        ({"b": {"latency": {"value": None}}}, True),
        ({"b": {"latency": {"mean": 1}}}, False),
        ({"b": {"latency": 1}}, False),
        ({"b": {}}, False),
        ({}, False),
        ([], False),
    ],
)
def test_it_is_known_by_its_shape(document: Any, known: bool) -> None:
    assert bencher.recognises(document) is known
