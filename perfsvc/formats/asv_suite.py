"""benchmarks.json: what a suite says about its benchmarks. What it does not say, asv's own naming rule tells."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from perfsvc.errors import ResultFormatError
from perfsvc.formats import json_text
from perfsvc.formats.naming import MAX_PARAMETERS
from perfsvc.model import Benchmark, Complaint, Direction, Metric

FILE = "benchmarks.json"
VERSIONS = (1, 2)

#: asv's type of a benchmark -> what its number counts, unless the suite says otherwise.
TYPES = {
    "time": Metric("time", "seconds", Direction.LOWER),
    "timeraw": Metric("time", "seconds", Direction.LOWER),
    "memory": Metric("memory", "bytes", Direction.LOWER),
    "peakmemory": Metric("peakmemory", "bytes", Direction.LOWER),
    "track": Metric("track", "unit", Direction.NEITHER),
}
# asv finds benchmarks by these names, so a name tells the type even where benchmarks.json is lost.
_NAMED = re.compile(r"(time|timeraw|mem|peakmem|track)_|(Time|Timeraw|Mem|PeakMem|Track)[A-Z_]")
# asv's own words about a benchmark; every other key is an attribute that the suite set.
_ASVS = frozenset(
    {"code", "name", "version", "type", "unit", "params", "param_names", "timeout", "setup_cache_key", "pretty_source"}
    | {"rounds", "processes", "repeat", "number", "sample_time", "warmup_time", "min_run_count", "goal_time", "time"}
    | {"metric", "direction", "exact"}  # these became the Metric
)

ParameterLists = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Suite:
    """The benchmarks that one benchmarks.json describes, and what of it could not be read."""

    benchmarks: Mapping[str, Benchmark] = field(default_factory=dict)
    params: Mapping[str, ParameterLists] = field(default_factory=dict)
    complaints: tuple[Complaint, ...] = ()

    def benchmark(self, name: str) -> Benchmark:
        """The suite's description, or what the name alone tells."""
        return self.benchmarks.get(name) or Benchmark(name, "", TYPES[type_of(name)])

    @property
    def digest(self) -> bytes:
        """What of the suite changes the meaning of a stored number: every metric that its name does not tell.

        A suite that only grew, or whose code changed, has the same digest: its old files need not be read again.
        """
        told = {name: described.metric for name, described in self.benchmarks.items()}
        odd = {name: metric for name, metric in told.items() if metric != TYPES[type_of(name)]}
        return json.dumps([[name, *_words(metric)] for name, metric in sorted(odd.items())]).encode() if odd else b""


def read_suite(data: bytes, place: str) -> Suite:
    """Read benchmarks.json of either version. A benchmark that makes no sense is a complaint; the others go in.

    Raises: ResultFormatError when the file as a whole cannot be read.
    """
    described = json_text.load_object(data, place)
    version = described.pop("version", 1)
    if version not in VERSIONS:
        raise ResultFormatError(f"{place}: has version {json_text.brief(version)}; wanted 1 or 2")
    benchmarks: dict[str, Benchmark] = {}
    params: dict[str, ParameterLists] = {}
    complaints: list[Complaint] = []
    for name, words in described.items():
        if not isinstance(words, dict):
            complaints.append(Complaint(place, f"{name} is {json_text.kind(words)}; wanted an object"))
            continue
        try:
            benchmarks[name] = _benchmark(name, words, place, complaints)
            params[name] = parameter_lists(words.get("params"))
        except ResultFormatError as error:
            complaints.append(Complaint(place, f"{name}: {error}"))
    return Suite(benchmarks, params, tuple(complaints))


def type_of(name: str) -> str:
    """asv's type of a benchmark by asv's naming rule: `time_...`, `TimeSomething`; anything else tracks a value."""
    named = _NAMED.match(name.rpartition(".")[2])
    kind = (named.group(1) or named.group(2)).lower() if named else "track"
    return {"mem": "memory", "peakmem": "peakmemory"}.get(kind, kind)


def parameter_lists(params: Any) -> ParameterLists:
    """asv's `params`: for each parameter the list of its values as Python reprs. Raises: ResultFormatError."""
    lists = [] if params is None else params
    if not isinstance(lists, list) or not all(isinstance(values, list) for values in lists):
        raise ResultFormatError(f"params are {json_text.brief(params)}; wanted a list of lists")
    if len(lists) > MAX_PARAMETERS:
        raise ResultFormatError(f"has {len(lists)} parameters; at most {MAX_PARAMETERS} are read")
    if not all(type(value) is str for values in lists for value in values):
        raise ResultFormatError(f"params are {json_text.brief(params)}; wanted texts in the lists")
    return tuple(tuple(values) if len(set(values)) == len(values) else _numbered(values) for values in lists)


def _numbered(values: list[str]) -> tuple[str, ...]:
    """Equal reprs made distinct as newer versions of asv do: `'a' (0)`, `'a' (1)`."""
    met: Counter[str] = Counter()
    total = Counter(values)
    made = []
    for value in values:
        made.append(f"{value} ({met[value]})" if total[value] > 1 else value)
        met[value] += 1
    if len(set(made)) < len(made):
        raise ResultFormatError(f"params are {json_text.brief(values)}; wanted distinct values")
    return tuple(made)


def version_text(version: Any) -> str:
    """asv's version of a benchmark: a text, or a number that somebody set; nothing where asv wrote none."""
    if version is None:
        return ""
    if not isinstance(version, str | int | float):
        raise ResultFormatError(f"version is {json_text.brief(version)}; wanted a text")
    return str(version)


def _benchmark(name: str, words: Mapping[str, Any], place: str, complaints: list[Complaint]) -> Benchmark:
    names = words.get("param_names")
    told = names if isinstance(names, list) and all(isinstance(each, str) for each in names) else []
    return Benchmark(
        name=name,
        version=version_text(words.get("version")),
        metric=_metric(name, words, place, complaints),
        param_names=tuple(told),
        attributes={key: json_text.strict(value, place) for key, value in words.items() if key not in _ASVS},
    )


def _metric(name: str, words: Mapping[str, Any], place: str, complaints: list[Complaint]) -> Metric:
    """asv's type sets the metric; the function attributes `metric`, `unit`, `direction`, `exact` change it."""
    kind = words.get("type")
    usual = TYPES.get(kind if isinstance(kind, str) else type_of(name)) or Metric(str(kind), "unit")
    wrong = dict(_wrong(words))
    complaints.extend(Complaint(place, f"{name}: {reason}") for reason in wrong.values())
    told = {key: words[key] for key in ("metric", "unit", "direction", "exact") if words.get(key) and key not in wrong}
    return Metric(
        name=told.get("metric", usual.name),
        unit=told.get("unit", usual.unit),
        direction=Direction(told["direction"]) if "direction" in told else usual.direction,
        exact=told.get("exact", usual.exact),
    )


def _wrong(words: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    directions = [str(direction) for direction in Direction]
    wanted = {
        "metric": "a text",
        "unit": "a text",
        "direction": f"one of {', '.join(directions)}",
        "exact": "a boolean",
    }
    for key, kind in wanted.items():
        value = words.get(key)
        right = value in directions if key == "direction" else json_text.kind(value) == kind
        if value is not None and not right:
            yield key, f"{key} is {json_text.brief(value)}; wanted {kind}"


def _words(metric: Metric) -> tuple[str, str, str, bool]:
    return metric.name, metric.unit, str(metric.direction), metric.exact
