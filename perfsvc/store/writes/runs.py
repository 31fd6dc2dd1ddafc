"""Keep one run, whole or not at all. The same content twice changes nothing; a grown file replaces what was kept."""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from perfsvc.model import Benchmark, Environment, GuardResult, Measurement, Metric, Outcome, RunReport, Skip, label
from perfsvc.store import tables as t
from perfsvc.store.writes.catalog import keep_commit

#: What is said of a benchmark by whoever runs the service, over what its suite said: `Settings.metric`.
Overrule = Callable[[str, Metric], Metric]

Case = tuple[str, tuple[str, ...]]  # benchmark, params

#: Benchmark's id, params, metric's name and unit. Direction and exactness may be told otherwise later: same series.
SeriesIdentity = tuple[int, str, str, str]


@dataclass(frozen=True, slots=True)
class Kept:
    run: int
    new: bool  #: False: the very same content was there already


Told = tuple[list[str], dict[str, Any]]  # what the suite says of a benchmark: names of params, attributes


@dataclass(slots=True)
class Shelf:
    """Ids that one ingest has looked up already. It knows nothing of a transaction that was undone: make a new one."""

    benchmarks: dict[tuple[str, str], tuple[int, Told]] | None = None  #: by name and version
    metrics: dict[Metric, int] = field(default_factory=dict)
    series: dict[str, dict[SeriesIdentity, tuple[int, int]]] = field(default_factory=dict)  #: by machine; id, metric


def known_hashes(tx: Connection, project_id: int) -> set[str]:
    """Content hashes of every run that is kept: what need not be read again."""
    return set(tx.execute(select(t.run.c.content_hash).where(t.run.c.project_id == project_id)).scalars())


def keep_run(
    tx: Connection,
    project_id: int,
    report: RunReport,
    *,
    overrule: Overrule,
    now: datetime,
    shelf: Shelf | None = None,
) -> Kept:
    """Store a run with its measurements, skips, guards and facts. It waits for judgement (`run.judged_at`).

    shelf: given anew to each call of one ingest, it saves the look-ups.
    """
    commit_id = keep_commit(tx, project_id, report.commit)
    identity = {
        "project_id": project_id,
        "machine": report.machine,
        "env_name": report.env_name,
        "commit_id": commit_id,
        "origin": report.origin,
    }
    kept = tx.execute(
        select(t.run.c.id, t.run.c.content_hash).where(*(t.run.c[name] == value for name, value in identity.items()))
    ).first()
    if kept is not None and kept.content_hash == report.content_hash:
        return Kept(kept.id, new=False)
    columns = identity | _run_columns(tx, report, now)
    series = _series_ids(tx, project_id, report, overrule, shelf or Shelf())
    if kept is None:
        run_id = int(tx.execute(insert(t.run).values(columns).returning(t.run.c.id)).scalar_one())
    else:
        run_id = kept.id
        _empty(tx, run_id, set(series.values()))
        tx.execute(update(t.run).where(t.run.c.id == run_id).values(columns))
    _keep_values(tx, run_id, report, series)
    _keep_guards(tx, run_id, report.guards)
    _keep_facts(tx, run_id, report)
    return Kept(run_id, new=True)


def _empty(tx: Connection, run_id: int, staying: set[int]) -> None:
    """Make room for what the run holds now. Series that it holds no more are judged again through their other runs."""
    held = tx.execute(select(t.measurement.c.series_id).where(t.measurement.c.run_id == run_id)).scalars()
    gone = sorted(set(held) - staying)
    for child in (t.measurement, t.guard_result, t.fact):
        tx.execute(delete(child).where(child.c.run_id == run_id))
    for series_id in gone:
        newest = select(func.max(t.measurement.c.run_id)).where(t.measurement.c.series_id == series_id)
        tx.execute(update(t.run).where(t.run.c.id == newest.scalar_subquery()).values(judged_at=None))
        tx.execute(delete(t.series_state).where(t.series_state.c.series_id == series_id))


def _run_columns(tx: Connection, report: RunReport, now: datetime) -> dict[str, Any]:
    samples = {label(m.benchmark, m.params): m.samples for m in report.measurements if m.samples}
    return {
        "environment_id": _keep_environment(tx, report.environment, now),
        "job_id": report.job,
        "attempt": report.attempt,
        "content_hash": report.content_hash,
        "suite_revision": report.suite_revision,
        "started_at": report.started_at,
        "duration": report.duration,
        "machine_facts": dict(report.machine_facts),
        "readings": dict(report.readings),
        "canary": dict(report.canary),
        "messages": list(report.messages),
        "samples": zlib.compress(json.dumps(samples).encode()) if samples else None,
        "stored_at": now,
        "judged_at": None,
    }


