"""One asv result file, of format 2 (since 2019) or 1: bytes in, its commit, its environment and its rows out."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from perfsvc.errors import ResultFormatError
from perfsvc.formats import json_text
from perfsvc.formats.asv_rows import Row, column_row, finite, keyed_row
from perfsvc.formats.asv_suite import ParameterLists
from perfsvc.model import Complaint

VERSIONS = (1, 2)
#: asv.machine's fields: what a machine is, beside what was installed on it.
MACHINE_FIELDS = ("machine", "os", "arch", "cpu", "num_cpu", "ram")

_CENTURY = 3.2e9  # seconds: what takes longer was not measured, and must not spoil a sum
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HASH = re.compile(r"[0-9a-fA-F]{6,64}")
_NEEDED = ("commit_hash", "date", "results")


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
        told = [seconds for row in self.rows.values() if (seconds := finite(row.duration)) is not None]
        return math.fsum(min(seconds, _CENTURY) for seconds in told) if told else None


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
            rows[name] = column_row(words, found) if version == 2 else keyed_row(name, words, found, known_params or {})
        except ResultFormatError as error:
            complaints.append(Complaint(place, f"{name}: {error}"))
    lock = {key: found[key] for key in ("python", "requirements", "env_vars") if found.get(key)}
    return ResultFile(
        commit_hash=_hash(found, place),
        authored_at=_date(found, place),
        env_name=_env_name(found),
        params=_strict_object(found.get("params"), place),
        lock=_strict_object(lock, place),
        rows=rows,
        complaints=tuple(complaints),
    )


def _object(found: Mapping[str, Any], key: str, place: str) -> Mapping[str, Any]:
    value = found[key]
    if not isinstance(value, dict):
        raise ResultFormatError(f"{place}: its {key} are {json_text.kind(value)}; wanted an object")
    return value


def _strict_object(value: Any, place: str) -> Mapping[str, Any]:
    cleaned = json_text.strict(value, place)
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
    if finite(milliseconds) is None or isinstance(milliseconds, bool):
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
    python = found.get("python")
    parts = [("py", python), *installed]
    return "-".join(f"{name}{version if isinstance(version, str) else ''}" for name, version in parts)
