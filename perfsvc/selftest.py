"""Plant known slowdowns and known errors in a copy of a project, and see whether the real way finds them.

A mutant is a TOML file: what it does in a sentence, and edits (file, find, replace); `find` must occur exactly once.
`python -m perfsvc.selftest demo` makes a throwaway history with one of each, measures it and shows it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perfsvc import git
from perfsvc.errors import PerfsvcError, ResultFormatError

#: Commits of the demo, oldest first; the names are mutants, the others change nothing that is measured.
DEMO = ("", "", "", "", "", "mask_not_cached", "", "", "mask_leaks", "")
DEMO_BENCH = "^(forward|components|counters.Forward|memory.Forward)"

_IDENTITY = {"GIT_AUTHOR_NAME": "perfsvc demo", "GIT_AUTHOR_EMAIL": "demo@localhost"}
_IDENTITY |= {name.replace("AUTHOR", "COMMITTER"): value for name, value in _IDENTITY.items()}


@dataclass(frozen=True, slots=True)
class Edit:
    file: str
    find: str
    replace: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """A small patch that makes a project slower or wrong in a known way."""

    name: str
    sentence: str
    subject: str  #: of its commit; says no more than a hurried author would
    kind: str  #: "performance" or "correctness"
    noticed_by: tuple[str, ...]
    edits: tuple[Edit, ...]

    def plant(self, tree: Path) -> None:
        """Raises: ResultFormatError when an edit does not fit the tree."""
        for edit in self.edits:
            path = tree / edit.file
            text = path.read_text(encoding="utf-8") if path.is_file() else ""
            if text.count(edit.find) != 1:
                found = f"{text.count(edit.find)} times" if path.is_file() else "no such file"
                raise ResultFormatError(f"mutant {self.name}: {edit.file}: {edit.find!r} wanted once, met {found}")
            path.write_text(text.replace(edit.find, edit.replace), encoding="utf-8")


def read_mutants(folder: Path) -> dict[str, Mutant]:
    """Every mutant of a folder by name. Raises: ResultFormatError naming the file."""
    return {path.stem: _read(path) for path in sorted(folder.glob("*.toml"))}


def _read(path: Path) -> Mutant:
    try:
        told: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        edits = tuple(Edit(**edit) for edit in told.pop("edit"))
        return Mutant(path.stem, edits=edits, noticed_by=tuple(told.pop("noticed_by")), **told)
    except (tomllib.TOMLDecodeError, TypeError, KeyError) as error:
        raise ResultFormatError(f"{path}: not a mutant: {error!r}") from None


def plant_history(source: Path, target: Path, plan: Sequence[str], mutants: dict[str, Mutant]) -> list[str]:
    """Make `target` a repository with a commit for each step of `plan`, from `source`'s committed state. Their hashes.

    A step is a mutant's name, or "" for a commit that changes nothing that is measured.
    """
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    _git(target, "init", "--quiet", "--initial-branch=main")
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=source, check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x"], cwd=target, input=archive, check=True)
    hashes = []
    for number, name in enumerate(plan):
        if name:
            mutants[name].plant(target)
        else:
            with (target / "NOTES").open("a", encoding="utf-8") as notes:
                notes.write(f"note {number}\n")
        _git(target, "add", "--all", "--force")
        subject = mutants[name].subject if name else f"notes: line {number}"
        _git(target, "commit", "--quiet", "--no-verify", "-m", subject, at=1_700_000_000 + 3600 * number)
        hashes.append(git.resolve(target, "HEAD"))
    return hashes


def _git(folder: Path, *arguments: str, at: int | None = None) -> None:
    dates = {} if at is None else dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), f"{at} +0000")
    command = ["git", "-c", "commit.gpgsign=false", *arguments]
    subprocess.run(command, cwd=folder, check=True, env={**os.environ, **_IDENTITY, **dates})


def demo(source: Path, mutants: Path, folder: Path) -> int:
    """Plant, measure, say what was found, and show it in the browser until Ctrl-C."""
    repository, home = folder / "repository", folder / "home"
    shutil.rmtree(home, ignore_errors=True)
    planted = read_mutants(mutants)
    hashes = plant_history(source, repository, DEMO, planted)
    environment = {
        **os.environ,
        "PERFSVC_HOME": str(home),
        "PERFSVC_ENVIRONMENT__PYTHON": sys.executable,  # torch is here already
    }
    environment.pop("PERFSVC_DATABASE_URL", None)
    for name, hash_ in zip(DEMO, hashes, strict=True):
        if name:
            print(f"planted {hash_[:8]} {planted[name].kind}: {planted[name].sentence}", flush=True)
    perfsvc = [sys.executable, "-m", "perfsvc"]
    for hash_ in hashes:  # one at a time and oldest first, as nights would
        command = [*perfsvc, "measure", "--commits", hash_, "--bench", DEMO_BENCH]
        if subprocess.run(command, cwd=repository, env=environment).returncode not in (0, 1):
            return 3
    print("\nwhat the service says:", flush=True)
    subprocess.run([*perfsvc, "alerts"], cwd=repository, env=environment)
    subprocess.run([*perfsvc, "guards", "--failed"], cwd=repository, env=environment)
    return subprocess.run([*perfsvc, "up", "--last", "0"], cwd=repository, env=environment).returncode


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m perfsvc.selftest", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    shown = commands.add_parser(
        "demo", help="a throwaway history with a slowdown and a wrong result, measured for real"
    )
    shown.add_argument("--mutants", type=Path, required=True, help="folder of mutants")
    shown.add_argument("--folder", type=Path, required=True, help="where the history and its measurements go")
    chosen = parser.parse_args()
    try:
        sys.exit(demo(git.repository_root(Path.cwd()), chosen.mutants.resolve(), chosen.folder.resolve()))
    except PerfsvcError as error:
        sys.exit(f"perfsvc: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
