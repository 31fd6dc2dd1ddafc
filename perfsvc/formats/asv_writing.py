"""RunReports -> a tree of asv results (format 2) that asv reads and publishes; asv_results.py reads it back.

ROOT/benchmarks.json    ROOT/MACHINE/machine.json    ROOT/MACHINE/HASH8-ENVIRONMENT.json
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from perfsvc.errors import ResultFormatError
from perfsvc.formats import asv_suite
from perfsvc.formats.asv_results import MACHINE_FILE
from perfsvc.formats.asv_rows import MAX_CASES, SKIPPED, parameter_sets
from perfsvc.formats.asv_suite import ParameterLists
from perfsvc.formats.naming import digest
from perfsvc.model import Benchmark, Commit, Json, Measurement, RunReport, Skip

HASH_LENGTH = 8  # of a commit in a file's name, as asv has it
FILE_NAME_BYTES = 100

_COLUMNS = ("result", "params", "version", "stats_q_25", "stats_q_75", "samples")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LEAST = {"code": "", "timeout": 60.0}  # what asv's pages ask of every benchmark beside what it counts

Case = tuple[str, ...]
Outcomes = Mapping[Case, Measurement | Skip]


@dataclass(slots=True)
class Written:
    """What a tree came to."""

    files: int = 0
    left_out: list[str] = field(default_factory=list)  #: what asv's format cannot hold, and why


@dataclass(slots=True)
class _Described:
    """A benchmark as its newest commit tells it, and every value that each of its parameters had."""

    benchmark: Benchmark
    authored_at: datetime
    params: ParameterLists


def write_tree(root: Path, reports: Iterable[RunReport]) -> Written:
    """Write every report as a file of asv's. Raises: ResultFormatError when something is at `root` already."""
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise ResultFormatError(f"{root}: is there already; wanted the name of a folder to be made")
    root.mkdir(parents=True, exist_ok=True)
    written = Written()
    suite: dict[str, _Described] = {}
    for report in reports:
        rows = dict(_rows(report, suite, written))
        folder = _machine_folder(root, report)
        name = f"{report.commit.hash[:HASH_LENGTH]}-{_file_name(report.env_name or 'env')}.json"
        path = folder / name
        if path.exists():  # another commit begins with the same eight letters
            path = folder / f"{report.commit.hash}-{_file_name(report.env_name or 'env')}.json"
        path.write_text(json.dumps(_file(report, rows)), encoding="utf-8")
        written.files += 1
    described = {name: _words(each) for name, each in sorted(suite.items())}
    _write(root / asv_suite.FILE, {**described, "version": 2})
    return written


def _file(report: RunReport, rows: Json) -> Json:
    lock = dict(report.environment.lock) if report.environment else {}
    python = lock.get("python") or ""
    return {
        "commit_hash": report.commit.hash,
        "env_name": report.env_name,
        "date": _milliseconds(report.commit),
        "params": {"machine": report.machine, "python": python},
        "python": python,
        "requirements": lock.get("requirements") or {},
        "env_vars": lock.get("env_vars") or {},
        "result_columns": _COLUMNS,
        "results": rows,
        "durations": {},
        "version": 2,
    }


def _milliseconds(commit: Commit) -> int:
    return (commit.authored_at - _EPOCH) // timedelta(milliseconds=1)


def _rows(report: RunReport, suite: dict[str, _Described], written: Written) -> Iterator[tuple[str, list[Any]]]:
    outcomes: dict[str, dict[Case, Measurement | Skip]] = {}
    told: tuple[Measurement | Skip, ...] = (*report.skips, *report.measurements)
    for each in told:
        outcomes.setdefault(each.benchmark, {})[each.params] = each
    for benchmark in report.benchmarks:
        cases = outcomes.get(benchmark.name, {})
        params = _parameter_lists(cases)
        if params is None:
            place = f"{report.machine}, commit {report.commit.hash[:HASH_LENGTH]}"
            written.left_out.append(f"{place}: {benchmark.name}: its cases are no product of parameters that asv has")
            continue
        _describe(suite, benchmark, report.commit, params)
        yield benchmark.name, _row(benchmark, params, cases)


def _row(benchmark: Benchmark, params: ParameterLists, cases: Outcomes) -> list[Any]:
    told = [cases.get(case) for case in parameter_sets(params)]
    measured = [each if isinstance(each, Measurement) else None for each in told]
    columns = (
        [each and each.q25 for each in measured],
        [each and each.q75 for each in measured],
        [list(each.samples) if each and each.samples else None for each in measured],
    )
    used = [column if any(value is not None for value in column) else None for column in columns]
    return [[_value(each) for each in told], params, benchmark.version or None, *used]


def _value(told: Measurement | Skip | None) -> float | None:
    """asv's null is a failure and its NaN a skip; a case that the run did not have is one too."""
    if isinstance(told, Measurement):
        return told.value
    return math.nan if told is None or told.reason == SKIPPED else None


def _parameter_lists(cases: Outcomes) -> ParameterLists | None:
    """For each parameter its values, in the order first met; None where cases differ in the number of parameters."""
    if len({len(case) for case in cases}) > 1:
        return None
    lists = tuple(tuple(dict.fromkeys(values)) for values in zip(*cases, strict=True))
    return lists if math.prod(map(len, lists)) <= MAX_CASES else None


def _describe(suite: dict[str, _Described], benchmark: Benchmark, commit: Commit, params: ParameterLists) -> None:
    known = suite.get(benchmark.name)
    if known is None or len(known.params) != len(params):
        suite[benchmark.name] = _Described(benchmark, commit.authored_at, params)
        return
    known.params = tuple(tuple(dict.fromkeys((*old, *new))) for old, new in zip(known.params, params, strict=True))
    if commit.authored_at >= known.authored_at:
        known.benchmark, known.authored_at = benchmark, commit.authored_at


def _words(described: _Described) -> Json:
    benchmark, params = described.benchmark, described.params
    metric = benchmark.metric
    names = benchmark.param_names
    kind = next((kind for kind, usual in asv_suite.TYPES.items() if usual == metric), "track")
    told = {"metric": metric.name, "unit": metric.unit, "direction": str(metric.direction), "exact": metric.exact}
    return {
        **benchmark.attributes,
        **_LEAST,
        **told,
        "name": benchmark.name,
        "type": kind,
        "version": benchmark.version,
        "params": params,
        "param_names": names if len(names) == len(params) else [f"param{place + 1}" for place in range(len(params))],
    }


def _machine_folder(root: Path, report: RunReport) -> Path:
    folder = root / _file_name(report.machine)
    if not folder.exists():
        folder.mkdir()
        facts = {key: str(value) for key, value in report.machine_facts.items() if value is not None}
        _write(folder / MACHINE_FILE, {**facts, "machine": report.machine, "version": 1})
    return folder


def _file_name(text: str) -> str:
    """A name that no file system takes for a path, and that no other text has."""
    plain = re.sub(r"[^A-Za-z0-9_.-]", "_", text)
    if plain == text and plain.strip(".") and len(plain) <= FILE_NAME_BYTES:
        return plain
    return f"{plain[:FILE_NAME_BYTES].strip('.')}~{digest(text)}"


def _write(path: Path, words: Json) -> None:
    path.write_text(json.dumps(words, indent=1), encoding="utf-8")
