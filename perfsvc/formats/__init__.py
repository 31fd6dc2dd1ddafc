"""What other programs write -> RunReport. `read` finds out what a path is; the table names every format it knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from perfsvc.errors import ResultFormatError
from perfsvc.formats import asv_results, bundle, json_text
from perfsvc.formats.asv_results import scan
from perfsvc.formats.facts import read_facts
from perfsvc.formats.junit import read_guards
from perfsvc.formats.manifest import Manifest, read_manifest, write_manifest
from perfsvc.model import Complaint, RunReport, content_hash

__all__ = ["FORMATS", "Format", "Manifest", "detect_format", "read", "read_manifest", "scan", "write_manifest"]

Known = Callable[[str], bool]
Reports = Iterator[RunReport | Complaint]


@dataclass(frozen=True, slots=True)
class Format:
    """A way in which results are written: how to recognise it, and how to read it."""

    name: str
    holds: str  #: for messages: what such a path is
    recognise: Callable[[Path], bool]
    read: Callable[[Path, Known, RunReport | None], Reports]


def read(path: Path, format: str = "auto", *, known: Known = lambda _: False, run: RunReport | None = None) -> Reports:
    """Every run that a path holds, one at a time, and a complaint for each thing that could not be read.

    `known` tells of a content hash whether it is in the store: such a run is passed over before it is parsed.
    `run` says which run (machine, env_name, commit) a lone JUnit or facts file is of: it does not say so itself.
    Raises: ResultFormatError when nothing under this path can be read as results.
    """
    return _named(path, format).read(path, known, run)


def detect_format(path: Path) -> str:
    """The name of the format that a path is in. Raises: ResultFormatError naming what would be read."""
    return _named(path, "auto").name


def _named(path: Path, name: str) -> Format:
    if not path.exists():
        raise ResultFormatError(f"{path}: there is nothing of that name")
    for format in FORMATS:
        if format.name == name or (name == "auto" and format.recognise(path)):
            return format
    if name != "auto":
        raise ResultFormatError(f"{name!r} is no format; wanted auto, {', '.join(each.name for each in FORMATS)}")
    wanted = "; ".join(f"{each.name}, {each.holds}" for each in FORMATS)
    raise ResultFormatError(f"{path}: is not in a format that is known here: {wanted}")


def _guards(path: Path, known: Known, run: RunReport | None) -> Reports:
    data = json_text.read_bytes(path)
    if not known(hashed := _hash(data, path, run)) and run is not None:
        yield replace(run, content_hash=hashed, guards=read_guards(data, str(path)))


def _facts(path: Path, known: Known, run: RunReport | None) -> Reports:
    data = json_text.read_bytes(path)
    if not known(hashed := _hash(data, path, run)) and run is not None:
        facts, complaints = read_facts(data, str(path))
        yield replace(run, content_hash=hashed, facts=facts)
        yield from complaints


def _hash(data: bytes, path: Path, run: RunReport | None) -> str:
    if run is None:
        raise ResultFormatError(f"{path}: does not say which run it is of; wanted the machine and the commit beside it")
    return content_hash(data, run.machine.encode(), run.env_name.encode(), run.commit.hash.encode())


#: In the order in which a path is tried.
FORMATS = (
    Format("bundle", "a runner's folder with bundle.json", bundle.is_bundle, lambda p, known, _: bundle.read(p, known)),
    Format(
        "asv", "a result tree or a result file", asv_results.recognises, lambda p, known, _: asv_results.read(p, known)
    ),
    Format("junit", "JUnit XML of guards", lambda path: path.is_file() and path.suffix == ".xml", _guards),
    Format("facts", "facts.jsonl of a suite", lambda path: path.is_file() and path.suffix == ".jsonl", _facts),
)
