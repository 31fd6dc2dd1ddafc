"""Which series a run's cases belong to; new ones are made. What was looked up stays on a shelf for the next run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from perfsvc.model import Benchmark, Measurement, Metric, RunReport, Skip, label
from perfsvc.store import tables as t

#: What is said of a benchmark by whoever runs the service, over what its suite said: `Settings.metric`.
Overrule = Callable[[str, Metric], Metric]

#: Benchmark's id, params, metric's name and unit. Direction and exactness may be told otherwise later: same series.
Identity = tuple[int, str, str, str]

Told = tuple[list[str], dict[str, Any]]  # what the suite says of a benchmark: names of params, attributes

Case = tuple[str, tuple[str, ...]]  # benchmark, params

Ids = dict[tuple[str, ...], int]  # params -> series


@dataclass(slots=True)
class Shelf:
    """Ids that one ingest has looked up already. It knows nothing of a transaction that was undone: make a new one."""

    benchmarks: dict[tuple[str, str], tuple[int, Told]] = field(default_factory=dict)  #: by name and version
    metrics: dict[Metric, int] = field(default_factory=dict)
    series: dict[str, dict[Identity, tuple[int, int]]] = field(default_factory=dict)  #: by machine; id, metric
    cases: dict[tuple[str, str, str], tuple[Benchmark, Ids]] = field(default_factory=dict)  #: machine, name, version


def series_ids(
    tx: Connection,
    project_id: int,
    report: RunReport,
    items: Sequence[Measurement | Skip],
    overrule: Overrule,
    shelf: Shelf,
) -> list[int]:
    """The series of each of the report's items; new ones are made."""
    ids = {benchmark.name: _shelved(shelf, report.machine, benchmark) for benchmark in report.benchmarks}
    try:
        return [ids[item.benchmark][item.params] for item in items]
    except KeyError:
        missing = {(item.benchmark, item.params) for item in items if item.params not in ids[item.benchmark]}
    for (name, params), found in _resolve(tx, project_id, report, sorted(missing), overrule, shelf).items():
        ids[name][params] = found
    return [ids[item.benchmark][item.params] for item in items]


def _shelved(shelf: Shelf, machine: str, benchmark: Benchmark) -> Ids:
    """The series that are known of a benchmark, if it was told the same then; else they are looked up anew."""
    key = (machine, benchmark.name, benchmark.version)
    known = shelf.cases.get(key)
    if known is None or known[0] != benchmark:
        known = shelf.cases[key] = (benchmark, {})
    return known[1]


def _resolve(
    tx: Connection, project_id: int, report: RunReport, cases: Sequence[Case], overrule: Overrule, shelf: Shelf
) -> dict[Case, int]:
    described = {benchmark.name: benchmark for benchmark in report.benchmarks}
    names = sorted({name for name, _ in cases})
    if any((name, described[name].version) not in shelf.benchmarks for name in names):
        shelf.benchmarks = _known_benchmarks(tx, project_id)  # somebody else may have made them since the last look
    benchmarks = {name: _benchmark_id(tx, project_id, described[name], shelf) for name in names}
    metrics = {case: overrule(label(*case), described[case[0]].metric) for case in cases}
    wanted = {
        case: (benchmarks[case[0]], json.dumps(case[1]), metrics[case].name, metrics[case].unit) for case in cases
    }
    told = {wanted[case]: _metric_id(tx, metrics[case], shelf) for case in cases}
    known = shelf.series.get(report.machine)
    if known is None or not told.keys() <= known.keys():
        known = shelf.series[report.machine] = _make_series(tx, project_id, report.machine, told)
    _retell(tx, known, told)
    return {case: known[identity][0] for case, identity in wanted.items()}


def _make_series(
    tx: Connection, project_id: int, machine: str, told: Mapping[Identity, int]
) -> dict[Identity, tuple[int, int]]:
    """All series of a machine, after those of `told` that were missing were made."""
    known = _known_series(tx, project_id, machine)
    missing = [identity for identity in told if identity not in known]
    if not missing:
        return known
    same = {"project_id": project_id, "machine": machine}
    rows = [same | {"benchmark_id": key[0], "params": key[1], "metric_id": told[key]} for key in missing]
    tx.execute(insert(t.series), rows)
    return _known_series(tx, project_id, machine)


def _known_series(tx: Connection, project_id: int, machine: str) -> dict[Identity, tuple[int, int]]:
    query = (
        select(
            t.series.c.benchmark_id, t.series.c.params, t.metric.c.name, t.metric.c.unit, t.series.c.id, t.metric.c.id
        )
        .join(t.metric, t.metric.c.id == t.series.c.metric_id)
        .where(t.series.c.project_id == project_id, t.series.c.machine == machine)
    )
    return {(row[0], row[1], row[2], row[3]): (row[4], row[5]) for row in tx.execute(query)}


def _retell(tx: Connection, known: dict[Identity, tuple[int, int]], told: Mapping[Identity, int]) -> None:
    """What counts as better may be told anew, by the suite or by perfsvc.toml: the series stays what it is."""
    moved = {key: metric_id for key, metric_id in told.items() if known[key][1] != metric_id}
    if not moved:
        return
    rows = [{"key": known[key][0], "metric_id": metric_id} for key, metric_id in moved.items()]
    tx.execute(update(t.series).where(t.series.c.id == bindparam("key")), rows)
    known |= {key: (known[key][0], metric_id) for key, metric_id in moved.items()}


def _known_benchmarks(tx: Connection, project_id: int) -> dict[tuple[str, str], tuple[int, Told]]:
    b = t.benchmark.c
    query = select(b.name, b.version, b.id, b.param_names, b.attributes).where(b.project_id == project_id)
    return {(row[0], row[1]): (row[2], (row[3], row[4])) for row in tx.execute(query)}


def _benchmark_id(tx: Connection, project_id: int, benchmark: Benchmark, shelf: Shelf) -> int:
    """The benchmark's id; what the suite says of it is brought up to date."""
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
