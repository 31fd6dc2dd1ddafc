"""Which folders of a repository can be imported, and how to make sure that it is the measured commit's that are.

Suite and guards come from the suite revision's tree, the package from the commit's. An import that falls back to the
wrong tree, or to an installed copy, would measure the same code twice and say nothing.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from perfsvc.errors import RunnerError

#: Prints where Python would import each name from, without importing it.
WHERE = """
import importlib.util, json, sys
told = {}
for name in sys.argv[1:]:
    spec = importlib.util.find_spec(name)
    told[name] = None if spec is None else spec.origin or next(iter(spec.submodule_search_locations or []), None)
print(json.dumps(told))
"""


def search_path(tree: Path) -> str:
    """What goes into PYTHONPATH so that the packages of `tree` come first: its `src`, where it has one, and itself."""
    return os.pathsep.join(str(place) for place in _places(tree))


def importable(tree: Path) -> dict[str, Path]:
    """Packages and modules at the top of a tree: name -> folder or file."""
    found: dict[str, Path] = {}
    for place in _places(tree):
        for path in sorted(place.iterdir()):
            if path.is_dir() and (path / "__init__.py").is_file():
                found.setdefault(path.name, path)
            elif path.suffix == ".py" and path.stem not in ("conftest", "setup"):
                found.setdefault(path.stem, path)
    return found


def make_room(suite: Path, keep: Iterable[str]) -> list[str]:
    """Remove from the suite's (throwaway) tree all that could be imported instead of the measured commit's packages.

    `keep`: top folders that the suite itself lives in, such as its benchmarks and its tests.
    """
    gone = []
    for name, path in importable(suite).items():
        if path.name not in set(keep):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
            gone.append(name)
    return gone


def imported_names(folder: Path) -> set[str]:
    """First parts of all that the Python files below `folder` import, inside functions too."""
    names: set[str] = set()
    for path in folder.rglob("*.py"):
        try:
            tree = ast.parse(path.read_bytes(), filename=str(path))
        except (SyntaxError, ValueError):
            continue  # asv will say so, with the line
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.partition(".")[0])
    return names


def check_imports(python: Path, variables: Mapping[str, str], tree: Path, names: Iterable[str]) -> None:
    """Ask the environment where it would import `names` from. A name that is nowhere is the suite's to report.

    Raises: RunnerError when one would come from outside the commit's tree.
    """
    wanted = sorted(set(names))
    if not wanted:
        return
    environment = {**variables, "PYTHONPATH": search_path(tree), "PYTHONSAFEPATH": "1"}
    command = [str(python), "-c", WHERE, *wanted]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tree, env=environment, timeout=60)
    try:
        told = json.loads(done.stdout)
    except ValueError:
        raise RunnerError(f"{python}: cannot say where it imports from: {done.stderr[-500:]}") from None
    for name, origin in told.items():
        if origin is not None and not inside(origin, tree):
            raise RunnerError(f"{name}: would be imported from {origin}, not from the measured commit, which lacks it")


def check_facts(facts: Path, tree: Path) -> None:
    """Raises: RunnerError when a benchmark process wrote down that it imported the package from another tree."""
    for line in _lines(facts):
        origin = line.get("imported_from")
        if isinstance(origin, str) and origin and not inside(origin, tree):
            raise RunnerError(f"{line.get('benchmark')}: measured {origin}, wanted the commit's own tree")


def inside(path: str, tree: Path) -> bool:
    return Path(path).resolve().is_relative_to(tree.resolve())


def _places(tree: Path) -> list[Path]:
    return [place for place in (tree / "src", tree) if place.is_dir()]


def _lines(path: Path) -> Iterator[dict[str, object]]:
    if not path.is_file():
        return
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict):
            yield line
