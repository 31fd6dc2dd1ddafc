"""Plant known slowdowns and known errors in a copy of a project, and see whether the real way finds them.

A mutant is a TOML file: what it does in a sentence, and edits (file, find, replace); `find` must occur exactly once.
`python -m perfsvc.selftest demo` makes a throwaway history with one of each, measures it and shows it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perfsvc import doctoring, git
from perfsvc.errors import GitError, PerfsvcError, ResultFormatError
from perfsvc.runner.locks import held
from perfsvc.settings import Settings

#: Commits of the demo, oldest first; the names are mutants, the others change nothing that is measured.
DEMO = ("", "", "", "", "", "mask_not_cached", "", "", "mask_leaks", "")
#: What shows them: ten commits are to be measured while somebody waits.
DEMO_BENCH = r"^(forward\.Forward|components\.Mask|counters\.Forward|memory\.Forward)\."
DEMO_GUARDS = "test_g1_ or test_g4_ or test_g6_ or test_g7_"

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
            if not path.resolve().is_relative_to(tree.resolve()):
                raise ResultFormatError(f"mutant {self.name}: {edit.file}: lies outside the tree; wanted a file in it")
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

    A step is a mutant's name, or "" for a commit that changes nothing that is measured. What was in `target` goes.
    Raises: ResultFormatError when a mutant is not known or does not fit; GitError.
    """
    for name in filter(None, plan):
        if name not in mutants:
            known = ", ".join(mutants) or "none"
            raise ResultFormatError(f"there is no mutant {name!r}; known: {known}")
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    _git(source, "clone", "--quiet", "--depth=1", source.as_uri(), str(target))
    shutil.rmtree(target / ".git")  # the tree without its past
    _git(target, "init", "--quiet", "--initial-branch=main")
    return [_commit(target, number, mutants[name] if name else None) for number, name in enumerate(plan)]


def _commit(target: Path, number: int, mutant: Mutant | None) -> str:
    if mutant:
        mutant.plant(target)
    else:
        with (target / "NOTES").open("a", encoding="utf-8") as notes:
            notes.write(f"note {number}\n")
    _git(target, "add", "--all", "--force")
    subject = mutant.subject if mutant else f"notes: line {number}"
    _git(target, "commit", "--quiet", "--no-verify", "-m", subject, at=1_700_000_000 + 3600 * number)
    return git.resolve(target, "HEAD")


def _git(folder: Path, *arguments: str, at: int | None = None) -> None:
    """Our own repository, with our own name and clock. Raises: GitError with git's last words."""
    dates = {} if at is None else dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), f"{at} +0000")
    command = ["git", "-c", "commit.gpgsign=false", "-c", "core.hooksPath=/dev/null", *arguments]
    ours = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(command, cwd=folder, env={**ours, **_IDENTITY, **dates}, capture_output=True)
    if done.returncode:
        raise GitError(f"{folder}: git {arguments[0]}: {done.stderr.decode(errors='replace').strip()}")


def demo(source: Path, mutants: Path, folder: Path) -> int:
    """Plant, measure, say what was found, and show it in the browser until Ctrl-C. Each time afresh. An exit code."""
    settings = Settings.load(None)
    with held(folder / "demo.lock", wait=False, busy="a demo runs already"):
        doctoring.require_free(settings.host, settings.api_port, "PERFSVC_API_PORT")
        doctoring.require_free(settings.host, settings.dashboard_port, "PERFSVC_DASHBOARD_PORT")
        repository, home = folder / "repository", folder / "home"
        shutil.rmtree(home, ignore_errors=True)
        planted = read_mutants(mutants)
        hashes = plant_history(source, repository, DEMO, planted)
        for name, hash_ in zip(DEMO, hashes, strict=True):
            if name:
                _say(f"planted {hash_[:8]} {planted[name].kind}: {planted[name].sentence}")
        return _show(repository, _environment(home, Settings.load(repository).guards.command), hashes)


def telling_guards(command: Sequence[str]) -> list[str]:
    """The guards' command for the few that the planted errors fail; none where there is no command."""
    return [*command, "-k", DEMO_GUARDS] if command else []


def _environment(home: Path, guards: Sequence[str]) -> dict[str, str]:
    """Measured in the environment that we run in: torch is here already. Nobody else's database is written to."""
    told = {
        "PERFSVC_HOME": str(home),
        "PERFSVC_ENVIRONMENT__PYTHON": sys.executable,
        "PERFSVC_MEASURE__ROUNDS": "2",
        "PERFSVC_GUARDS__COMMAND": json.dumps(telling_guards(guards)),
    }
    return {name: value for name, value in os.environ.items() if name != "PERFSVC_DATABASE_URL"} | told


def _show(repository: Path, environment: dict[str, str], hashes: Sequence[str]) -> int:
    """The commands that people would type; what they print goes to whoever looks on."""

    def perfsvc(*arguments: str) -> int:
        return _run([sys.executable, "-P", "-m", "perfsvc", *arguments], repository, environment)

    for number, hash_ in enumerate(hashes, start=1):  # one at a time and oldest first, as nights would
        _say(f"night {number} of {len(hashes)}")
        code = perfsvc("measure", "--commits", hash_, "--bench", DEMO_BENCH)
        if code not in (0, 1):
            return code
    _say("\nwhat the service says:")
    perfsvc("alerts")
    perfsvc("guards", "--failed")
    return perfsvc("up", "--last", "0")


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> int:
    """Wait for a program that hears Ctrl-C itself: it has things to put away, and is not to be killed meanwhile."""
    heard: list[int] = []
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda got, _: heard.append(got)) for number in signals}
    try:
        child = subprocess.Popen(command, cwd=folder, env=environment)
        while child.poll() is None:
            if signal.SIGTERM in heard:
                child.terminate()
                heard.clear()
            time.sleep(0.05)
        return 128 - child.returncode if child.returncode < 0 else child.returncode
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(text: str) -> None:
    print(text, flush=True)


def main() -> None:
    """`python -m perfsvc.selftest demo --mutants FOLDER --folder FOLDER`, in the project's repository."""
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
        print(f"perfsvc: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
