"""What other programs write -> RunReport. `read` finds out what a path is; the table names every format it knows."""

from __future__ import annotations

from pathlib import Path

from perfsvc.errors import ResultFormatError
from perfsvc.formats import asv_results, bencher, bundle, google_benchmark, pytest_benchmark
from perfsvc.formats.asv_results import scan
from perfsvc.formats.cases import UNTOLD, RunIdentity
from perfsvc.formats.format import Format, Known, Reports
from perfsvc.formats.manifest import Manifest, read_manifest, write_manifest
from perfsvc.formats.naming import AS_TOLD, Naming
from perfsvc.formats.one_file import is_one_of, of_files, read_facts_file, read_guard_file
from perfsvc.model import Complaint

__all__ = [
    "FOREIGN",
    "FORMATS",
    "SELF_TOLD",
    "UNTOLD",
    "Format",
    "Manifest",
    "Naming",
    "Reports",
    "RunIdentity",
    "detect_format",
    "read",
    "read_manifest",
    "scan",
    "write_manifest",
]


def read(
    path: Path,
    format: str = "auto",
    *,
    known: Known = lambda _: False,
    run: RunIdentity = UNTOLD,
    naming: Naming | None = AS_TOLD,
) -> Reports:
    """Every run that a path holds, one at a time, and a complaint for each thing that could not be read.

    `known` tells of a content hash whether it is in the store: such a run is passed over before it is parsed.
    `run` says of a file that does not say so itself which run it is of. `naming`: under which names it is kept;
    None: as it is read, for whoever names it later.
    Raises: ResultFormatError when nothing under this path can be read as results.
    """
    found = _named(path, format)
    if not found.foreign or naming is None:
        return found.read(path, known, run)
    return _under_names(found, path, known, run, naming)


def detect_format(path: Path, format: str = "auto") -> str:
    """The name of the format that a path is in, or is said to be. Raises: ResultFormatError naming what is known."""
    return _named(path, format).name


def _under_names(found: Format, path: Path, known: Known, run: RunIdentity, naming: Naming) -> Reports:
    for each in found.read(path, lambda content: known(naming.hashed(content)), run):
        if isinstance(each, Complaint):
            yield each
        else:
            yield from naming.named(each)


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


def _is_asv(path: Path) -> bool:
    """A folder is known by its files' names; a file is asv's unless its content is another's."""
    others = bencher.recognises, google_benchmark.recognises, pytest_benchmark.recognises
    return asv_results.recognises(path) and not (path.is_file() and is_one_of(path, *others))


#: In the order in which a path is tried.
FORMATS = (
    Format("bundle", "a runner's folder with bundle.json", bundle.is_bundle, lambda p, known, _: bundle.read(p, known)),
    Format(
        "asv",
        "a result tree or a result file",
        _is_asv,
        lambda p, known, _: asv_results.read(p, known),
        foreign=True,
    ),
    of_files(
        "pytest-benchmark",
        "its JSON or its storage folder",
        pytest_benchmark.recognises,
        pytest_benchmark.read,
    ),
    of_files("google-benchmark", "its JSON", google_benchmark.recognises, google_benchmark.read),
    of_files("bencher", "JSON in Bencher Metric Format", bencher.recognises, bencher.read),
    Format(
        "junit",
        "JUnit XML of guards",
        lambda path: path.is_file() and path.suffix == ".xml",
        read_guard_file,
        one_file=True,
    ),
    Format(
        "facts",
        "facts.jsonl of a suite",
        lambda path: path.is_file() and path.suffix == ".jsonl",
        read_facts_file,
        one_file=True,
    ),
)

#: Formats of others: perfsvc.toml has a say in their names.
FOREIGN = frozenset(each.name for each in FORMATS if each.foreign)

#: Formats whose files say themselves which run they are of.
SELF_TOLD = frozenset(each.name for each in FORMATS if not each.one_file)
