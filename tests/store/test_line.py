"""The watched line: what is on it, what leaves it, and whose runs are judged again."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from perfsvc.errors import NotFound
from perfsvc.model import Commit
from perfsvc.store import Store, queries, tables, writes
from tests.bench import NOON, Bench, rows_of


def test_points_follow_the_line_and_not_the_dates(stored_bench: Bench) -> None:
    """The bench's later commits are authored earlier."""
    stored_bench.runs(time_a=[1.0, 2.0, 3.0])
    with stored_bench.store.reading() as tx:
        series = queries.series(tx, stored_bench.project)[0]
        assert [p.value for p in queries.points(tx, series.id)] == [1.0, 2.0, 3.0]


def test_without_a_line_points_follow_the_dates(sqlite_store: Store, bench: Bench) -> None:
    with sqlite_store.writing() as tx:
        bench.project = writes.catalog.keep_project(tx, "results only", now=NOON)
    bench.runs(time_a=[1.0, 2.0, 3.0])
    with sqlite_store.reading() as tx:
        series = queries.series(tx, bench.project)[0]
        assert [p.value for p in queries.points(tx, series.id)] == [3.0, 2.0, 1.0]
        assert not queries.project(tx, "results only").ordered_by_git


def test_a_commit_off_the_line_is_stored_and_is_no_point(stored_bench: Bench) -> None:
    stored_bench.runs(time_a=[1.0, 2.0])
    stored_bench.run(Commit("f" * 40, NOON), {"time_a": 9.0})
    with stored_bench.store.reading() as tx:
        series = queries.series(tx, stored_bench.project)[0]
        assert [p.value for p in queries.points(tx, series.id)] == [1.0, 2.0]
        assert len(queries.runs(tx, stored_bench.project)) == 3
        assert len(queries.commits(tx, stored_bench.project)) == 30


def test_a_line_that_grew_leaves_what_was_judged_alone(stored_bench: Bench) -> None:
    stored_bench.runs(time_a=[1.0, 2.0])
    stored_bench.process()
    stored_bench.lay(32)
    with stored_bench.store.reading() as tx:
        assert writes.judging.waiting_runs(tx, stored_bench.project) == []
        assert len(queries.commits(tx, stored_bench.project)) == 32


def test_the_same_line_twice_changes_nothing(stored_bench: Bench) -> None:
    before = rows_of(stored_bench.store, times=True)
    stored_bench.lay(30)
    assert rows_of(stored_bench.store, times=True) == before


def test_a_rewritten_line_has_its_runs_judged_again(stored_bench: Bench) -> None:
    stored_bench.runs(time_a=[1.0, 2.0])
    stored_bench.process()
    stored_bench.lay(30, branch=1)
    with stored_bench.store.reading() as tx:
        assert len(writes.judging.waiting_runs(tx, stored_bench.project)) == 2
        assert [c.position for c in queries.commits(tx, stored_bench.project)] == list(range(30))
        assert queries.points(tx, queries.series(tx, stored_bench.project)[0].id) == []


def test_the_first_line_of_a_project_judges_everything_again(sqlite_store: Store, bench: Bench) -> None:
    """Until now its commits were in order of date, those off the line among them."""
    with sqlite_store.writing() as tx:
        bench.project = writes.catalog.keep_project(tx, "late", now=NOON)
    bench.runs(time_a=[1.0, 2.0])
    bench.run(Commit("f" * 40, NOON), {"time_b": 9.0})
    bench.process()
    bench.lay(2)
    assert bench.process().runs == 3
    assert bench.series("time_b").points == 0


def test_git_tells_what_a_result_file_does_not_know(stored_bench: Bench) -> None:
    stored_bench.run(3, {"time_a": 1.0})
    with stored_bench.store.reading() as tx:
        found = queries.find_commit(tx, stored_bench.project, stored_bench.commit(3).hash)
        assert (found.author, found.subject, found.position) == ("Ada", "change 3", 3)


def test_a_line_tells_of_commits_that_a_file_brought_before(sqlite_store: Store, bench: Bench) -> None:
    with sqlite_store.writing() as tx:
        bench.project = writes.catalog.keep_project(tx, "late", now=NOON)
    bench.run(1, {"time_a": 1.0})
    bench.lay(2)
    with sqlite_store.reading() as tx:
        assert [c.subject for c in queries.commits(tx, bench.project)] == ["change 0", "change 1"]


def test_a_project_keeps_its_branch_when_none_is_given(store: Store) -> None:
    with store.writing() as tx:
        first = writes.catalog.keep_project(tx, "attention", now=NOON, branch="develop", repository="/src")
        again = writes.catalog.keep_project(tx, "attention", now=NOON, commit_url="https://example.org/")
        assert first == again
        row = queries.project(tx, "attention")
        assert (row.branch, row.repository, row.commit_url) == ("develop", "/src", "https://example.org/")


def test_a_project_that_is_not_there_is_told_with_those_that_are(bench: Bench) -> None:
    with bench.store.reading() as tx, pytest.raises(NotFound, match=r"no project 'atention'; known: attention"):
        queries.project(tx, "atention")


@pytest.mark.parametrize(("start", "said"), [("ff", "no commit begins"), ("00", "more than one commit begins")])
def test_a_commit_is_found_by_how_its_hash_begins(bench: Bench, start: str, said: str) -> None:
    with bench.store.reading() as tx:
        assert queries.find_commit(tx, bench.project, bench.commit(7).hash).position == 7
        with pytest.raises(NotFound, match=said):
            queries.find_commit(tx, bench.project, start)


def test_the_parents_and_trailers_of_a_commit_are_kept(store: Store) -> None:
    commit = Commit("a" * 40, NOON, ("b" * 40,), "Ada", "faster", (("Perf-Expected", "x"),), ("attention/masks.py",))
    with store.writing() as tx:
        project = writes.catalog.keep_project(tx, "attention", now=NOON)
        writes.catalog.keep_line(tx, project, [commit])
        row = tx.execute(select(tables.commit)).one()
    assert (row.parents, row.trailers, row.changed_paths) == (
        ["b" * 40],
        [["Perf-Expected", "x"]],
        ["attention/masks.py"],
    )
