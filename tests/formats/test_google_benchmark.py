"""What Google Benchmark 1.9 wrote of a toy suite: repetitions, aggregates alone, errors, counters."""

from __future__ import annotations

import json
import statistics
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from perfsvc.errors import ResultFormatError
from perfsvc.formats import RunIdentity, google_benchmark
from perfsvc.model import Commit, Complaint, Direction, Metric, RunReport, Skip

DATA = Path(__file__).parents[1] / "data" / "google_benchmark" / "1"
TOLD: dict[str, Any] = json.loads((DATA / "repetitions.json").read_text())
RUN = RunIdentity(commit=Commit("a" * 40, datetime(2026, 1, 1, tzinfo=UTC)))


def parse(run: RunIdentity = RUN, **changed: Any) -> tuple[RunReport, list[Complaint]]:
    return google_benchmark.read(json.dumps({**TOLD, **changed}).encode(), "g.json", run)


def values(report: RunReport) -> dict[tuple[str, tuple[str, ...]], float]:
    return {(each.benchmark, each.params): each.value for each in report.measurements}


def entry(**words: Any) -> dict[str, Any]:
    return {"name": "x", "real_time": 2.0, "cpu_time": 1.0, "time_unit": "ms", **words}


def test_repetitions_are_samples_in_seconds() -> None:
    report, complaints = parse()
    assert complaints == []
    told = [each["real_time"] for each in TOLD["benchmarks"] if each["name"] == "sum_million"]
    (found,) = [each for each in report.measurements if each.benchmark == "sum_million"]
    assert found.samples == tuple(time * 1e-9 for time in told)
    assert found.value == statistics.median(told) * 1e-9
    assert (found.q25, found.q75) == (None, None)  # three samples have no quartiles worth the name
    four, _ = parse(benchmarks=[entry(real_time=float(time)) for time in (1, 2, 3, 4)])
    (first, _) = four.measurements
    assert (first.q25, first.q75) == pytest.approx((0.00175, 0.00325))


def test_arguments_are_parameters_and_counters_are_benchmarks_beside_the_time() -> None:
    report, _ = parse()
    named = {each.name: each for each in report.benchmarks}
    assert named["sort"].param_names == ("n", "k")
    assert named["cplx"].param_names == ("0",)
    assert values(report)["sort:items", ("n:16", "k:2")] == 3.0
    assert named["sort:items"].metric == Metric("items", "unit", Direction.NEITHER)
    assert named["sort:items_per_second"].metric == Metric("items_per_second", "1/s", Direction.HIGHER)
    assert named["sort:cpu_time"].metric == Metric("cpu_time", "seconds", Direction.LOWER)
    assert not any("stddev" in name or "BigO" in name for name in named)


def test_a_benchmark_that_ended_with_an_error_is_a_skip_with_its_words() -> None:
    report, _ = parse()
    assert report.skips == (Skip("skipping", (), "no device"),)
    skipped, _ = parse(benchmarks=[entry(skipped=True, skip_message="not here"), entry(name="y", error_occurred=True)])
    assert [each.reason for each in skipped.skips] == ["not here", "it ended with an error"]


def test_where_only_aggregates_were_written_the_median_counts() -> None:
    report, complaints = google_benchmark.read((DATA / "aggregates.json").read_bytes(), "g.json", RUN)
    assert complaints == []
    told = json.loads((DATA / "aggregates.json").read_text())["benchmarks"]
    (median,) = [each["real_time"] for each in told if each["name"] == "sum_million_median"]
    assert values(report)["sum_million", ()] == pytest.approx(median * 1e-9, rel=1e-12)
    assert [skip.reason for skip in report.skips] == ["no device"]


def test_aggregates_without_a_median_are_a_complaint() -> None:
    mean = entry(name="x_mean", run_name="x", run_type="aggregate", aggregate_name="mean")
    _, (complaint,) = parse(benchmarks=[mean])
    assert complaint.reason.startswith("x: has aggregates without a median")


def test_the_context_says_where_it_was() -> None:
    report, _ = parse()
    assert (report.machine, report.env_name) == ("toy", "release")
    assert report.started_at is not None
    assert report.environment is not None
    assert report.environment.fingerprint["library_version"] == "1.9.5"


@pytest.mark.parametrize(("unit", "seconds"), [("ns", 2e-9), ("us", 2e-6), ("ms", 2e-3), ("s", 2.0), (None, 2e-9)])
def test_every_unit_of_time_becomes_seconds(unit: str | None, seconds: float) -> None:
    report, _ = parse(benchmarks=[entry(time_unit=unit)])
    assert values(report)["x", ()] == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("name", "base", "params"),
    [
        ("BM/8/-2", "BM", ("8", "-2")),
        ("Fixture/Case/8/threads:2", "Fixture/Case", ("8", "threads:2")),
        ("BM/min_time:0.500/real_time", "BM/min_time:0.500/real_time", ()),
        ("BM<std::vector<int>>/8", "BM<std::vector<int>>", ("8",)),
        ("/8", "", ("8",)),
        ("plain", "plain", ()),
    ],
)
def test_the_last_parts_of_a_name_that_look_like_arguments_are_parameters(
    name: str, base: str, params: tuple[str, ...]
) -> None:
    report, _ = parse(benchmarks=[entry(name=name)])
    assert (base, params) in values(report)


def test_an_entry_that_makes_no_sense_is_a_complaint_and_the_others_go_in() -> None:
    broken = [entry(name="a", time_unit="h"), entry(name="b", real_time=None), entry(name="c", real_time="1"), {}]
    report, complaints = parse(benchmarks=[*broken, entry(name="good")])
    assert values(report)["good", ()] == 0.002
    assert [each.reason for each in complaints] == [
        "benchmark 3: has no name",
        "benchmark 0: time_unit is 'h'; wanted ns, us, ms, s",
        "benchmark 1: has no real_time",
        "benchmark 2: real_time is '1'; wanted a number",
    ]


def test_nobody_guesses_a_commit() -> None:
    with pytest.raises(ResultFormatError, match=r"g\.json: does not say which commit it is of"):
        parse(RunIdentity("box"))
