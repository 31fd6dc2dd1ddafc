"""Keeping a run: whole, once, and with its series what they are."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from perfsvc import pipeline
from perfsvc.model import Benchmark, Complaint, Direction, Fact, Measurement, Metric, Outcome, Skip, Verdict
from perfsvc.settings import MetricRule
from perfsvc.store import Store, queries, tables, writes
from tests.bench import METRICS, Bench, guard, rows_of


def test_ingesting_twice_changes_nothing(stored_bench: Bench) -> None:
    reports = [
        stored_bench.report(0, {"time_a": 1.0, "count_b": None}, guards=[guard(Outcome.FAILED)], operators={"mm": 3}),
        stored_bench.report(1, {"time_a": 1.1, "count_b": 4.0}),
    ]
    first = stored_bench.ingest(*reports)
    before = rows_of(stored_bench.store, times=True)
    again = stored_bench.ingest(*reports)
    assert (first.new, first.unchanged) == (2, 0)
    assert (again.new, again.unchanged) == (0, 2)
    assert rows_of(stored_bench.store, times=True) == before


def test_what_could_not_be_read_is_handed_on_and_the_rest_goes_in(bench: Bench) -> None:
    complaint = Complaint("results/a.json", "truncated")
    done = pipeline.ingest(
        bench.store, bench.project, [complaint, bench.report(0, {"time_a": 1.0})], bench.settings, bench.now
    )
    assert (done.new, done.complaints) == (1, [complaint])


def test_what_a_runner_said_stays_with_its_run_and_comes_with_the_machines_newest(stored_bench: Bench) -> None:
    told = ("guards: pytest did not start", "not read: facts.jsonl:2: is not JSON")
    done = stored_bench.ingest(
        replace(stored_bench.report(0, {"time_a": 1.0}), messages=told),
        stored_bench.report(0, {"time_a": 1.0}, machine="other"),
    )
    assert done.messages == list(told)
    with stored_bench.store.reading() as tx:
        newest = queries.newest_runs(tx, stored_bench.project)
    assert {machine: run.messages for machine, run in newest.items()} == {"box": told, "other": ()}


def test_a_grown_file_replaces_what_was_kept_of_it(stored_bench: Bench) -> None:
    stored_bench.run(0, {"time_a": 1.0}, guards=[guard(Outcome.FAILED)])
    stored_bench.run(0, {"time_a": 1.5, "time_b": 2.0}, guards=[guard()])
    with stored_bench.store.reading() as tx:
        (run,) = queries.runs(tx, stored_bench.project)
        (row,) = queries.guards(tx, stored_bench.project)
    assert (run.measurements, run.guards_passed, run.guards_failed, row.outcome) == (2, 1, 0, Outcome.PASSED)
    stored_bench.process()
    assert stored_bench.series("time_a").latest == 1.5


def test_a_series_that_its_file_lost_is_judged_again(stored_bench: Bench) -> None:
    stored_bench.runs(time_a=[1.0, 2.0])
    stored_bench.run(1, {"time_a": 2.0, "time_b": 5.0}, env_name="other")
    stored_bench.process()
    stored_bench.run(1, {"time_b": 5.5}, env_name="other")
    stored_bench.run(1, {"time_b": 5.0}, env_name="py3.11")
    stored_bench.process()
    assert stored_bench.series("time_a").points == 1
    assert stored_bench.series("time_a").latest == 1.0


def test_a_grown_file_stays_excluded(bench: Bench) -> None:
    bench.run(0, {"time_a": 1.0})
    with bench.store.writing() as tx:
        (run,) = queries.runs(tx, bench.project)
        assert writes.runs.exclude_run(tx, run.id, "the machine was busy")
    bench.run(0, {"time_a": 2.0})
    with bench.store.reading() as tx:
        assert queries.runs(tx, bench.project)[0].excluded == "the machine was busy"


def test_runs_of_one_commit_in_two_environments_are_two_runs_and_one_point(stored_bench: Bench) -> None:
    stored_bench.run(0, {"time_a": 1.0}, env_name="py3.11")
    stored_bench.run(0, {"time_a": 3.0}, env_name="py3.12")
    stored_bench.run(0, {"time_a": 2.0}, env_name="py3.12", origin="job:7")
    with stored_bench.store.reading() as tx:
        (point,) = queries.points(tx, queries.series(tx, stored_bench.project)[0].id)
    assert (point.value, len(point.runs), point.skip) == (2.0, 3, "")


def test_a_skip_counts_only_where_no_run_has_a_value(stored_bench: Bench) -> None:
    stored_bench.run(0, {"time_a": None})
    stored_bench.run(1, {"time_a": None})
    stored_bench.run(1, {"time_a": 1.0}, env_name="other")
    with stored_bench.store.reading() as tx:
        points = queries.points(tx, queries.series(tx, stored_bench.project)[0].id)
    assert [(p.value, p.skip) for p in points] == [(None, "it failed"), (1.0, "")]


def test_a_value_wins_over_a_skip_of_the_same_case(bench: Bench) -> None:
    report = replace(bench.report(0, {"time_a": 1.0}), skips=(Skip("time_a", (), "later"),))
    bench.ingest(report)
    with bench.store.reading() as tx:
        (point,) = queries.points(tx, queries.series(tx, bench.project)[0].id)
    assert point.value == 1.0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_no_number_is_a_skip_with_its_reason(stored_bench: Bench, value: float) -> None:
    stored_bench.run(0, {"time_a": value, "time_b": 1.0})
    with stored_bench.store.reading() as tx:
        points = queries.points_of(tx, [row.id for row in queries.series(tx, stored_bench.project)])
    assert sorted((p.value, p.skip) for (p,) in points.values() if p.value) == [(1.0, "")]
    assert sorted(p.skip for (p,) in points.values()) == ["", f"not a finite number: {value}"]


def test_an_error_that_is_no_number_is_beyond_every_tolerance(stored_bench: Bench) -> None:
    stored_bench.run(0, guards=[guard(Outcome.FAILED, error=math.nan, tolerance=1e-6)])
    with stored_bench.store.reading() as tx:
        (row,) = queries.guards(tx, stored_bench.project)
    assert row.margin == math.inf


def test_a_new_version_of_a_benchmark_is_a_new_series(stored_bench: Bench) -> None:
    one = stored_bench.report(0, {"time_a": 1.0})
    two = replace(stored_bench.report(1, {"time_a": 9.0}), benchmarks=(Benchmark("time_a", "2", METRICS["time"]),))
    stored_bench.ingest(one, two)
    with stored_bench.store.reading() as tx:
        assert [(s.version, s.benchmark) for s in queries.series(tx, stored_bench.project)] == [
            ("1", "time_a"),
            ("2", "time_a"),
        ]


def test_params_metric_unit_and_machine_tell_series_apart(bench: Bench) -> None:
    benchmarks = (Benchmark("time_a", "1", METRICS["time"], ("n",)),)
    measurements = (Measurement("time_a", ("1",), 1.0), Measurement("time_a", ("2",), 1.0))
    bench.ingest(replace(bench.report(0), benchmarks=benchmarks, measurements=measurements))
    bench.ingest(replace(bench.report(0, machine="other"), benchmarks=benchmarks, measurements=measurements))
    cycles = (replace(benchmarks[0], metric=Metric("time", "cycles", Direction.LOWER)),)
    bench.ingest(replace(bench.report(1, machine="other"), benchmarks=cycles, measurements=measurements))
    with bench.store.reading() as tx:
        found = [(s.label, s.unit, s.machine) for s in queries.series(tx, bench.project)]
    assert len(set(found)) == len(found) == 6
    assert ("time_a(2)", "cycles", "other") in found


def test_a_direction_told_anew_does_not_split_the_series(stored_bench: Bench) -> None:
    stored_bench.run(0, {"plain_a": 1.0})
    rule = MetricRule(match="plain_a", direction=Direction.LOWER, exact=True)
    stored_bench.settings = stored_bench.settings.model_copy(update={"metrics": [rule]})
    stored_bench.run(1, {"plain_a": 2.0})
    row = stored_bench.series("plain_a")
    assert (row.direction, row.exact) == (Direction.LOWER, True)
    with stored_bench.store.reading() as tx:
        assert len(queries.points(tx, row.id)) == 2


def test_a_failing_guard_marks_what_it_covers_and_nothing_else(stored_bench: Bench) -> None:
    values = {"time_masked": 1.0, "time_plain": 1.0}
    stored_bench.run(0, values, guards=[guard(Outcome.FAILED, covers="masked")])
    stored_bench.run(1, values, guards=[guard(Outcome.FAILED, covers="")])
    stored_bench.run(2, values, guards=[guard(Outcome.FAILED, covers="(no pattern")])
    stored_bench.run(3, values, guards=[guard(Outcome.NOT_RUN), guard(Outcome.NOT_APPLICABLE, name="G1")])
    with stored_bench.store.reading() as tx:
        wrong = {
            row.benchmark: [p.wrong for p in queries.points(tx, row.id)]
            for row in queries.series(tx, stored_bench.project)
        }
    assert wrong == {"time_masked": [True, True, True, False], "time_plain": [False, True, True, False]}


def test_a_point_is_wrong_as_soon_as_one_of_its_runs_is(bench: Bench) -> None:
    bench.run(0, {"time_a": 1.0}, guards=[guard(Outcome.FAILED)])
    bench.run(0, {"time_a": 1.0}, guards=[guard()], env_name="other")
    with bench.store.reading() as tx:
        (point,) = queries.points(tx, queries.series(tx, bench.project)[0].id)
    assert point.wrong


def test_an_excluded_run_is_no_point_and_can_be_taken_back(stored_bench: Bench) -> None:
    stored_bench.runs(time_a=[1.0, 9.0])
    stored_bench.process()
    for reason, values in (("busy", [1.0]), (None, [1.0, 9.0])):
        with stored_bench.store.writing() as tx:
            newest = queries.runs(tx, stored_bench.project)[0]
            assert writes.runs.exclude_run(tx, newest.id, reason)
        assert stored_bench.process().runs == 1
        assert list(stored_bench.series("time_a").last_values) == values
    with stored_bench.store.writing() as tx:
        assert not writes.runs.exclude_run(tx, 999, "no such run")


def test_equal_environments_are_one_row(stored_bench: Bench) -> None:
    for place, environment in enumerate(["one", "two", "one"]):
        stored_bench.run(place, {"time_a": 1.0}, environment=environment)
    assert len(rows_of(stored_bench.store)["environment"]) == 2


def test_what_the_suite_says_of_a_benchmark_is_brought_up_to_date(bench: Bench) -> None:
    bench.run(0, {"time_a": 1.0})
    told = Benchmark("time_a", "1", METRICS["time"], (), {"flops": 12})
    bench.ingest(replace(bench.report(1, {"time_a": 1.0}), benchmarks=(told,)))
    with bench.store.reading() as tx:
        assert tx.execute(select(tables.benchmark.c.attributes)).scalars().all() == [{"flops": 12}]


def test_facts_are_kept_with_their_run(stored_bench: Bench) -> None:
    fact = Fact("time_a", (), {"aten::mm": 3}, "flash", {"power": 12.5}, "/venv/attention")
    stored_bench.ingest(replace(stored_bench.report(0, {"time_a": 1.0}), facts=(fact,)))
    with stored_bench.store.reading() as tx:
        row = tx.execute(select(tables.fact)).one()
    assert (row.operators, row.backend, row.device_state) == ({"aten::mm": 3}, "flash", {"power": 12.5})


def test_known_hashes_are_those_that_are_kept(bench: Bench) -> None:
    report = bench.report(0, {"time_a": 1.0})
    bench.ingest(report)
    with bench.store.reading() as tx:
        assert writes.runs.known_hashes(tx, bench.project) == {report.content_hash}


KILLED = """
    import os, signal, sys
    from pathlib import Path
    from perfsvc.store import Store
    from perfsvc.store.writes import runs
    from tests.bench import Bench

    store = Store.open(sys.argv[1])
    bench = Bench.set_up(store, Path(sys.argv[2]))
    reports = [bench.report(place, {f"time_{n}": 1.0 for n in range(50)}) for place in range(5)]
    kept, keep = [], runs._keep_outcomes

    def keep_values(*arguments):
        keep(*arguments)
        kept.append(1)
        if len(kept) == 3:
            os.kill(os.getpid(), signal.SIGKILL)

    runs._keep_outcomes = keep_values
    bench.ingest(*reports)
