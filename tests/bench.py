"""A bench to make runs on that are small enough to see. Tests get it as the fixture `bench`."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from perfsvc import pipeline
from perfsvc.model import (
    Benchmark,
    Commit,
    Direction,
    Environment,
    Fact,
    GuardResult,
    Measurement,
    Metric,
    Outcome,
    RunReport,
    Skip,
    content_hash,
)
from perfsvc.rows import AlertDetail, ChangeRow, SeriesRow
from perfsvc.settings import Settings
from perfsvc.store import Store, queries, tables, writes
from perfsvc.store.columns import UTCDateTime

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

#: What a benchmark of the bench measures is told by how its name begins.
METRICS = {
    "time": Metric("time", "seconds", Direction.LOWER),
    "count": Metric("operators", "1", Direction.LOWER, exact=True),
    "rate": Metric("rate", "1", Direction.HIGHER),
    "plain": Metric("plain", "1"),
}

Values = Mapping[str, float | None]  # benchmark -> value; None = skipped


def steady(level: float, seed: int, n: int, *, noise: float = 0.01) -> list[float]:
    """n values about a level."""
    rng = random.Random(seed)
    return [level * rng.lognormvariate(0, noise) for _ in range(n)]


def guard(
    outcome: Outcome = Outcome.PASSED, *, name: str = "G4", test: str = "", covers: str = "", **more: Any
) -> GuardResult:
    return GuardResult(name, test or f"test_{name.lower()}", outcome, covers=covers, **more)


@dataclass
class Bench:
    """A project with a line of commits, and runs on them: `bench.run(7, time_a=1.0)`; places count from 0."""

    store: Store
    settings: Settings
    project: int = 0
    now: datetime = NOON
    line: list[Commit] = field(default_factory=list)

    @classmethod
    def set_up(cls, store: Store, home: Path, commits: int = 30) -> Bench:
        """A project with a line of commits, none of them measured."""
        with store.writing() as tx:
            project = writes.catalog.keep_project(tx, "attention", now=NOON)
        bench = cls(store, Settings(home=home), project)
        bench.lay(commits)
        return bench

    def commit(self, place: int, branch: int = 0) -> Commit:
        """A commit by its place; another `branch` has others. Later ones are authored earlier: dates must not count."""
        hashed = f"{branch:02x}{place:038x}"
        authored = NOON - timedelta(days=place) if branch == 0 else NOON + timedelta(days=place)
        return Commit(hashed, authored, author="Ada", subject=f"change {place}")

    def lay(self, n: int, branch: int = 0) -> None:
        """Make the branch's first n commits the watched line."""
        self.line = [self.commit(place, branch) for place in range(n)]
        with self.store.writing() as tx:
            writes.catalog.keep_line(tx, self.project, self.line)

    def report(
        self,
        place: int | Commit,
        values: Values | None = None,
        *,
        machine: str = "box",
        guards: Sequence[GuardResult] = (),
        environment: str = "one",
        operators: Mapping[str, int] | None = None,
        spread: float | None = None,
        env_name: str = "py3.11",
        origin: str = "",
    ) -> RunReport:
        """One run. Equal arguments make equal runs, whatever else was made."""
        commit = place if isinstance(place, Commit) else replace(self.commit(place), author="", subject="")
        values = values or {}
        told = {name: value for name, value in values.items() if value is not None}
        parts = (machine, env_name, origin, commit.hash, values, list(guards), environment, operators, spread)
        return RunReport(
            machine=machine,
            env_name=env_name,
            commit=commit,
            content_hash=content_hash(repr(parts).encode()),
            benchmarks=tuple(Benchmark(name, "1", METRICS[name.split("_")[0]]) for name in sorted(values)),
            measurements=tuple(_measurement(name, value, spread) for name, value in sorted(told.items())),
            skips=tuple(Skip(name, (), "it failed") for name in sorted(values.keys() - told.keys())),
            guards=tuple(guards),
            facts=tuple(Fact(name, (), operators) for name in sorted(told) if operators),
            environment=Environment(fingerprint={"torch": environment}),
            started_at=NOON,
            origin=origin,
        )

    def ingest(self, *reports: RunReport) -> pipeline.Ingested:
        return pipeline.ingest(self.store, self.project, reports, self.settings, self.now)

    def run(self, place: int | Commit, values: Values | None = None, **more: Any) -> None:
        self.ingest(self.report(place, values, **more))

    def runs(self, machine: str = "box", **series: Sequence[float | None]) -> None:
        """A run for each value, from commit 0 on."""
        for place in range(max(map(len, series.values()))):
            given = {name: values[place] for name, values in series.items() if place < len(values)}
            self.run(place, given, machine=machine)

    def process(self) -> pipeline.Processed:
        self.now += timedelta(hours=1)
        return pipeline.process(self.store, self.project, self.settings, self.now)

    def judge_all_again(self) -> pipeline.Processed:
        with self.store.writing() as tx:
            writes.judging.mark_waiting(tx, self.project)
        return self.process()

    def alerts(self) -> list[AlertDetail]:
        """In the order in which they were opened."""
        with self.store.reading() as tx:
            found = sorted(row.id for row in queries.alerts(tx, self.project))
            return [queries.alert(tx, alert_id) for alert_id in found]

    def only_alert(self) -> AlertDetail:
        (alert,) = self.alerts()
        return alert

    def changes(self) -> list[ChangeRow]:
        with self.store.reading() as tx:
            return queries.changes(tx, self.project)

    def series(self, name: str, machine: str = "box") -> SeriesRow:
        with self.store.reading() as tx:
            (row,) = (r for r in queries.series(tx, self.project, machine=machine) if r.benchmark == name)
            return row

    def place(self, commit: Any) -> int | None:
        """Where on the line a commit row lies."""
        return next((i for i, c in enumerate(self.line) if commit is not None and c.hash == commit.hash), None)

    def range(self, alert: AlertDetail) -> tuple[int | None, int | None]:
        """The last good and the first bad place of an alert."""
        return self.place(alert.alert.last_good), self.place(alert.alert.first_bad)


def _measurement(name: str, value: float, spread: float | None) -> Measurement:
    quartiles = (None, None) if spread is None else (value * (1 - spread / 2), value * (1 + spread / 2))
    return Measurement(name, (), value, *quartiles)


def rows_of(store: Store, *, times: bool = False) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, without the times of day, so that two stores can be compared."""
    with store.reading() as tx:
        return {
            table.name: sorted(
                (tuple(row) for row in tx.execute(select(*_compared(table, times)))), key=lambda row: repr(row)
            )
            for table in tables.metadata.sorted_tables
        }


def _compared(table: Any, times: bool) -> list[Any]:
    return [column for column in table.columns if times or not isinstance(column.type, UTCDateTime)]
