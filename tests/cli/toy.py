"""A project of three commits that takes a second to measure: a package, a suite of one time and one exact count."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

FILES = {
    "asv.conf.json": '{"version": 1, "project": "toy", "repo": ".", "branches": ["main"]}',
    "toy/__init__.py": "def work(n):\n    return sum(range(n))\n",
    "benchmarks/__init__.py": "",
    "benchmarks/speed.py": """
def time_work():
    import toy
    toy.work(1000)
time_work.version, time_work.number, time_work.repeat, time_work.warmup_time = "1", 5, 2, 0

def track_steps():
    import toy
    return toy.work(10)
track_steps.version, track_steps.unit, track_steps.exact, track_steps.direction = "1", "1", True, "lower"
""",
}
SLOWER = FILES["toy/__init__.py"].replace("range(n)", "range(n + 1)")
BROKEN = "raise ImportError('toy is broken on purpose')\n"

#: Measured as it is, in the environment that the tests run in; the least that asv can do.
ENVIRONMENT = {"PERFSVC_ENVIRONMENT__PYTHON": sys.executable, "PERFSVC_MEASURE__ROUNDS": "1"}


@dataclass(frozen=True)
class Toy:
    """Its repository on branch main, and its hashes, oldest first."""

    folder: Path
    hashes: list[str]
    environment: dict[str, str]

    @classmethod
    def plant(cls, folder: Path) -> Toy:
        toy = cls(folder, [], ENVIRONMENT)
        folder.mkdir()
        toy.git("init", "--quiet", "--initial-branch=main")
        for name, text in FILES.items():
            toy.write(name, text)
        toy.commit("a toy")
        toy.commit("a second look", ("NOTES", "nothing that is measured\n"))
        toy.commit("tidy up, they said", ("toy/__init__.py", SLOWER))
        return toy

    def copied(self, folder: Path) -> Toy:
        shutil.copytree(self.folder, folder)
        return Toy(folder, list(self.hashes), self.environment)

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def commit(self, subject: str, *changes: tuple[str, str]) -> str:
        for name, text in changes:
            self.write(name, text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", subject)
        self.hashes.append(self.git("rev-parse", "HEAD"))
        return self.hashes[-1]

    def git(self, *arguments: str) -> str:
        who = ("-c", "user.name=Ada", "-c", "user.email=ada@localhost", "-c", "commit.gpgsign=false")
        command = ["git", *who, *arguments]
        done = subprocess.run(command, cwd=self.folder, check=True, capture_output=True, text=True)
        return done.stdout.strip()
