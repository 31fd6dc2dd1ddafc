"""Formats of one file a run: what says little of the run it is of, and is told the rest."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from perfsvc.errors import ResultFormatError
from perfsvc.formats import asv_results, json_text
from perfsvc.formats.cases import RunIdentity
from perfsvc.formats.facts import read_facts
from perfsvc.formats.format import Format, Known, Reports
from perfsvc.formats.junit import read_guards
from perfsvc.model import Complaint, RunReport, content_hash

FileReader = Callable[[bytes, str, RunIdentity], tuple[RunReport, list[Complaint]]]


def of_files(name: str, holds: str, recognises: Callable[[Any], bool], reader: FileReader) -> Format:
    """A format of JSON that is known by its content: a folder by its first file, and of it all that are of its kind."""

    def recognise(path: Path) -> bool:
        first = next(_json_files(path), None)
        return first is not None and is_one_of(first, recognises)

    def read_files(path: Path, known: Known, run: RunIdentity) -> Reports:
        for file in _json_files(path):
            if path.is_file() or is_one_of(file, recognises):
                yield from _read_file(file, known, run, reader)

    return Format(name, holds, recognise, read_files, foreign=True, one_file=True)


def _read_file(file: Path, known: Known, run: RunIdentity, reader: FileReader) -> Reports:
    try:
        data = json_text.read_bytes(file)
        if known(hashed := _hash(data, run)):
            return
        report, complaints = reader(data, str(file), run)
    except ResultFormatError as error:
        yield asv_results.complaint(file, error)
        return
    yield from complaints
    yield replace(report, content_hash=hashed)


def _json_files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    for folder, below, names in os.walk(path):
        below.sort()
        yield from (Path(folder) / name for name in sorted(names) if name.endswith(".json"))


def is_one_of(file: Path, *recognises: Callable[[Any], bool]) -> bool:
    """Whether a file's content is of one of these kinds."""
    try:
        document = json_text.load(json_text.read_bytes(file), str(file))
    except ResultFormatError:
        return False
    return any(known(document) for known in recognises)


def read_guard_file(path: Path, known: Known, run: RunIdentity) -> Reports:
    data = json_text.read_bytes(path)
    report = _bare(path, run)
    if not known(hashed := _hash(data, run)):
        yield replace(report, content_hash=hashed, guards=read_guards(data, str(path)))


def read_facts_file(path: Path, known: Known, run: RunIdentity) -> Reports:
    data = json_text.read_bytes(path)
    report = _bare(path, run)
    if not known(hashed := _hash(data, run)):
        facts, complaints = read_facts(data, str(path))
        yield replace(report, content_hash=hashed, facts=tuple(fact for fact in facts if not fact.reason))
        yield from complaints


def _bare(path: Path, run: RunIdentity) -> RunReport:
    return RunReport(run.needed_machine(str(path)), run.env_name, run.needed_commit(str(path)), "")


def _hash(data: bytes, run: RunIdentity) -> str:
    commit = run.commit.hash if run.commit else ""
    return content_hash(data, run.machine.encode(), run.env_name.encode(), commit.encode())
