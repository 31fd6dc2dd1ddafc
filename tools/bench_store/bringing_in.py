"""Bring a made-up tree in with the command line, and judge it; beside what asv takes to publish it."""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tools.bench_store.databases import Database
from tools.bench_store.table import Table
from tools.bench_store.tree import Tree

BIN = Path(sys.executable).parent

#: What a command may end with: 1 says that regressions were found.
GOOD = (0, 1)


@dataclass(frozen=True, slots=True)
class Ran:
    seconds: float
    peak: float  #: megabytes


def publish(made: Tree) -> float:
    """Seconds."""
    return _timed([str(BIN / "asv"), "publish", "--no-pull"], made.folder, {}).seconds


def cold(table: Table, made: Tree, database: Database, published: float | None) -> None:
    """An empty database, and the whole tree."""
    ingested = _perfsvc(made, database, "ingest", "results")
    judged = _perfsvc(made, database, "process")
    again = _perfsvc(made, database, "ingest", "results")
    table.keep("ingest", database.system, made.points / ingested.seconds)
    table.keep("ingest, peak memory", database.system, ingested.peak)
    table.keep("second ingest of the same tree", database.system, ingested.seconds / again.seconds)
    if published:
        taken = ingested.seconds + judged.seconds
        table.keep("tree to regressions, against asv publish", database.system, published / taken)


def night(table: Table, made: Tree, database: Database, published: float | None) -> None:
    """A night more on every machine."""
    taken = _perfsvc(made, database, "ingest", "results").seconds + _perfsvc(made, database, "process").seconds
    if published:
        table.keep("one night more, against asv publish", database.system, published / taken)


def _perfsvc(made: Tree, database: Database, *arguments: str) -> Ran:
    with tempfile.TemporaryDirectory() as home:
        return _timed(
            [str(BIN / "perfsvc"), *arguments],
            made.folder,
            {"PERFSVC_DATABASE_URL": database.url, "PERFSVC_HOME": home},
        )


def _timed(command: list[str], folder: Path, environment: dict[str, str]) -> Ran:
    """Run to the end. Raises: RuntimeError with what it said when it fails."""
    with tempfile.TemporaryFile("w+") as said:
        begun = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env=os.environ | environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said
        )
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        if process.returncode not in GOOD:
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {said.read()[-2000:]}")
    in_megabyte = 1e6 if sys.platform == "darwin" else 1e6 / 1024  # of bytes, or of kibibytes
    return Ran(seconds, used.ru_maxrss / in_megabyte)
