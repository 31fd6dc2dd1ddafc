"""One asv result file: bytes in, rows out. Format 2 (columns, since 2019) and the three shapes of format 1."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from perfsvc.errors import ResultFormatError
from perfsvc.formats import json_text
from perfsvc.formats.asv_suite import ParameterLists, parameter_lists
from perfsvc.model import Complaint, Measurement, Skip

VERSIONS = (1, 2)
FAILED = "asv reports that this benchmark failed"
SKIPPED = "skipped by the suite"
#: asv.machine's fields: what a machine is, beside what was installed on it.
MACHINE_FIELDS = ("machine", "os", "arch", "cpu", "num_cpu", "ram")
#: More parameter sets than anybody measures; a file that claims them is broken or hostile.
MAX_CASES = 100_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HASH = re.compile(r"[0-9a-fA-F]{6,64}")
# The columns of format 2 that are read, in the order of Row's fields.
_COLUMNS = ("params", "result", "version", "started_at", "duration", "stats_q_25", "stats_q_75", "samples")
_NEEDED = ("commit_hash", "date", "results")


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


@dataclass(frozen=True, slots=True)
class ResultFile:
    """A result file, whatever its format was. `complaints` are the benchmarks that make no sense; `rows` the others."""

    commit_hash: str
    authored_at: datetime
    env_name: str
    params: Mapping[str, Any]  #: the machine's fields and what was installed
    lock: Mapping[str, Any]  #: python, requirements, env_vars: what was ordered
    rows: Mapping[str, Row]
    complaints: tuple[Complaint, ...] = ()

    @property
    def machine(self) -> str:
        """The machine's name as the file tells it, or nothing."""
        name = self.params.get("machine")
        return name if isinstance(name, str) else ""

    @property
    def started_at(self) -> datetime | None:
        """When the first of its benchmarks was started."""
        told = [row.started_at for row in self.rows.values()]
        return min(filter(None, map(_moment, told)), default=None)

    @property
    def duration(self) -> float | None:
        """Seconds that its benchmarks took together, where asv kept them."""
        told = [row.duration for row in self.rows.values() if is_number(row.duration)]
        return math.fsum(told) if told else None


def parse(data: bytes, place: str, known_params: Mapping[str, ParameterLists] | None = None) -> ResultFile:
    """Read the bytes of a result file. `known_params`: the suite's, for bare lists of format 1, which lack their own.

    Raises: ResultFormatError when the file as a whole makes no sense; a bad benchmark is one of its complaints.
    """
    found = json_text.load_object(data, place)
    missing = [key for key in _NEEDED if key not in found]
    if missing:
        raise ResultFormatError(f"{place}: has no {', '.join(missing)}; wanted a result file of asv")
    version = found.get("version")
    if version not in VERSIONS:
        raise ResultFormatError(f"{place}: has format {json_text.brief(version)}; wanted 1 or 2")
    rows, complaints = {}, []
    for name, words in _object(found, "results", place).items():
        try:
            row = _column_row(words, found) if version == 2 else _keyed_row(name, words, found, known_params or {})
            _check(row)
            rows[name] = row
        except ResultFormatError as error:
            complaints.append(Complaint(place, f"{name}: {error}"))
    lock = {key: found[key] for key in ("python", "requirements", "env_vars") if found.get(key)}
    return ResultFile(
        commit_hash=_hash(found, place),
        authored_at=_date(found, place),
        env_name=_env_name(found),
        params=_strict_object(found.get("params")),
        lock=_strict_object(lock),
        rows=rows,
        complaints=tuple(complaints),
    )


def outcomes(name: str, row: Row) -> Iterator[Measurement | Skip]:
    """What a row holds, case by case: a measurement, or a skip with its reason."""
    cases = parameter_sets(row.params)
    nothing = (None,) * len(cases)
    columns = (column or nothing for column in (row.values, row.q25, row.q75, row.samples))
    for params, value, q25, q75, samples in zip(cases, *columns, strict=True):
        if not is_number(value):
            yield Skip(name, params, _reason(value))
        else:
            yield Measurement(
                benchmark=name,
                params=params,
                value=float(value),
                q25=float(q25) if is_number(q25) else None,
                q75=float(q75) if is_number(q75) else None,
                samples=_samples(samples),
            )


def is_number(value: Any) -> bool:
    """Whether a database and a plot can hold it: a finite number. Truth values count as 0 and 1, as for asv."""
    if type(value) is float:
        return math.isfinite(value)
    # Beyond 2**1023 a Python integer has no float.
    return isinstance(value, int) and value.bit_length() < 1024


@lru_cache(maxsize=4096)
def parameter_sets(params: ParameterLists) -> tuple[tuple[str, ...], ...]:
    """Every combination, in asv's order. Kept, because the files of a tree repeat them."""
    return tuple(itertools.product(*params))


