"""One benchmark of an asv result file: a row of format 2, or one of the three shapes of format 1 -> its outcomes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from perfsvc.errors import ResultFormatError
from perfsvc.formats import json_text
from perfsvc.formats.asv_suite import ParameterLists, parameter_lists, version_text
from perfsvc.model import Measurement, Skip

FAILED = "asv reports that this benchmark failed"
SKIPPED = "skipped by the suite"
#: More parameter sets than anybody measures; a file that claims them is broken or hostile.
MAX_CASES = 100_000

# The columns of format 2 that are read, in the order of Row's fields.
_COLUMNS = ("params", "result", "version", "started_at", "duration", "stats_q_25", "stats_q_75", "samples")


@dataclass(frozen=True, slots=True)
class Row:
    """One benchmark of a file. Each list runs over the product of the parameters; None stands for a list of nulls."""

    params: ParameterLists
    values: Sequence[Any] | None
    version: str | None = None
    started_at: Any = None  #: milliseconds
    duration: Any = None  #: seconds, with the start of the process
    q25: Sequence[Any] | None = None
    q75: Sequence[Any] | None = None
    samples: Sequence[Any] | None = None


def outcomes(name: str, row: Row) -> Iterator[Measurement | Skip]:
    """What a row holds, case by case: a measurement, or a skip with its reason."""
    cases = parameter_sets(row.params)
    nothing = (None,) * len(cases)
    columns = (column or nothing for column in (row.values, row.q25, row.q75, row.samples))
    for params, value, q25, q75, samples in zip(cases, *columns, strict=True):
        if (number := finite(value)) is None:
            yield Skip(name, params, _reason(value))
        else:
            kept = samples_of(samples) if samples else ()
            yield Measurement(name, params, number, finite(q25), finite(q75), (), kept)


def finite(value: Any) -> float | None:
    """A number that a database and a plot can hold, or None. Truth values count as 0 and 1, as for asv."""
    if type(value) is float:
        return value if math.isfinite(value) else None
    # Beyond 2**1023 a Python integer has no float.
    return float(value) if isinstance(value, int) and value.bit_length() < 1024 else None


@lru_cache(maxsize=1024)
def parameter_sets(params: ParameterLists) -> tuple[tuple[str, ...], ...]:
    """Every combination, in asv's order. Kept, because the files of a tree repeat them."""
    return tuple(itertools.product(*params))


def column_row(words: Any, found: Mapping[str, Any]) -> Row:
    """Format 2: a list aligned with `result_columns`, trailing nulls cut."""
    columns = found.get("result_columns")
    if not isinstance(columns, list) or not isinstance(words, list):
        raise ResultFormatError(
            f"is {json_text.kind(words)} beside {json_text.kind(columns)} of columns; wanted two lists"
        )
    if len(words) > len(columns):
        raise ResultFormatError(f"has {len(words)} values for {len(columns)} columns")
    padded = words + [None] * (len(columns) - len(words))
    params, *others = (padded[columns.index(name)] if name in columns else None for name in _COLUMNS)
    return _checked(Row(parameter_lists(params), *others))


def keyed_row(name: str, words: Any, found: Mapping[str, Any], known: Mapping[str, ParameterLists]) -> Row:
    """Format 1: a bare value, a bare list over the suite's parameters, or an object that holds its own parameters."""
    row = words if isinstance(words, dict) else {"result": words}
    if "result" not in row:
        raise ResultFormatError(f"is {json_text.brief(words)}; wanted a result in it")
    params, values = parameter_lists(row.get("params")), row.get("result")
    if isinstance(words, list):
        params = known.get(name, ())
    stats = row.get("stats")
    stats = [stats] if isinstance(stats, dict) else stats
    made = Row(
        params=params,
        values=values if isinstance(values, list) or params else [values],
        version=_entry(found, "benchmark_version", name),
        started_at=_entry(found, "started_at", name),
        duration=_seconds(found, name),
        q25=_statistic(stats, "q_25"),
        q75=_statistic(stats, "q_75"),
        samples=_nested(row.get("samples")),
    )
    return _checked(made)


def _checked(row: Row) -> Row:
    if (cases := math.prod(map(len, row.params))) > MAX_CASES:
        raise ResultFormatError(f"has {cases:,} parameter sets; at most {MAX_CASES:,} are read")
    version_text(row.version)
    columns = {"values": row.values, "first quartiles": row.q25, "third quartiles": row.q75, "samples": row.samples}
    for what, column in columns.items():
        if column is None:
            continue
        if not isinstance(column, list):
            raise ResultFormatError(f"its {what} are {json_text.brief(column)}; wanted a list or null")
        if len(column) != cases:
            raise ResultFormatError(f"has {len(column)} {what} for {cases} parameter sets")
    return row


def _reason(value: Any) -> str:
    if value is None:
        return FAILED
    if isinstance(value, float) and math.isnan(value):
        return SKIPPED
    wanted = "a finite number" if isinstance(value, int | float) else "a number"
    return f"the suite reported {json_text.brief(value)}, not {wanted}"


def samples_of(samples: Any) -> tuple[float, ...]:
    """The numbers of a list of samples; what is none is left out."""
    if not isinstance(samples, list):
        return ()
    try:
        if math.isfinite(math.fsum(samples)):  # all of them are numbers, as they nearly always are
            return tuple(map(float, samples))
    except (TypeError, OverflowError):
        pass
    return tuple([float(sample) for sample in samples if finite(sample) is not None])


def _entry(found: Mapping[str, Any], key: str, name: str) -> Any:
    entries = found.get(key)
    return entries.get(name) if isinstance(entries, dict) else None


def _seconds(found: Mapping[str, Any], name: str) -> Any:
    if (told := _entry(found, "duration", name)) is not None:
        return told
    start, end = finite(_entry(found, "started_at", name)), finite(_entry(found, "ended_at", name))
    return None if start is None or end is None else (end - start) / 1000


def _statistic(stats: Any, key: str) -> list[Any] | None:
    """One statistic of every case, where the case has any."""
    if not isinstance(stats, list):
        return None
    return [each.get(key) if isinstance(each, dict) else None for each in stats]


def _nested(samples: Any) -> list[Any] | None:
    """Samples case by case; the oldest files have them of the only case, bare."""
    if not isinstance(samples, list):
        return None
    return [samples] if samples and all(finite(each) is not None for each in samples) else samples
