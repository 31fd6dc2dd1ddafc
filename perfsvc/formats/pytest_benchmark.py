"""pytest-benchmark's JSON (`--benchmark-json`, or its storage folder), versions 3 to 5 -> one run a file.

A benchmark is a test without its brackets; its parameters are Python reprs, as asv's are. Times are seconds.
"""

from __future__ import annotations

from typing import Any

from perfsvc.errors import ResultFormatError
from perfsvc.formats import json_text
from perfsvc.formats.asv_rows import samples_of
from perfsvc.formats.cases import Cases, RunIdentity
from perfsvc.formats.naming import MAX_PARAMETERS
from perfsvc.formats.words import Words
from perfsvc.model import Commit, Complaint, Direction, Environment, Json, Measurement, Metric, RunReport, Skip

TIME = Metric("time", "seconds", Direction.LOWER)
_NOT_JSON = "UNSERIALIZABLE["  # how it writes a parameter that JSON lacks: by its repr, which may hold an address


def recognises(document: Any) -> bool:
    return isinstance(document, dict) and "machine_info" in document and isinstance(document.get("benchmarks"), list)


def read(data: bytes, place: str, run: RunIdentity) -> tuple[RunReport, list[Complaint]]:
    """The run of one file; `run` may name another machine or commit. Raises: ResultFormatError.

    What was measured with uncommitted changes is of no commit, and is refused unless `run` names one.
    """
    told = Words(json_text.load_object(data, place), place)
    machine = told.inner("machine_info")
    cases = Cases(place)
    for number, words in enumerate(told.objects("benchmarks")):
        try:
            _add(cases, Words(words, f"{place}: benchmark {number}"))
        except ResultFormatError as error:
            cases.complain(str(error).removeprefix(f"{place}: "))
    report = RunReport(
        machine=run.machine or machine.text("node", needed=True),
        env_name=run.env_name or _environment(machine),
        commit=run.commit or _commit(told),
        content_hash="",
        environment=Environment(fingerprint=_fingerprint(machine)),
        started_at=told.moment("datetime"),
        machine_facts=_facts(machine),
        **cases.content,
    )
    return report, cases.complaints


def _add(cases: Cases, told: Words) -> None:
    name = told.text("fullname") or told.text("name", needed=True)
    params = told.object("params")
    case = told.text("param")
    values: tuple[str, ...] = tuple(map(repr, params.values()))
    names = tuple(params)
    if any(isinstance(value, str) and value.startswith(_NOT_JSON) for value in params.values()):
        values, names = (case,), ()
    if len(values) > MAX_PARAMETERS:
        raise ResultFormatError(f"{told.place}: has {len(values)} parameters; at most {MAX_PARAMETERS} are read")
    stats = told.inner("stats")
    name = name.removesuffix(f"[{case}]") if params else name
    median = stats.real("median")
    if median is None:
        cases.add(Skip(name, values, "it has no median"), TIME, names)
        return
    kept = samples_of(stats.values("data"))
    cases.add(Measurement(name, values, median, stats.real("q1"), stats.real("q3"), (), kept), TIME, names)


def _commit(told: Words) -> Commit:
    commit = told.inner("commit_info")
    if commit.flag("dirty"):
        raise ResultFormatError(
            f"{told.place}: was measured with uncommitted changes; wanted a commit beside it (--commit)"
        )
    if not commit.text("id"):
        raise ResultFormatError(
            f"{told.place}: does not say which commit it is of; wanted a commit beside it (--commit)"
        )
    date = commit.moment("author_time") or commit.moment("time") or told.moment("datetime")
    if date is None:
        raise ResultFormatError(f"{told.place}: has no date; wanted the commit's or its own")
    return Commit(commit.hash("id"), date)


def _environment(machine: Words) -> str:
    """`CPython-3.11`: numbers of one minor version are comparable."""
    version = ".".join(machine.text("python_version").split(".")[:2])
    return "-".join(filter(None, (machine.text("python_implementation"), version)))


def _facts(machine: Words) -> Json:
    """What the machine is, in asv's words."""
    cpu = machine.inner("cpu")
    return {
        "os": f"{machine.text('system')} {machine.text('release')}".strip(),
        "arch": machine.text("machine"),
        "cpu": cpu.text("brand_raw") or cpu.text("brand"),  # as py-cpuinfo called it before its version 5
        "num_cpu": cpu.integer("count"),
    }


def _fingerprint(machine: Words) -> Json:
    return {**_facts(machine), "python": machine.text("python_version"), "build": machine.text("python_compiler")}