def _keep_environment(tx: Connection, environment: Environment | None, now: datetime) -> int | None:
    if environment is None:
        return None
    digest = environment.digest
    known = tx.execute(select(t.environment.c.id).where(t.environment.c.digest == digest)).scalar()
    if known is not None:
        return int(known)
    columns = {
        "digest": digest,
        "lock": dict(environment.lock),
        "fingerprint": dict(environment.fingerprint),
        "first_seen_at": now,
    }
    return int(tx.execute(insert(t.environment).values(columns).returning(t.environment.c.id)).scalar_one())


def _keep_values(tx: Connection, run_id: int, report: RunReport, series: dict[Case, int]) -> None:
    failed = [_covers(guard.covers) for guard in report.guards if guard.outcome is Outcome.FAILED]
    rows: dict[int, dict[str, Any]] = {}
    items: tuple[Measurement | Skip, ...] = (*report.skips, *report.measurements)
    for item in items:  # a value wins over a skip of the same case
        case = (item.benchmark, item.params)
        row = _value(item) if isinstance(item, Measurement) else _no_value(item.reason)
        wrong = bool(failed) and any(covers(label(*case)) for covers in failed)
        if row["skip"] is None or series[case] not in rows:
            rows[series[case]] = row | {"series_id": series[case], "run_id": run_id, "wrong": wrong}
    if rows:
        tx.execute(insert(t.measurement), list(rows.values()))


def _value(item: Measurement) -> dict[str, Any]:
    if not math.isfinite(item.value):
        return _no_value(f"not a finite number: {item.value}")
    quartiles = {"q25": _finite(item.q25), "q75": _finite(item.q75)}
    return {"value": item.value, **quartiles, "rounds": len(item.rounds) or None, "skip": None}


def _no_value(reason: str) -> dict[str, Any]:
    return {"value": None, "q25": None, "q75": None, "rounds": None, "skip": reason}


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _covers(pattern: str) -> Callable[[str], bool]:
    """Which benchmarks a guard vouches for. A pattern that cannot be read covers all: better doubted than believed."""
    try:
        found = re.compile(pattern)
    except re.error:
        found = re.compile("")
    return lambda text: found.search(text) is not None


# --- series -----------------------------------------------------------------------------------------------------------


def _series_ids(
    tx: Connection, project_id: int, report: RunReport, overrule: Overrule, shelf: Shelf
) -> dict[Case, int]:
    """The series of every case in the report; new ones are made."""
    cases = {(m.benchmark, m.params) for m in report.measurements} | {(s.benchmark, s.params) for s in report.skips}
    described = {benchmark.name: benchmark for benchmark in report.benchmarks}
    benchmarks = {name: _benchmark_id(tx, project_id, described[name], shelf) for name in {name for name, _ in cases}}
    metrics = {case: overrule(label(*case), described[case[0]].metric) for case in cases}
    wanted = {case: _identity(benchmarks[case[0]], json.dumps(case[1]), metrics[case]) for case in cases}
    metric_ids = {metric: _metric_id(tx, metric, shelf) for metric in set(metrics.values())}
    told = {wanted[case]: metric_ids[metrics[case]] for case in cases}
    known = shelf.series.get(report.machine)
    if known is None or not told.keys() <= known.keys():
        known = _make_series(tx, project_id, report.machine, told)
        shelf.series[report.machine] = known
    _retell(tx, known, told)
    return {case: known[key][0] for case, key in wanted.items()}


def _identity(benchmark_id: int, params: str, metric: Metric) -> SeriesIdentity:
    return benchmark_id, params, metric.name, metric.unit


def _make_series(
    tx: Connection, project_id: int, machine: str, told: dict[SeriesIdentity, int]
) -> dict[SeriesIdentity, tuple[int, int]]:
    """All series of a machine, after those of `told` that were missing were made."""
    known = _known_series(tx, project_id, machine)
    missing = sorted(told.keys() - known.keys())
    if not missing:
        return known
    same = {"project_id": project_id, "machine": machine}
    rows = [same | {"benchmark_id": key[0], "params": key[1], "metric_id": told[key]} for key in missing]
    tx.execute(insert(t.series), rows)
    return _known_series(tx, project_id, machine)


