"""What goes wrong around the store: a clear error, whole runs or none, and the next try brings in the rest."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.exc import DBAPIError

from perfsvc import pipeline
from perfsvc.model import RunReport
from perfsvc.store import Store, queries, writes
from tests.bench import Bench, rows_of

RUNS, SERIES = 8, 150

#: What the driver says of a server that went away, depending on when it notices.
GONE = "terminating connection|server closed the connection"

postgresql = pytest.param("postgresql", marks=pytest.mark.postgres)


def reports(bench: Bench) -> list[RunReport]:
    return [bench.report(place, {f"time_{n:02}": 1.0 + place for n in range(SERIES)}) for place in range(RUNS)]


def kept(store: Store) -> list[int]:
    """How many series each run that is there has."""
    with store.reading() as tx:
        ids = [row.id for row in queries.runs(tx, queries.project(tx, "attention").id)]
        return [len(writes.judging.series_of_runs(tx, [run])) for run in ids]


@contextmanager
def another(bench: Bench, **settings: str) -> Iterator[Store]:
    """The same database, through connections that are set up like this."""
    store = Store(bench.store.engine.execution_options())
    store.engine.dispose()

    def prepare(raw: Any, _: object) -> None:
        for name, value in settings.items():
            raw.cursor().execute(f"PRAGMA {name}={value}" if is_sqlite else f"SET {name} = {value}")
        if not is_sqlite:
            raw.commit()

    is_sqlite = store.engine.dialect.name == "sqlite"
    event.listen(bench.store.engine, "connect", prepare)
    try:
        yield store
    finally:
        event.remove(bench.store.engine, "connect", prepare)
        bench.store.engine.dispose()


def ingest(store: Store, bench: Bench) -> pipeline.Ingested:
    return pipeline.ingest(store, bench.project, reports(bench), bench.settings, bench.now)


def complete(bench: Bench) -> bool:
    """A further try brings in what is missing, and then nothing is."""
    ingest(bench.store, bench)
    return kept(bench.store) == [SERIES] * RUNS and ingest(bench.store, bench).unchanged == RUNS


def test_two_ingests_of_one_tree_at_once_keep_it_once(stored_bench: Bench, database_url: str) -> None:
    begin = threading.Barrier(2)
    done: list[pipeline.Ingested] = []
    failures: list[BaseException] = []

    def work() -> None:
        store = Store.open(database_url)
        begin.wait()
        try:
            done.append(ingest(store, stored_bench))
        except BaseException as error:
            failures.append(error)
        store.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sum(each.new for each in done) == sum(each.unchanged for each in done) == RUNS
    assert kept(stored_bench.store) == [SERIES] * RUNS
    rows = rows_of(stored_bench.store)
    assert (len(rows["series"]), len(rows["benchmark"]), len(rows["metric"])) == (SERIES, SERIES, 1)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # a server's disk is not ours to fill
def test_a_full_disk_leaves_whole_runs_and_says_so(stored_bench: Bench) -> None:
    with stored_bench.store.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    with another(stored_bench, max_page_count=str(pages + 3)) as store:
        with pytest.raises(DBAPIError, match="database or disk is full"):
            ingest(store, stored_bench)
        assert set(kept(store)) == {SERIES}
        assert len(kept(store)) < RUNS
    assert complete(stored_bench)


def test_a_database_that_is_read_only_is_read_and_says_so(stored_bench: Bench) -> None:
    stored_bench.run(0, {"time_a": 1.0})
    before = rows_of(stored_bench.store, times=True)
    read_only = {"sqlite": {"query_only": "ON"}, "postgresql": {"default_transaction_read_only": "on"}}
    with another(stored_bench, **read_only[stored_bench.store.engine.dialect.name]) as store:
        with pytest.raises(DBAPIError, match=r"readonly database|read-only transaction"):
            ingest(store, stored_bench)
        assert rows_of(store, times=True) == before
    assert rows_of(stored_bench.store, times=True) == before


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Engine:
    """PostgreSQL's, as whoever may end connections."""
    found: Engine = request.getfixturevalue("_postgres")
    return found


@pytest.mark.parametrize("database_url", [postgresql], indirect=True)
def test_a_server_that_goes_away_leaves_whole_runs_and_is_found_again(
    stored_bench: Bench, server: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every connection is cut in the middle of the third run, as a restart does."""
    cut(stored_bench, server, monkeypatch, when=3)
    with pytest.raises(DBAPIError, match=GONE):
        ingest(stored_bench.store, stored_bench)
    assert kept(stored_bench.store) == [SERIES] * 2
    assert complete(stored_bench)


@pytest.mark.parametrize("database_url", [postgresql], indirect=True)
def test_a_server_that_goes_away_while_judging_leaves_the_runs_waiting(
    stored_bench: Bench, server: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(stored_bench.store, stored_bench)
    before = rows_of(stored_bench.store, times=True)
    keep = writes.judging.keep_states

    def keep_states(*arguments: Any) -> None:
        terminate(stored_bench, server)
        keep(*arguments)

    monkeypatch.setattr(writes.judging, "keep_states", keep_states)
    with pytest.raises(DBAPIError, match=GONE):
        stored_bench.process()
    assert rows_of(stored_bench.store, times=True) == before
    monkeypatch.undo()
    assert stored_bench.process().runs == RUNS


def cut(bench: Bench, admin: Engine, monkeypatch: pytest.MonkeyPatch, *, when: int) -> None:
    keep: Callable[..., None] = writes.runs._keep_facts
    calls: list[int] = []

    def keep_facts(*arguments: Any) -> None:
        calls.append(1)
        if len(calls) == when:
            terminate(bench, admin)
        keep(*arguments)
        arguments[0].exec_driver_sql("SELECT 1")

    monkeypatch.setattr(writes.runs, "_keep_facts", keep_facts)


def terminate(bench: Bench, admin: Engine) -> None:
    """Of this test's database alone: others work on the same server."""
    name = bench.store.engine.url.database
    with admin.connect() as connection:
        connection.exec_driver_sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
