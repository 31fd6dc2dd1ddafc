"""A toy project in a real repository: a package, a suite, guards; and commits that go wrong, each in its own way.

Measured in an environment of links to what is installed beside the tests: asv_runner and pytest, no torch to import.
"""

import subprocess
import venv
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path

import psutil
import pytest
from packaging.requirements import Requirement

from perfsvc.runner import agent
from perfsvc.settings import Settings

CONF = """{
  // asv allows comments, and a comma too many
  "version": 1, "project": "toy", "repo": ".", "branches": ["main"],
  "environment_type": "virtualenv", "benchmark_dir": "benchmarks",
}
"""
SUITE = """
import json, os

def tell(benchmark):
    import toy
    with open(os.environ["PERFSVC_FACTS"], "a") as file:
        file.write(json.dumps({"benchmark": benchmark, "params": [], "imported_from": toy.__file__}) + "\\n")

class Speed:
    version, number, repeat, warmup_time = "1", 5, 2, 0
    params, param_names = [[10, 20]], ["n"]

    def time_work(self, n):
        import toy
        toy.work(n)

def track_steps():
    import toy
    tell("speed.track_steps")
    return toy.steps()
track_steps.exact, track_steps.unit, track_steps.version = True, "1", "1"

def track_later():
    import toy
    return toy.later()
track_later.version = "1"
"""
GUARD = """
import toy

def test_work_adds_up():
    assert toy.work(4) == 6
"""
GOOD = "def work(n):\n    return sum(range(n))\n\ndef steps():\n    return 3\n"
LATER = GOOD + "\ndef later():\n    return 7\n"
HANG = """
import subprocess, sys, time
def work(n):
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    time.sleep(600)
def steps():
    return work(0)
def later():
    return work(0)
"""
PACKAGES = {
    "good": GOOD,
    "wrong": GOOD.replace("sum(range(n))", "sum(range(n + 1))").replace("3", "4"),
    "broken": "raise ImportError('toy is broken on purpose')\n",
    "elsewhere": GOOD + "\n__file__ = '/somewhere/else/toy/__init__.py'\n",
    "hangs": HANG,
    "tip": LATER,
}


def linked_environment(folder: Path, *wanted: str) -> Path:
    """A virtual environment of links to installed distributions and what they require. Takes a moment and no index."""
    venv.create(folder, with_pip=False, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    todo, done = list(wanted), set[str]()
    while todo:
        name = todo.pop()
        if name in done:
            continue
        done.add(name)
        distribution = metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            (site / top).symlink_to(Path(str(distribution.locate_file(top))))
        needs = map(Requirement, distribution.requires or ())
        todo += [need.name for need in needs if not need.marker or need.marker.evaluate({"extra": ""})]
    return folder / "bin" / "python"


class Toy:
    """The repository, its commits by what they are, and a way to measure them."""

    def __init__(self, folder: Path, python: Path) -> None:
        self.python = python
        self.folder = folder / "toy"
        self.home = folder / "home"
        self.hashes: dict[str, str] = {}
        self.git("init", "--quiet", "--initial-branch=main", str(self.folder), cwd=folder)
        self.write("asv.conf.json", CONF)
        self.write("benchmarks/__init__.py", "")
        self.write("benchmarks/speed.py", SUITE)
        # With an __init__.py beside the test and a conftest.py above it, pytest puts the suite's tree onto sys.path.
        self.write("conftest.py", "import toy\n")
        self.write("tests/__init__.py", "")
        self.write("tests/test_toy.py", GUARD)
        for name, text in PACKAGES.items():
            self.write("toy/__init__.py", text)
            self.commit(name)

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def commit(self, name: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", name)
        self.hashes[name] = self.git("rev-parse", "HEAD")
        return self.hashes[name]

    def settings(self, **sections: Mapping[str, object]) -> Settings:
        guards = {"command": ["python", "-m", "pytest", "tests", "-q", "--junitxml={junit}"]}
        given = {"guards": guards, "measure": {"rounds": 2}, **sections}
        return Settings.load(None, home=self.home, **given)

    def request(self, *, settings: Settings | None = None, **changes: object) -> agent.Request:
        given = {"python": self.python, "runner": "toy-cpu", **changes}
        return agent.Request(self.folder, settings or self.settings(), **given)  # type: ignore[arg-type]

    def git(self, *arguments: str, cwd: Path | None = None) -> str:
        who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
        done = subprocess.run(
            ["git", *who, *arguments], cwd=cwd or self.folder, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    folder = tmp_path_factory.mktemp("runner")
    return Toy(folder, linked_environment(folder / "environment", "asv_runner", "pytest"))


@pytest.fixture
def leftovers(toy: Toy) -> Callable[[], list[str]]:
    """Command lines of the processes that measure the toy, or that such a one started."""

    def find() -> list[str]:
        found = []
        for process in psutil.process_iter():
            try:
                ours = str(toy.home) in process.environ().get("PERFSVC_FACTS", "")
                if ours and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(" ".join(process.cmdline()))
            except psutil.Error:
                continue
        return found

    return find
