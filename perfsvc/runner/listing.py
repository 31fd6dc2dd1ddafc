"""The cases of a suite as its discovery tells them, and which of them a person chose."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perfsvc.errors import RunnerError
from perfsvc.formats.asv_suite import read_suite
from perfsvc.model import Benchmark, label


@dataclass(frozen=True, slots=True)
class Listed:
    """One case in one side's suite."""

    benchmark: Benchmark
    params: tuple[str, ...]
    index: int | None  #: asv's, into the product of the parameters; None: there are none
    timeout: float


def cases(told: Sequence[Mapping[str, Any]], usual_timeout: float) -> dict[str, Listed]:
    """Every case by its label, in asv's order. Raises: ResultFormatError when a benchmark makes no sense."""
    words = {str(each["name"]): each for each in told}
    suite = read_suite(json.dumps({"version": 2, **words}).encode(), "the suite")
    found = {}
    for name, benchmark in suite.benchmarks.items():
        lists = suite.params[name]
        timeout = float(words[name].get("timeout") or usual_timeout)
        for index, params in enumerate(itertools.product(*lists)):
            found[label(name, params)] = Listed(benchmark, params, index if lists else None, timeout)
    return found


def chooser(bench: str) -> Callable[[str], bool]:
    """Whether a label is wanted. As asv's --bench: a search in `name(params)`; with a "!" before it, all others.

    Raises: RunnerError when it is no regular expression.
    """
    try:
        wanted = re.compile(bench.removeprefix("!"))
    except re.error as error:
        raise RunnerError(f"--bench {bench}: not a regular expression: {error}") from None
    if bench.startswith("!"):
        return lambda name: not wanted.search(name)
    return lambda name: bool(wanted.search(name))
