"""Laws of the way from runs to alerts, whatever the runs say and in whatever order they come."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perfsvc.model import AlertState, ChangeState, Outcome, RunReport
from perfsvc.store import Store
from tests.bench import Bench, guard, rows_of, steady

COMMITS = 14

few = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])

#: For each commit: whether it is measured, a count, a level of the timing, and what the guard says.
Story = list[tuple[bool, int, float, Outcome]]
stories: st.SearchStrategy[Story] = st.lists(
    st.tuples(
        st.integers(0, 3).map(bool),  # three of four are measured
        st.sampled_from([4, 4, 4, 5]),
        st.sampled_from([1.0, 1.0, 1.0, 1.4]),
        st.sampled_from([Outcome.PASSED, Outcome.PASSED, Outcome.FAILED, Outcome.NOT_RUN]),
    ),
    min_size=COMMITS,
    max_size=COMMITS,
)

Make = Callable[[], AbstractContextManager[Bench]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """A new bench, as often as one is wanted."""
    template = tmp_path_factory.mktemp("laws") / "empty.sqlite"
    Store.create(f"sqlite:///{template}").close()

    @contextmanager
    def make() -> Iterator[Bench]:
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder)
            shutil.copy(template, home / "store.sqlite")
            store = Store.open(f"sqlite:///{home / 'store.sqlite'}")
            yield Bench.set_up(store, home, COMMITS)
            store.close()

    return make


def runs(bench: Bench, story: Story) -> list[RunReport]:
    """The level of the timing is the product of what the commits up to there did; its guard covers it."""
    reports, level = [], 1.0
    for place, (measured, count, factor, outcome) in enumerate(story):
        level *= factor
        values = {
            "count_a": float(count),
            "time_a": steady(level, place, 1)[0],
            "time_b": steady(1.0, 50 + place, 1)[0],
        }
        if measured:
            reports.append(bench.report(place, values, guards=[guard(outcome, covers="time_b")]))
    return reports


def told(bench: Bench) -> list[object]:
    """Every alert in the terms of its commits, not of its ids and hours."""
    return sorted(
        (
            one.alert.kind,
            one.alert.state,
            bench.range(one),
            one.alert.title,
            one.alert.cause,
            sorted((c.label, bench.place(c.first_bad), c.state, c.ratio) for c in one.changes),
            sorted((g.test, bench.place(g.first_bad)) for g in one.guards),
        )
        for one in bench.alerts()
    )


def standing(bench: Bench, metric: str) -> list[object]:
    return sorted(
        (c.label, bench.place(c.last_good), bench.place(c.first_bad), c.ratio)
        for c in bench.changes()
        if c.metric == metric and c.state is not ChangeState.WITHDRAWN
    )


@few
@given(story=stories, order=st.randoms(use_true_random=False))
def test_the_order_in_which_runs_arrive_changes_no_alert(made: Make, story: Story, order: random.Random) -> None:
    with made() as one, made() as other:
        one.ingest(*runs(one, story))
        one.process()
        shuffled = runs(other, story)
        order.shuffle(shuffled)
        other.ingest(*shuffled)
        other.process()
        assert told(one) == told(other)


@few
@given(story=stories, order=st.randoms(use_true_random=False), nights=st.sets(st.integers(1, COMMITS)))
def test_exact_changes_are_the_same_however_often_one_looked_before_all_had_come(
    made: Make, story: Story, order: random.Random, nights: set[int]
) -> None:
    with made() as one, made() as other:
        one.ingest(*runs(one, story))
        one.process()
        shuffled = runs(other, story)
        order.shuffle(shuffled)
        for number, report in enumerate(shuffled):
            other.ingest(report)
            if number in nights:
                other.process()
        other.process()
        assert standing(one, "operators") == standing(other, "operators")
        assert failing(one) == failing(other)


def failing(bench: Bench) -> list[object]:
    """Guards that fail today, and since when."""
    return [
        (g.machine, g.test, bench.place(g.last_good), bench.place(g.first_bad))
        for one in bench.alerts()
        if one.alert.state is AlertState.OPEN
        for g in one.guards
        if g.recovered_at is None
    ]


@few
@given(story=stories, value=st.floats(1e-9, 1e9))
def test_a_series_that_never_moves_changes_no_other_exact_alert(made: Make, story: Story, value: float) -> None:
    """It is one more in the family of the timings, and nothing else."""
    with made() as one, made() as other:
        for bench, more in ((one, {}), (other, {"count_still": value, "time_still": value})):
            for report in runs(bench, story):
                counts = {m.benchmark: m.value for m in report.measurements if m.benchmark == "count_a"}
                place = bench.place(report.commit)
                assert place is not None
                bench.run(place, counts | more, guards=report.guards)
            bench.process()
        assert told(one) == told(other)


@few
@given(story=stories, machines=st.integers(1, 3))
def test_twice_is_once(made: Make, story: Story, machines: int) -> None:
    with made() as bench:
        reports = [
            replace(report, machine=f"box{number}") for number in range(machines) for report in runs(bench, story)
        ]
        bench.ingest(*reports)
        bench.process()
        before = rows_of(bench.store)
        assert bench.ingest(*reports).new == 0
        done = bench.judge_all_again()
        assert (done.opened, done.moved) == ((), ())
        assert rows_of(bench.store) == before