def _known_series(tx: Connection, project_id: int, machine: str) -> dict[SeriesIdentity, tuple[int, int]]:
    query = (
        select(
            t.series.c.benchmark_id, t.series.c.params, t.metric.c.name, t.metric.c.unit, t.series.c.id, t.metric.c.id
        )
        .join(t.metric, t.metric.c.id == t.series.c.metric_id)
        .where(t.series.c.project_id == project_id, t.series.c.machine == machine)
    )
    return {(row[0], row[1], row[2], row[3]): (row[4], row[5]) for row in tx.execute(query)}


def _retell(tx: Connection, known: dict[SeriesIdentity, tuple[int, int]], told: dict[SeriesIdentity, int]) -> None:
    """What counts as better may be told anew, by the suite or by perfsvc.toml: the series stays what it is."""
    moved = {key: metric_id for key, metric_id in told.items() if known[key][1] != metric_id}
    if not moved:
        return
    rows = [{"key": known[key][0], "metric_id": metric_id} for key, metric_id in moved.items()]
    tx.execute(update(t.series).where(t.series.c.id == bindparam("key")), rows)
    known |= {key: (known[key][0], metric_id) for key, metric_id in moved.items()}


def _benchmark_id(tx: Connection, project_id: int, benchmark: Benchmark, shelf: Shelf) -> int:
    """The benchmark's id; what the suite says of it is brought up to date."""
    if shelf.benchmarks is None:
        b = t.benchmark.c
        query = select(b.name, b.version, b.id, b.param_names, b.attributes).where(b.project_id == project_id)
        shelf.benchmarks = {(row[0], row[1]): (row[2], (row[3], row[4])) for row in tx.execute(query)}
    key = (benchmark.name, benchmark.version)
    told = (list(benchmark.param_names), dict(benchmark.attributes))
    columns: dict[str, Any] = {"param_names": told[0], "attributes": told[1]}
    known = shelf.benchmarks.get(key)
    if known is not None and known[1] == told:
        return known[0]
    if known is not None:
        found = known[0]
        tx.execute(update(t.benchmark).where(t.benchmark.c.id == found).values(columns))
    else:
        columns |= {"project_id": project_id, "name": benchmark.name, "version": benchmark.version}
        found = int(tx.execute(insert(t.benchmark).values(columns).returning(t.benchmark.c.id)).scalar_one())
    shelf.benchmarks[key] = (found, told)
    return found


def _metric_id(tx: Connection, metric: Metric, shelf: Shelf) -> int:
    if metric in shelf.metrics:
        return shelf.metrics[metric]
    columns = {"name": metric.name, "unit": metric.unit, "direction": metric.direction, "exact": metric.exact}
    found = tx.execute(select(t.metric.c.id).where(*(t.metric.c[k] == v for k, v in columns.items()))).scalar()
    if found is None:
        found = tx.execute(insert(t.metric).values(columns).returning(t.metric.c.id)).scalar_one()
    shelf.metrics[metric] = int(found)
    return int(found)


# --- what came with the values ----------------------------------------------------------------------------------------


def _keep_guards(tx: Connection, run_id: int, guards: tuple[GuardResult, ...]) -> None:
    rows = {
        guard.test: {
            "run_id": run_id,
            "guard": guard.guard,
            "test": guard.test,
            "outcome": guard.outcome,
            "variant": guard.variant,
            "device": guard.device,
            "dtype": guard.dtype,
            "error": _number(guard.error),
            "tolerance": _number(guard.tolerance),
            "covers": guard.covers,
            "message": guard.message,
        }
        for guard in guards
    }
    if rows:
        tx.execute(insert(t.guard_result), list(rows.values()))


def _number(value: float | None) -> float | None:
    """SQLite has no NaN and would keep nothing: an error that is not a number is beyond every tolerance."""
    return math.inf if value is not None and math.isnan(value) else value


def _keep_facts(tx: Connection, run_id: int, report: RunReport) -> None:
    rows = [
        {
            "run_id": run_id,
            "benchmark": fact.benchmark,
            "params": json.dumps(fact.params),
            "operators": dict(fact.operators),
            "backend": fact.backend,
            "device_state": dict(fact.device_state),
            "imported_from": fact.imported_from,
        }
        for fact in report.facts
    ]
    if rows:
        tx.execute(insert(t.fact), rows)


def exclude_run(tx: Connection, run_id: int, reason: str | None) -> bool:
    """Leave a run out of every series (None: take it back in); its series wait for judgement. False: no such run."""
    found = tx.execute(update(t.run).where(t.run.c.id == run_id).values(excluded=reason, judged_at=None))
    return bool(found.rowcount)
