"""Google Benchmark's JSON (`--benchmark_format=json`, `--benchmark_out`) -> one run a file.

Repetitions of a benchmark are samples of its real time; its processor time, its rates and its own counters are
benchmarks beside it: `sort:cpu_time`, `sort:items_per_second`. It does not know the commit: that stands beside it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from perfsvc.errors import ResultFormatError
from perfsvc.formats import json_text
from perfsvc.formats.asv_rows import finite
from perfsvc.formats.cases import Cases, RunIdentity
from perfsvc.formats.naming import MAX_PARAMETERS
from perfsvc.formats.rounds import ENOUGH, median, quartiles
from perfsvc.formats.words import Words
from perfsvc.model import Complaint, Direction, Environment, Json, Measurement, Metric, RunReport, Skip

#: Google's unit of time -> seconds.
SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}

TIME = Metric("time", "seconds", Direction.LOWER)
_METRICS = {
    "cpu_time": Metric("cpu_time", "seconds", Direction.LOWER),
    "bytes_per_second": Metric("bytes_per_second", "bytes/s", Direction.HIGHER),
    "items_per_second": Metric("items_per_second", "1/s", Direction.HIGHER),
}
# Google's own words about a repetition; every other number is a counter that the benchmark set.
_GOOGLES = frozenset(
    {"name", "family_index", "per_family_instance_index", "run_name", "run_type", "repetitions", "repetition_index"}
    | {"threads", "iterations", "real_time", "time_unit", "label", "aggregate_name", "aggregate_unit"}
    | {"error_occurred", "error_message", "skipped", "skip_message", "big_o", "rms", "cpu_coefficient"}
    | {"real_coefficient", "max_bytes_used", "allocs_per_iter", "total_allocated_bytes", "net_heap_growth"}
)
_ARGUMENT = re.compile(r"-?\d+|[A-Za-z_]\w*:[^/]*")  # of a name's parts: "16", "n:16", "threads:2", "min_time:0.5"


def recognises(document: Any) -> bool:
    return (
        isinstance(document, dict)
        and isinstance(document.get("context"), dict)
        and isinstance(document.get("benchmarks"), list)
    )


def read(data: bytes, place: str, run: RunIdentity) -> tuple[RunReport, list[Complaint]]:
    """The run of one file. Raises: ResultFormatError, also when nobody said which commit it is of."""
    told = Words(json_text.load_object(data, place), place)
    context = told.inner("context")
    cases = Cases(place)
    for name, entries in _by_name(told, cases).items():
        try:
            _add(cases, name, entries)
        except ResultFormatError as error:
            cases.complain(str(error).removeprefix(f"{place}: "))
    report = RunReport(
        machine=run.machine or context.text("host_name", needed=True),
        env_name=run.env_name or context.text("library_build_type"),
        commit=run.needed_commit(place),
        content_hash="",
        environment=Environment(fingerprint=_fingerprint(context)),
        started_at=context.moment("date"),
        machine_facts={"num_cpu": context.integer("num_cpus")},
        readings={"load": context.values("load_avg")},
        **cases.content,
    )
    return report, cases.complaints


def _by_name(told: Words, cases: Cases) -> dict[str, list[Words]]:
    """The entries of each benchmark: its repetitions, or where only aggregates were written its median."""
    runs: dict[str, list[Words]] = defaultdict(list)
    medians: dict[str, list[Words]] = defaultdict(list)
    means: set[str] = set()
    for number, words in enumerate(told.objects("benchmarks")):
        entry = Words(words, f"{told.place}: benchmark {number}")
        try:
            name = entry.text("run_name") or entry.text("name", needed=True)
            if entry.text("run_type") != "aggregate":
                runs[name].append(entry)
            elif entry.text("aggregate_name") == "median":
                medians[name].append(entry)
            elif entry.text("aggregate_name") == "mean":
                means.add(name)
        except ResultFormatError as error:
            cases.complain(str(error).removeprefix(f"{told.place}: "))
    for name in sorted(means - runs.keys() - medians.keys()):
        cases.complain(f"{name}: has aggregates without a median; wanted its repetitions, or the median of them")
    return {**medians, **runs}


def _add(cases: Cases, name: str, entries: Sequence[Words]) -> None:
    base, names, values = _split(name)
    measured = [entry for entry in entries if not _failed(entry)]
    if not measured:
        cases.add(Skip(base, values, _failed(entries[0]) or ""), TIME, names)
        return
    factors = [_seconds(entry) for entry in measured]
    for key in ("real_time", "cpu_time", *_counters(measured)):
        metric = TIME if key == "real_time" else _METRICS.get(key, Metric(key, "unit"))
        scales = factors if metric.unit == "seconds" else [1.0] * len(factors)
        found = [number * scale for number, scale in zip(_numbers(measured, key), scales, strict=True)]
        told = base if key == "real_time" else f"{base}:{key}"
        q25, q75 = quartiles(found) if len(found) >= ENOUGH else (None, None)
        cases.add(Measurement(told, values, median(found), q25, q75, (), tuple(found)), metric, names)


def _numbers(entries: Iterable[Words], key: str) -> Iterator[float]:
    for entry in entries:
        value = entry.real(key)
        if value is None:
            raise ResultFormatError(f"{entry.place}: has no {key}")
        yield value


def _counters(entries: Sequence[Words]) -> list[str]:
    """What every repetition counted beside its times."""
    shared = [key for key in entries[0].keys if key not in _GOOGLES and key != "cpu_time"]
    return [key for key in shared if all(finite(entry.value(key)) is not None for entry in entries)]


def _failed(entry: Words) -> str | None:
    """Why there is no number."""
    if entry.flag("error_occurred"):
        return entry.text("error_message") or "it ended with an error"
    if entry.flag("skipped"):
        return entry.text("skip_message") or "skipped by the suite"
    return None


def _seconds(entry: Words) -> float:
    unit = entry.text("time_unit") or "ns"
    if unit not in SECONDS:
        raise ResultFormatError(f"{entry.place}: time_unit is {json_text.brief(unit)}; wanted {', '.join(SECONDS)}")
    return SECONDS[unit]


def _split(name: str) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """`sort/n:16/2` -> sort, ("n", "1"), ("n:16", "2"): the last parts that look like arguments are the parameters."""
    base, *parts = name.split("/")
    at = len(parts)
    while at and _ARGUMENT.fullmatch(parts[at - 1]) and len(parts) - at < MAX_PARAMETERS:
        at -= 1
    values = tuple(parts[at:])
    names = tuple(value.partition(":")[0] if ":" in value else str(place) for place, value in enumerate(values))
    return "/".join([base, *parts[:at]]), names, values


def _fingerprint(context: Words) -> Json:
    told = {key: context.text(key) for key in ("library_version", "library_build_type")}
    return {**told, "num_cpu": context.integer("num_cpus"), "cpu_scaling": context.flag("cpu_scaling_enabled")}
