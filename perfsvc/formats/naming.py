"""Under which names foreign runs are kept: a machine and its environment, as perfsvc.toml says, short enough to store.

asv measures one commit in several environments on one machine (Python 3.11 and 3.12, with and without a dependency),
and their values are not comparable. So the environment is a part of the name that a series has for its machine:
"box/conda-py3.12". That name comes from the run alone, never from what else is there: an environment that comes later
moves no series.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeVar

from perfsvc.model import Benchmark, Complaint, Measurement, RunReport, Skip, content_hash
from perfsvc.settings import IngestSection

#: What columns and indexes of either database hold, in bytes.
MACHINE_BYTES, ENV_NAME_BYTES, ORIGIN_BYTES = 150, 300, 60
NAME_BYTES, VERSION_BYTES, PARAMS_BYTES, METRIC_BYTES = 1000, 100, 1200, 100

#: What a column on a page holds of an environment behind its machine's name.
ENVIRONMENT_BYTES = 40
#: More than anybody's benchmark has.
MAX_PARAMETERS = 20

WIDEST_CHARACTER = 4  # bytes of UTF-8
WIDEST_ESCAPE = 6  # bytes that one byte may take where parameters are kept as JSON
_DIGEST = 8  # hexadecimal digits


def digest(text: str) -> str:
    """A few digits that keep this text apart from others that begin alike."""
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST]


def shortened(text: str, limit: int) -> str:
    """A text of at most `limit` bytes: its beginning, up to a hyphen where one is near, and a digest of all of it."""
    if len(text) * WIDEST_CHARACTER <= limit or len(data := text.encode()) <= limit:
        return text
    beginning = data[: limit - _DIGEST - 1].decode(errors="ignore")
    head, hyphen, _ = beginning.rpartition("-")
    kept = head if hyphen and len(head) * 2 > len(beginning) else beginning
    return f"{kept}~{digest(text)}"


def series_machine(machine: str, env_name: str) -> str:
    """The name that the series of an environment on a machine have for their machine."""
    parts = (shortened(machine, MACHINE_BYTES), shortened(env_name, ENVIRONMENT_BYTES))
    return "/".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class Naming:
    """What the rules of one project make of a run's names."""

    rules: IngestSection

    def hashed(self, content: str) -> str:
        """The hash of a run under these names: read under other rules, it is other content."""
        rules = self.rules.model_dump(mode="json", exclude_defaults=True)
        return content_hash(content.encode(), json.dumps(rules).encode()) if rules else content

    def named(self, report: RunReport) -> Iterator[RunReport | Complaint]:
        """The run under the names that it is kept by, after a complaint for each benchmark whose new name is taken."""
        pool, called = _found(self.rules.pools, report.machine), _found(self.rules.environments, report.env_name)
        machine = report.machine if pool is None else pool
        environment = report.env_name if called is None else called
        benchmarks, taken = self._benchmarks(report.benchmarks)
        for reason in taken:
            yield Complaint(f"{report.machine}, commit {report.commit.hash[:8]}", reason)
        names = {old.name: new.name for old, new in zip(report.benchmarks, benchmarks, strict=True)}
        yield replace(
            report,
            content_hash=self.hashed(report.content_hash),
            machine=series_machine(machine, environment),
            env_name=shortened(report.env_name, ENV_NAME_BYTES),
            machine_facts={**report.machine_facts, "machine": report.machine},
            # Two machines of one pool that measured one commit are two runs.
            origin=report.origin if pool is None else shortened(f"machine:{report.machine}", ORIGIN_BYTES),
            benchmarks=benchmarks,
            measurements=_moved(report.measurements, names),
            skips=_moved(report.skips, names),
        )

    def _benchmarks(self, told: Sequence[Benchmark]) -> tuple[tuple[Benchmark, ...], list[str]]:
        """The benchmarks under their new names, and why some keep their old ones."""
        held = {benchmark.name for benchmark in told}
        made: list[Benchmark] = []
        taken: list[str] = []
        for benchmark in told:
            name, version = self._renamed(benchmark)
            if name in held and name != benchmark.name:
                taken.append(f"{benchmark.name} is not renamed to {name}, which the same run holds too")
                name, version = benchmark.name, benchmark.version
            held.add(name)
            made.append(_storable(benchmark, name, version))
        return tuple(made), taken

    def _renamed(self, benchmark: Benchmark) -> tuple[str, str]:
        for rule in self.rules.rename:
            if met := re.fullmatch(rule.match, benchmark.name):
                version = benchmark.version if rule.version is None else rule.version
                return met.expand(rule.to) or benchmark.name, version
        return benchmark.name, benchmark.version


#: No rules: every environment of every machine stands apart.
AS_TOLD = Naming(IngestSection())


def _storable(told: Benchmark, name: str, version: str) -> Benchmark:
    """The benchmark under this name and version, each text of a length that a database keeps."""
    texts = (
        (name, NAME_BYTES),
        (version, VERSION_BYTES),
        (told.metric.name, METRIC_BYTES),
        (told.metric.unit, METRIC_BYTES),
    )
    name, version, counts, unit = (shortened(text, limit) for text, limit in texts)
    if (name, version, counts, unit) == (told.name, told.version, told.metric.name, told.metric.unit):
        return told
    return replace(told, name=name, version=version, metric=replace(told.metric, name=counts, unit=unit))


def _found(names: Mapping[str, str], text: str) -> str | None:
    for pattern, name in names.items():
        if met := re.fullmatch(pattern, text):
            return met.expand(name)
    return None


Outcome = TypeVar("Outcome", Measurement, Skip)


def _moved(outcomes: Sequence[Outcome], names: Mapping[str, str]) -> tuple[Outcome, ...]:
    """The same outcomes under their benchmarks' new names; most of them are the very same objects."""
    made = []
    for each in outcomes:
        name, params = names[each.benchmark], storable_params(each.params)
        same = name == each.benchmark and params == each.params
        made.append(each if same else replace(each, benchmark=name, params=params))
    return tuple(made)


@lru_cache(maxsize=4096)
def storable_params(params: tuple[str, ...]) -> tuple[str, ...]:
    """The same parameters, unless a database could not index them: then each is cut to its share."""
    if len(json.dumps(params)) <= PARAMS_BYTES:
        return params
    share = PARAMS_BYTES // (len(params) * WIDEST_ESCAPE)
    return tuple(shortened(each, share) for each in params)
