"""Keep one run, whole or not at all. The same content twice changes nothing; a grown file replaces what was kept."""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, delete, func, insert, select, update

from perfsvc.model import Environment, GuardResult, Measurement, Outcome, RunReport, Skip, label
from perfsvc.stats import Floats
from perfsvc.store import packing
from perfsvc.store import tables as t
from perfsvc.store.writes.catalog import keep_commit
from perfsvc.store.writes.judging import series_of_runs
from perfsvc.store.writes.series import Overrule, Shelf, series_ids


@dataclass(frozen=True, slots=True)
class Kept:
    run: int
    new: bool  #: False: the very same content was there already


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
    items: tuple[Measurement | Skip, ...] = (*report.measurements, *report.skips)
    outcomes = _outcomes(report, series_ids(tx, project_id, report, items, overrule, shelf or Shelf()))
    columns = identity | _run_columns(tx, report, now)
    columns |= {"n_values": len(outcomes.series_ids), "n_skips": len(outcomes.skips)}
    if kept is None:
        run_id = int(tx.execute(insert(t.run).values(columns).returning(t.run.c.id)).scalar_one())
    else:
        run_id = kept.id
        _empty(tx, run_id, {*outcomes.series_ids.tolist(), *outcomes.skips})
        tx.execute(update(t.run).where(t.run.c.id == run_id).values(columns))
    _keep_outcomes(tx, run_id, outcomes)
    _keep_guards(tx, run_id, report.guards)
    _keep_facts(tx, run_id, report)
    return Kept(run_id, new=True)


def _empty(tx: Connection, run_id: int, staying: set[int]) -> None:
    """Make room for what the run holds now. Series that it holds no more are judged again through their other runs."""
    gone = sorted(set(series_of_runs(tx, [run_id])) - staying)
    for child in (t.measurement, t.skip, t.guard_result, t.fact):
        tx.execute(delete(child).where(child.c.run_id == run_id))
    for series_id in gone:
        _judge_again(tx, series_id)
        tx.execute(delete(t.series_state).where(t.series_state.c.series_id == series_id))


def _judge_again(tx: Connection, series_id: int) -> None:
    """Have the newest run that holds the series wait for judgement."""
    m = t.measurement.c
    skipped = tx.execute(select(func.max(t.skip.c.run_id)).where(t.skip.c.series_id == series_id)).scalar()
    block = select(m.run_id, m.packed).where(m.block == packing.block_of(series_id)).order_by(m.run_id.desc())
    measured = (run for run, packed in tx.execute(block) if packing.unpack(packed, series_id) is not None)
    newest = max(skipped or 0, next(measured, 0))
    tx.execute(update(t.run).where(t.run.c.id == newest).values(judged_at=None))


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


@dataclass(frozen=True, slots=True)
class _Outcomes:
    """What a run has to say of each of its series: a value, or the reason why there is none."""

    series_ids: NDArray[np.int64]  #: [n], of those with a value
    values: Floats  #: [n, 3]: value, q25, q75; NaN where a quartile is not known
    wrong: NDArray[np.bool_]  #: [n]
    skips: dict[int, tuple[str, bool]]  #: series -> reason, wrong


def _outcomes(report: RunReport, series: Sequence[int]) -> _Outcomes:
    """A value wins over a skip of the same case, and what comes last over what came before.

    Shapes: series: of the measurements, then of the skips.
    """
    n = len(report.measurements)
    last = {series_id: i for i, series_id in enumerate(series[:n])}
    measured = report.measurements if len(last) == n else [report.measurements[i] for i in last.values()]
    ids = np.fromiter(last, dtype=np.int64, count=len(last))
    values = np.array([[m.value for m in measured], [m.q25 for m in measured], [m.q75 for m in measured]], dtype=float)
    values[1:][np.isinf(values[1:])] = math.nan
    good = np.isfinite(values[0])
    doubted = _doubted(report.guards)
    wrong = np.array([doubted(m) for m in measured], dtype=bool) if doubted else np.zeros(len(measured), dtype=bool)
    skipped: dict[int, Measurement | Skip] = dict(zip(series[n:], report.skips, strict=True))
    skipped |= {series_id: measured[i] for i, series_id in enumerate(last) if not good[i]} if not good.all() else {}
    settled = set(ids[good].tolist()) if skipped else ()
    skips = {
        series_id: (_reason(item), doubted is not None and doubted(item))
        for series_id, item in skipped.items()
        if series_id not in settled
    }
    return _Outcomes(ids[good], values.T[good], wrong[good], skips)


def _reason(item: Measurement | Skip) -> str:
    return item.reason if isinstance(item, Skip) else f"not a finite number: {item.value}"


def _keep_outcomes(tx: Connection, run_id: int, outcomes: _Outcomes) -> None:
    packed = packing.pack(outcomes.series_ids, outcomes.values, outcomes.wrong)
    if packed:
        rows = [{"block": one.block, "run_id": run_id, "packed": one.bytes} for one in packed]
        tx.execute(insert(t.measurement), rows)
    if outcomes.skips:
        rows = [
            {"series_id": series_id, "run_id": run_id, "reason": reason, "wrong": wrong}
            for series_id, (reason, wrong) in outcomes.skips.items()
        ]
        tx.execute(insert(t.skip), rows)


def _doubted(guards: Sequence[GuardResult]) -> Callable[[Measurement | Skip], bool] | None:
    """Tells of a case whether a guard that failed covers it; None: none failed."""
    failed = [_covers(guard.covers) for guard in guards if guard.outcome is Outcome.FAILED]
    if not failed:
        return None
    return lambda item: any(covers(label(item.benchmark, item.params)) for covers in failed)


def _covers(pattern: str) -> Callable[[str], bool]:
    """Which benchmarks a guard vouches for. A pattern that cannot be read covers all: better doubted than believed."""
    try:
        found = re.compile(pattern)
    except re.error:
        found = re.compile("")
    return lambda text: found.search(text) is not None


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
