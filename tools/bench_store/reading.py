"""Ten million points in forty thousand series: how large they are kept, and how quickly questions are answered."""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from sqlalchemy import Connection

from perfsvc import pipeline
from perfsvc.model import STANDING, Benchmark, Commit, Direction, Measurement, Metric, RunReport
from perfsvc.settings import Settings
from perfsvc.store import Store, queries, writes
from tools.bench_store.databases import Database
from tools.bench_store.table import Table

LONG = 2_000  #: points of the longest series
SETS = 20  #: series of a benchmark
NOW = datetime(2026, 3, 1, tzinfo=UTC)
TIMES = 20
TIME = Metric("time", "seconds", Direction.LOWER)


def measure(table: Table, database: Database, size: float) -> None:
    """Four machines of a thousand series with 2,000 points, nine of four thousand with 55; `size` shrinks series."""
    few = max(1, round(50 * size))
    machines = {f"long{i}": (few, LONG) for i in range(4)} | {f"wide{i}": (4 * few, 55) for i in range(9)}
    with tempfile.TemporaryDirectory() as home:
        settings, store = Settings(home=Path(home)), Store.create(database.url)
        with store.writing() as tx:
            project = writes.catalog.keep_project(tx, "long", now=NOW)
            writes.catalog.keep_line(tx, project, [_commit(place) for place in range(LONG)])
        for name, (benchmarks, runs) in machines.items():
            pipeline.ingest(store, project, _runs(name, benchmarks, runs), settings, NOW)
        pipeline.process(store, project, settings, NOW)
        store.close()  # what SQLite wrote ahead is in its file now
        points = sum(benchmarks * SETS * runs for benchmarks, runs in machines.values())
        table.keep(f"bytes a point, {database.system}", database.system, database.size() / points)
        with store.reading() as tx:
            _ask(table, tx, database.system, project)
            n_series = len(queries.series(tx, project))
            n_alerts = len(queries.alerts(tx, project, states=STANDING))
        note = f"{points:,} points in {n_series:,} series; {n_alerts} alerts stand"
        if note not in table.notes:
            table.notes.append(note)
        store.close()


def _ask(table: Table, tx: Connection, system: str, project: int) -> None:
    (longest,) = queries.series(tx, project, machine="long0", limit=1)
    assert len(queries.points(tx, longest.id)) == LONG

    def overview() -> None:
        queries.verdict_counts(tx, project)
        queries.worst_series(tx, project, limit=200)

    table.keep("one series of 2,000 points", system, _median(lambda: queries.points(tx, longest.id)))
    table.keep("overview: counts and the worst 200", system, _median(overview))
    table.keep("alerts", system, _median(lambda: queries.alerts(tx, project, states=STANDING)))


def _median(question: Callable[[], object]) -> float:
    """Milliseconds."""
    taken = []
    for _ in range(TIMES):
        begun = time.perf_counter()
        question()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken) * 1e3


def _commit(place: int) -> Commit:
    return Commit(f"{place:040x}", NOW - timedelta(days=LONG - place), author="Ada", subject=f"change {place}")


def _runs(machine: str, benchmarks: int, runs: int) -> Iterator[RunReport]:
    """One run for each of the newest commits. Every tenth benchmark steps up by a fifth, at a commit of its own."""
    rng = np.random.default_rng(list(machine.encode()))
    names = [f"suite.Room{i // 10}.time_case{i % 10}" for i in range(benchmarks)]
    described = tuple(Benchmark(name, "1", TIME, ("n",)) for name in names)
    cases = [(name, (str(n),)) for name in names for n in range(SETS)]
    levels = rng.uniform(1e-4, 1e-1, len(cases))
    steps_at = np.repeat(np.where(np.arange(benchmarks) % 10 == 0, rng.integers(10, runs - 10, benchmarks), runs), SETS)
    for night in range(runs):
        values = levels * rng.normal(1, 0.01, len(cases)) * np.where(night >= steps_at, 1.2, 1.0)
        yield RunReport(
            machine=machine,
            env_name="py3.11",
            commit=_commit(LONG - runs + night),
            content_hash=f"{machine} {night}",
            benchmarks=described,
            measurements=tuple(
                Measurement(name, params, value, value * 0.993, value * 1.007)
                for (name, params), value in zip(cases, values.tolist(), strict=True)
            ),
            started_at=NOW,
        )
