"""A tree of asv results -> one RunReport per result file; what cannot be read is a Complaint, and the rest goes in.

    RESULTS/benchmarks.json    RESULTS/MACHINE/machine.json    RESULTS/MACHINE/HASH8-ENVIRONMENT.json

Streams: one file is in memory at a time. A file that is known by its content hash is not parsed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from perfsvc.errors import ResultFormatError
from perfsvc.formats import asv_file, asv_rows, asv_suite, json_text
from perfsvc.formats.asv_file import MACHINE_FIELDS, ResultFile
from perfsvc.formats.asv_suite import Suite
from perfsvc.formats.format import Known
from perfsvc.model import Benchmark, Commit, Complaint, Environment, Json, Measurement, RunReport, Skip, content_hash

MACHINE_FILE = "machine.json"
_NOT_RESULTS = frozenset({MACHINE_FILE, asv_suite.FILE, "asv.conf.json"})
_RESULT_NAME = re.compile(r"[0-9a-f]{6,64}-.+\.json")
_WHERE = ("", "results", ".asv/results")  # of a repository that one stands in, the folder that asv fills


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine's folder: its name, and what machine.json tells of it."""

    name: str
    facts: Json = field(default_factory=dict)
    complaints: tuple[Complaint, ...] = ()


@dataclass(frozen=True, slots=True)
class _Found:
    path: Path
    machine: Machine
    suite: Suite
    digest: bytes  #: the suite's, worked out once a tree

    def content_hash(self, data: bytes) -> str:
        return content_hash(data, self.digest, self.machine.name.encode())


def recognises(path: Path) -> bool:
    """Whether this is a JSON file, or a folder with asv results: in it, one below, or where asv puts a repository's."""
    return path.suffix == ".json" if path.is_file() else _root(path) is not None


def scan(path: Path) -> Iterator[tuple[Path, str]]:
    """Every result file with its content hash, without parsing it. Files that cannot be read are left to `read`."""
    for found in _files(path):
        if isinstance(found, Complaint):
            continue
        try:
            yield found.path, found.content_hash(json_text.read_bytes(found.path))
        except ResultFormatError:
            continue


def read(path: Path, known: Known = lambda _: False) -> Iterator[RunReport | Complaint]:
    """A report for each result file under `path` (a tree, a machine's folder, or one file) whose hash is not known."""
    for found in _files(path):
        if isinstance(found, Complaint):
            yield found
            continue
        try:
            data = json_text.read_bytes(found.path)
            if known(hashed := found.content_hash(data)):
                continue
            parsed = asv_file.parse(data, str(found.path), found.suite.params)
        except ResultFormatError as error:
            yield complaint(found.path, error)
            continue
        yield from parsed.complaints
        yield report(parsed, found.suite, found.machine, hashed)


def report(parsed: ResultFile, suite: Suite, machine: Machine, hashed: str) -> RunReport:
    """A parsed file as a run. The file's own word on its machine counts before the folder's."""
    told = {key: parsed.params[key] for key in MACHINE_FIELDS if key in parsed.params}
    name = parsed.machine or machine.name
    measurements: list[Measurement] = []
    skips: list[Skip] = []
    for benchmark, row in parsed.rows.items():
        for outcome in asv_rows.outcomes(benchmark, row):
            (measurements if isinstance(outcome, Measurement) else skips).append(outcome)  # type: ignore[arg-type]
    return RunReport(
        machine=name,
        env_name=parsed.env_name,
        commit=Commit(parsed.commit_hash, parsed.authored_at),
        content_hash=hashed,
        benchmarks=benchmarks(parsed, suite),
        measurements=tuple(measurements),
        skips=tuple(skips),
        environment=environment(parsed),
        started_at=parsed.started_at,
        duration=parsed.duration,
        machine_facts={**told, **(machine.facts if machine.name == name else {})},
    )


