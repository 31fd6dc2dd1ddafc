"""What the first page asks: how many series stand how, and which of them somebody should look at."""

from __future__ import annotations

from datetime import timedelta

from perfsvc.model import Outcome, Verdict
from perfsvc.store import queries
from tests.bench import NOON, Bench, guard, steady


def moved(bench: Bench) -> None:
    """On two machines: a slower and a much slower series, a rate that fell, one whose guard fails, steady ones."""
    for machine in ("box", "cat"):
        for place in range(20):
            bench.run(
                place,
                {
                    "time_steady": steady(1.0, place, 1)[0],
                    "time_slower": steady(1.3 if place > 9 else 1.0, 100 + place, 1)[0],
                    "rate_fell": steady(0.5 if place > 9 else 1.0, 200 + place, 1)[0],
                    "time_wrong": steady(1.0, 300 + place, 1)[0],
                },
                machine=machine,
                guards=[guard(Outcome.FAILED if place > 18 else Outcome.PASSED, covers="wrong")],
            )
    bench.process()


def test_those_that_ask_for_somebody_come_first_and_of_one_verdict_the_furthest_moved(stored_bench: Bench) -> None:
    moved(stored_bench)
    with stored_bench.store.reading() as tx:
        rows = queries.worst_series(tx, stored_bench.project)
        few = queries.worst_series(tx, stored_bench.project, limit=3)
        of_one = queries.worst_series(tx, stored_bench.project, machine="cat")
    names = ["time_wrong", "time_wrong", "rate_fell", "rate_fell", "time_slower", "time_slower"]
    assert [row.benchmark for row in rows] == [*names, "time_steady", "time_steady"]
    assert [row.id for row in few] == [row.id for row in rows[:3]]
    assert [(row.benchmark, row.machine) for row in of_one] == [
        (name, "cat") for name in ("time_wrong", "rate_fell", "time_slower", "time_steady")
    ]


def test_every_series_counts_once_under_its_machine_and_verdict(stored_bench: Bench) -> None:
    moved(stored_bench)
    with stored_bench.store.reading() as tx:
        counts = queries.verdict_counts(tx, stored_bench.project)
    expected = {Verdict.WRONG: 1, Verdict.SLOWER: 2, Verdict.STEADY: 1}
    assert counts == {"box": expected, "cat": expected}


def test_a_limit_takes_the_first_series_and_the_newest_results(stored_bench: Bench) -> None:
    moved(stored_bench)
    with stored_bench.store.reading() as tx:
        every = queries.series(tx, stored_bench.project)
        assert queries.series(tx, stored_bench.project, limit=3) == every[:3]
        history = queries.guard_history(tx, stored_bench.project)
        assert queries.guard_history(tx, stored_bench.project, limit=4) == history[-4:]


def test_pages_of_series_and_of_runs_are_all_of_them_once(stored_bench: Bench) -> None:
    moved(stored_bench)
    stored_bench.now = NOON - timedelta(days=1)  # a clock that went back
    stored_bench.run(25, {"time_late": 1.0})
    with stored_bench.store.reading() as tx:
        every = queries.runs(tx, stored_bench.project, limit=100)
        pages, before = [], None
        while page := queries.runs(tx, stored_bench.project, limit=7, before=before):
            pages += page
            before = page[-1].id
        assert pages == every
        series, after = [], 0
        while some := queries.series(tx, stored_bench.project, limit=2, after=after):
            series += some
            after = some[-1].id
        assert series == sorted(queries.series(tx, stored_bench.project), key=lambda row: row.id)


def test_of_two_runs_of_a_commit_the_newer_speaks_for_its_guard(stored_bench: Bench) -> None:
    stored_bench.run(3, guards=[guard(Outcome.FAILED)], env_name="one")
    stored_bench.run(3, guards=[guard(Outcome.PASSED)], env_name="two")
    with stored_bench.store.reading() as tx:
        (row,) = queries.guard_history(tx, stored_bench.project)
    assert row.outcome is Outcome.PASSED