"""


def test_a_kill_in_the_middle_leaves_whole_runs_and_the_next_ingest_brings_the_rest(
    database_url: str, tmp_path: Path
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), database_url, str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    store = Store.open(database_url)
    with store.reading() as tx:
        kept = [row.id for row in queries.runs(tx, queries.project(tx, "attention").id)]
        assert [len(writes.judging.series_of_runs(tx, [run])) for run in kept] == [50, 50]
    bench = Bench.set_up(store, tmp_path)
    done = bench.ingest(*(bench.report(place, {f"time_{n}": 1.0 for n in range(50)}) for place in range(5)))
    assert (done.new, done.unchanged) == (3, 2)
    store.close()


def test_a_series_without_a_judgement_has_no_data_yet(bench: Bench) -> None:
    bench.run(0, {"time_a": 1.0})
    assert bench.series("time_a").verdict is Verdict.NO_DATA


outcomes = st.lists(st.tuples(st.sampled_from("abc"), st.one_of(st.none(), st.floats())), max_size=8)


@given(outcomes=outcomes)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_run_has_a_value_or_a_reason_for_each_of_its_series_and_never_both(
    bench: Bench, outcomes: list[tuple[str, float | None]]
) -> None:
    skips = tuple(Skip(f"time_{name}", (), "it failed") for name, value in outcomes if value is None)
    told = tuple(Measurement(f"time_{name}", (), value) for name, value in outcomes if value is not None)
    described = tuple(Benchmark(f"time_{name}", "1", METRICS["time"]) for name in "abc")
    report = replace(bench.report(0), benchmarks=described, measurements=told, skips=skips)
    bench.ingest(replace(report, content_hash=repr(outcomes)))
    with bench.store.reading() as tx:
        (run,) = queries.runs(tx, bench.project)
        rows = {row.id: row.benchmark.removeprefix("time_") for row in queries.series(tx, bench.project)}
        points = {rows[one]: found for one, found in queries.points_of(tx, list(rows)).items()}
    assert points.keys() == {name for name, _ in outcomes}
    assert all(len(found) == 1 and (found[0].value is None) == bool(found[0].skip) for found in points.values())
    assert run.measurements + run.skips == len(points)
    last = {name: value for name, value in outcomes if value is not None}
    assert {name: found[0].value for name, found in points.items() if found[0].value is not None} == {
        name: value for name, value in last.items() if math.isfinite(value)
    }