def _column_row(words: Any, found: Mapping[str, Any]) -> Row:
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
    return Row(parameter_lists(params), *others)


def _keyed_row(name: str, words: Any, found: Mapping[str, Any], known: Mapping[str, ParameterLists]) -> Row:
    """Format 1: a bare value, a bare list over the suite's parameters, or an object that holds its own parameters."""
    row = words if isinstance(words, dict) else {"result": words, "params": None}
    params, values = parameter_lists(row.get("params")), row.get("result")
    if isinstance(words, list):
        params = known.get(name, ())
    stats = _listed(row.get("stats"), of=dict)
    return Row(
        params=params,
        values=values if isinstance(values, list) or params else [values],
        version=_entry(found, "benchmark_version", name),
        started_at=_entry(found, "started_at", name),
        duration=_seconds(found, name),
        q25=stats and [each.get("q_25") if isinstance(each, dict) else None for each in stats],
        q75=stats and [each.get("q_75") if isinstance(each, dict) else None for each in stats],
        samples=_nested(row.get("samples")),
    )


def _check(row: Row) -> None:
    if (cases := math.prod(map(len, row.params))) > MAX_CASES:
        raise ResultFormatError(f"has {cases:,} parameter sets; at most {MAX_CASES:,} are read")
    columns = {"values": row.values, "first quartiles": row.q25, "third quartiles": row.q75, "samples": row.samples}
    for what, column in columns.items():
        if column is None:
            continue
        if not isinstance(column, list):
            raise ResultFormatError(f"its {what} are {json_text.brief(column)}; wanted a list or null")
        if len(column) != cases:
            raise ResultFormatError(f"has {len(column)} {what} for {cases} parameter sets")


def _reason(value: Any) -> str:
    if value is None:
        return FAILED
    if isinstance(value, float) and math.isnan(value):
        return SKIPPED
    if isinstance(value, int | float):
        return (
            f"the suite reported {json_text.brief(float('inf') if value > 0 else float('-inf'))}, not a finite number"
        )
    return f"the suite reported {json_text.kind(value)}, not a number: {json_text.brief(value)}"


def _samples(samples: Any) -> tuple[float, ...]:
    if not isinstance(samples, list):
        return ()
    try:
        if math.isfinite(math.fsum(samples)):  # all of them are numbers, as they nearly always are
            return tuple(map(float, samples))
    except (TypeError, OverflowError):
        pass
    return tuple([float(sample) for sample in samples if is_number(sample)])


def _object(found: Mapping[str, Any], key: str, place: str) -> Mapping[str, Any]:
    value = found[key]
    if not isinstance(value, dict):
        raise ResultFormatError(f"{place}: its {key} are {json_text.kind(value)}; wanted an object")
    return value


def _strict_object(value: Any) -> Mapping[str, Any]:
    cleaned = json_text.strict(value)
    return cleaned if isinstance(cleaned, dict) else {}


def _hash(found: Mapping[str, Any], place: str) -> str:
    value = found["commit_hash"]
    if not isinstance(value, str) or not _HASH.fullmatch(value):
        raise ResultFormatError(f"{place}: its commit_hash is {json_text.brief(value)}; wanted a hash in hexadecimal")
    return value.lower()


def _date(found: Mapping[str, Any], place: str) -> datetime:
    if (date := _moment(found["date"])) is None:
        raise ResultFormatError(
            f"{place}: its date is {json_text.brief(found['date'])}; wanted milliseconds since 1970"
        )
    return date


def _moment(milliseconds: Any) -> datetime | None:
    if not is_number(milliseconds) or isinstance(milliseconds, bool):
        return None
    try:
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return None


def _env_name(found: Mapping[str, Any]) -> str:
    """asv's name of the environment; the oldest files lack it, and it is put together as asv did."""
    told = found.get("env_name")
    if isinstance(told, str):
        return told
    requirements = found.get("requirements")
    installed = sorted(requirements.items()) if isinstance(requirements, dict) else []
    return "-".join([f"py{found.get('python', '')}", *(f"{name}{version or ''}" for name, version in installed)])


def _entry(found: Mapping[str, Any], key: str, name: str) -> Any:
    entries = found.get(key)
    return entries.get(name) if isinstance(entries, dict) else None


def _seconds(found: Mapping[str, Any], name: str) -> Any:
    if (told := _entry(found, "duration", name)) is not None:
        return told
    start, end = _entry(found, "started_at", name), _entry(found, "ended_at", name)
    return (end - start) / 1000 if is_number(start) and is_number(end) else None


def _listed(value: Any, *, of: type) -> list[Any] | None:
    """A list, or the single thing that stood in for a list of one."""
    return [value] if isinstance(value, of) else value if isinstance(value, list) else None


def _nested(samples: Any) -> list[Any] | None:
    if not isinstance(samples, list):
        return None
    return [samples] if samples and all(map(is_number, samples)) else samples