def benchmarks(parsed: ResultFile, suite: Suite) -> tuple[Benchmark, ...]:
    """The suite's descriptions of the file's benchmarks, in the version that the file was measured with."""
    made = []
    for name, row in parsed.rows.items():
        described = suite.benchmark(name)
        version = described.version if row.version is None else asv_suite.version_text(row.version)
        names = described.param_names if len(described.param_names) == len(row.params) else ()
        same = (version, names) == (described.version, described.param_names)
        made.append(described if same else replace(described, version=version, param_names=names))
    return tuple(made)


def environment(parsed: ResultFile) -> Environment:
    """asv writes what was ordered and, among `params`, what was found on the machine; both without its name."""
    found = {key: value for key, value in parsed.params.items() if key != "machine"}
    return Environment(lock=parsed.lock, fingerprint=found)


def read_machine(folder: Path) -> Machine:
    """A folder's machine.json, of which only the name is sure; where it is missing or broken, the folder's name."""
    path = folder / MACHINE_FILE
    if not path.exists():
        return Machine(folder.name)
    try:
        facts = json_text.strict(json_text.load_object(json_text.read_bytes(path), str(path)), str(path))
        name = facts.get("machine")
        if not isinstance(name, str) or not name:
            raise ResultFormatError(f"{path}: its machine is {json_text.brief(name)}; wanted a name")
    except ResultFormatError as error:
        return Machine(folder.name, complaints=(complaint(path, error),))
    return Machine(name, {key: value for key, value in facts.items() if key != "version"})


def complaint(path: Path, error: Exception) -> Complaint:
    """An error as a complaint: its message begins with the place, which the complaint has already."""
    return Complaint(str(path), str(error).removeprefix(f"{path}: "))


def _root(path: Path) -> Path | None:
    """Of a tree, its root; of a repository, the folder that asv fills."""
    for root in (path / below for below in _WHERE):
        names = _listed(root)
        below = (root / name for name in names if (root / name).is_dir())
        if asv_suite.FILE in names or _result_names(names) or any(_result_names(_listed(each)) for each in below):
            return root
    return None


def _listed(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir())
    except OSError:
        return []


def _result_names(names: Sequence[str]) -> list[str]:
    """Of a folder's names the result files: all JSON beside a machine.json, else what is named as asv names them."""
    found = sorted(name for name in names if name.endswith(".json") and name not in _NOT_RESULTS)
    return found if MACHINE_FILE in names else [name for name in found if _RESULT_NAME.fullmatch(name)]


def _files(path: Path) -> Iterator[_Found | Complaint]:
    """Every result file with its surroundings. benchmarks.json lies in the tree's root, or one folder above it."""
    root = path.parent if path.is_file() else _root(path)
    if root is None:
        raise ResultFormatError(
            f"{path}: holds no asv results; wanted {asv_suite.FILE}, or folders with {MACHINE_FILE}"
        )
    suite = _suite(root)
    yield from suite.complaints
    digest = suite.digest
    refused: list[OSError] = []
    empty = True
    for folder, names in [(root, [path.name])] if path.is_file() else _folders(root, refused):
        if names:
            empty = False
            machine = read_machine(folder)
            yield from machine.complaints
            yield from (_Found(folder / name, machine, suite, digest) for name in names)
    if empty:
        yield Complaint(str(root), "holds no result files; wanted folders of machines, as `asv run` fills them")
    yield from (Complaint(str(error.filename), f"cannot be read: {error.strerror}") for error in refused)


def _folders(root: Path, refused: list[OSError]) -> Iterator[tuple[Path, list[str]]]:
    for folder, below, names in os.walk(root, onerror=refused.append):
        below.sort()
        yield Path(folder), _result_names(names)


def _suite(root: Path) -> Suite:
    for path in (root / asv_suite.FILE, root.parent / asv_suite.FILE):
        if path.is_file():
            try:
                return asv_suite.read_suite(json_text.read_bytes(path), str(path))
            except ResultFormatError as error:
                return Suite(complaints=(complaint(path, error),))
    return Suite()
