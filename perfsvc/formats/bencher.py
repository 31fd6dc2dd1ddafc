"""Bencher Metric Format: any tool's numbers as `{"benchmark": {"measure": {"value": 1.0}}}`.

Source: https://bencher.dev/docs/reference/bencher-metric-format. It knows neither machine nor commit: they stand beside
it. `lower_value` and `upper_value` may be quartiles, extremes or a confidence interval, nobody knows which: not kept.
"""

from __future__ import annotations

from typing import Any

from perfsvc.errors import ResultFormatError
from perfsvc.formats import json_text
from perfsvc.formats.asv_rows import finite
from perfsvc.formats.cases import Cases, RunIdentity
from perfsvc.model import Complaint, Direction, Measurement, Metric, RunReport, Skip

#: Bencher's built-in measures, with what one of theirs is in SI. Others have no unit and no better direction
#: unless perfsvc.toml gives them one.
MEASURES = {
    "latency": (Metric("latency", "seconds", Direction.LOWER), 1e-9),
    "throughput": (Metric("throughput", "1/s", Direction.HIGHER), 1.0),
    "build-time": (Metric("build-time", "seconds", Direction.LOWER), 1.0),
    "file-size": (Metric("file-size", "bytes", Direction.LOWER), 1.0),
}


def recognises(document: Any) -> bool:
    """Whether every benchmark of a document is an object of measures, and every measure an object with a value."""
    if not isinstance(document, dict) or not document:
        return False
    return all(
        isinstance(measures, dict) and measures and all(isinstance(m, dict) and "value" in m for m in measures.values())
        for measures in document.values()
    )


def read(data: bytes, place: str, run: RunIdentity) -> tuple[RunReport, list[Complaint]]:
    """One run. A measure is a part of its benchmark's name: `name:latency`. Raises: ResultFormatError."""
    cases = Cases(place)
    for name, measures in json_text.load_object(data, place).items():
        if not isinstance(measures, dict):
            cases.complain(f"{name}: is {json_text.kind(measures)}; wanted an object of measures")
            continue
        for measure, told in measures.items():
            value = told.get("value") if isinstance(told, dict) else told
            metric, factor = MEASURES.get(measure, (Metric(measure, "unit"), 1.0))
            case = f"{name}:{measure}"
            number = finite(value) if not isinstance(value, bool) else None
            if number is None:
                cases.add(Skip(case, (), f"its value is {json_text.brief(value)}; wanted a finite number"), metric)
            else:
                cases.add(Measurement(case, (), number * factor), metric)
    if not cases.benchmarks:
        raise ResultFormatError(f"{place}: holds no measures; wanted benchmarks with measures in Bencher Metric Format")
    report = RunReport(run.needed_machine(place), run.env_name, run.needed_commit(place), "", **cases.content)
    return report, cases.complaints
