"""Keep one run, whole or not at all. The same content twice changes nothing; a grown file replaces what was kept."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from perfsvc.model import Benchmark, Environment, GuardResult, Measurement, Metric, Outcome, RunReport, Skip, label
from perfsvc.store import tables as t
from perfsvc.store.writes.catalog import keep_commit

#: What is said of a benchmark by whoever runs the service, over what its suite said: `Settings.metric`.
Overrule = Callable[[str, Metric], Metric]

Case = tuple[str, tuple[str, ...]]  # benchmark, params


@dataclass(frozen=True, slots=True)
class Kept:
    run: int
    new: bool  #: False: the very same content was there already


def known_hashes(tx: Connection, project_id: int) -> set[str]:
    """Content hashes of every run that is kept: what need not be read again."""
    return set(tx.execute(select(t.run.c.content_hash).where(t.run.c.project_id == project_id)).scalars())


def keep_run(tx: Connection, project_id: int, report: RunReport, *, overrule: Overrule, now: datetime) -> Kept:
    """Store a run with its measurements, skips, guards and facts. It waits for judgement (`run.judged_at`)."""
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
    if kept is None:
        run_id = int(tx.execute(insert(t.run).values(columns).returning(t.run.c.id)).scalar_one())
    else:
        run_id = kept.id
        for child in (t.measurement, t.guard_result, t.fact):
            tx.execute(delete(child).where(child.c.run_id == run_id))
        tx.execute(update(t.run).where(t.run.c.id == run_id).values(columns))
    _keep_values(tx, project_id, run_id, report, overrule)
    _keep_guards(tx, run_id, report.guards)
    _keep_facts(tx, run_id, report)
    return Kept(run_id, new=True)


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


def _keep_values(tx: Connection, project_id: int, run_id: int, report: RunReport, overrule: Overrule) -> None:
    series = _series_ids(tx, project_id, report, overrule)
    wrong = [_covers(guard.covers) for guard in report.guards if guard.outcome is Outcome.FAILED]
    rows: dict[int, dict[str, Any]] = {}
    items: tuple[Measurement | Skip, ...] = (*report.skips, *report.measurements)
    for item in items:  # a value wins over a skip of the same case
        row: dict[str, Any] = {"series_id": series[(item.benchmark, item.params)], "run_id": run_id}
        row["wrong"] = any(covers(label(item.benchmark, item.params)) for covers in wrong)
        rows[row["series_id"]] = row | (_value(item) if isinstance(item, Measurement) else _no_value(item))
    if rows:
        tx.execute(insert(t.measurement), list(rows.values()))


def _value(item: Measurement) -> dict[str, Any]:
    return {"value": item.value, "q25": item.q25, "q75": item.q75, "rounds": len(item.rounds) or None, "skip": None}


def _no_value(item: Skip) -> dict[str, Any]:
    return {"value": None, "q25": None, "q75": None, "rounds": None, "skip": item.reason}


def _covers(pattern: str) -> Callable[[str], bool]:
    """Which benchmarks a guard vouches for. A pattern that cannot be read covers all: better doubted than believed."""
    try:
        found = re.compile(pattern)
    except re.error:
        found = re.compile("")
    return lambda text: found.search(text) is not None


def _series_ids(tx: Connection, project_id: int, report: RunReport, overrule: Overrule) -> dict[Case, int]:
    """The series of every case in the report; new ones are made."""
    cases = {(m.benchmark, m.params) for m in report.measurements} | {(s.benchmark, s.params) for s in report.skips}
    described = {benchmark.name: benchmark for benchmark in report.benchmarks}
    benchmark_ids = _benchmark_ids(tx, project_id, [described[name] for name in sorted({name for name, _ in cases})])
    metrics: dict[Case, Metric] = {case: overrule(label(*case), described[case[0]].metric) for case in cases}
    metric_ids = {metric: _metric_id(tx, metric) for metric in set(metrics.values())}
    wanted = {case: (benchmark_ids[case[0]], json.dumps(case[1]), metric_ids[metrics[case]]) for case in cases}
    known = _known_series(tx, project_id, report.machine)
    missing = sorted({key for key in wanted.values() if key not in known})
    if missing:
        columns = ("benchmark_id", "params", "metric_id")
        rows = [
            dict(zip(columns, key, strict=True)) | {"project_id": project_id, "machine": report.machine}
            for key in missing
        ]
        tx.execute(insert(t.series), rows)
        known = _known_series(tx, project_id, report.machine)
    return {case: known[key] for case, key in wanted.items()}


def _known_series(tx: Connection, project_id: int, machine: str) -> dict[tuple[int, str, int], int]:
    rows = tx.execute(select(t.series).where(t.series.c.project_id == project_id, t.series.c.machine == machine))
    return {(row.benchmark_id, row.params, row.metric_id): row.id for row in rows}


def _benchmark_ids(tx: Connection, project_id: int, benchmarks: list[Benchmark]) -> dict[str, int]:
    ids: dict[str, int] = {}
    for benchmark in benchmarks:
        described = {"param_names": list(benchmark.param_names), "attributes": dict(benchmark.attributes)}
        known = tx.execute(
            select(t.benchmark).where(
                t.benchmark.c.project_id == project_id,
                t.benchmark.c.name == benchmark.name,
                t.benchmark.c.version == benchmark.version,
            )
        ).first()
        if known is None:
            values = {"project_id": project_id, "name": benchmark.name, "version": benchmark.version, **described}
            ids[benchmark.name] = int(
                tx.execute(insert(t.benchmark).values(values).returning(t.benchmark.c.id)).scalar_one()
            )
            continue
        ids[benchmark.name] = known.id
        if (known.param_names, known.attributes) != (described["param_names"], described["attributes"]):
            tx.execute(update(t.benchmark).where(t.benchmark.c.id == known.id).values(described))
    return ids


def _metric_id(tx: Connection, metric: Metric) -> int:
    columns: Mapping[str, Any] = {
        "name": metric.name,
        "unit": metric.unit,
        "direction": metric.direction,
        "exact": metric.exact,
    }
    known = tx.execute(select(t.metric.c.id).where(*(t.metric.c[k] == v for k, v in columns.items()))).scalar()
    if known is not None:
        return int(known)
    return int(tx.execute(insert(t.metric).values(columns).returning(t.metric.c.id)).scalar_one())


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
            "error": guard.error,
            "tolerance": guard.tolerance,
            "covers": guard.covers,
            "message": guard.message,
        }
        for guard in guards
    }
    if rows:
        tx.execute(insert(t.guard_result), list(rows.values()))


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
