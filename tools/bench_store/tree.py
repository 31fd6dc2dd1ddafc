"""A made-up project: a git repository with its asv configuration, and a result tree that asv itself can publish.

Each machine measured each of its commits once, every benchmark over all of its parameter sets. Values are a level of
their own with 1 % noise; one benchmark in ten has a step. Files hold what asv writes: full values, statistics of five
digits, no samples.
"""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

PROJECT = "made_up"
SETS = 20  #: parameter sets of a benchmark
NOISE, STEP, STEPPED = 0.01, 1.2, 10  #: relative; factor; one benchmark of so many has a step
BEGIN = 1_700_000_000  #: the first commit's date, in seconds
DAY = 86_400

COLUMNS = (
    *("result", "params", "version", "started_at", "duration", "stats_ci_99_a", "stats_ci_99_b"),
    *("stats_q_25", "stats_q_75", "stats_number", "stats_repeat", "samples", "profile"),
)


@dataclass(frozen=True, slots=True)
class Machine:
    name: str
    benchmarks: int  #: series are SETS times as many
    runs: int

    @property
    def series(self) -> int:
        return self.benchmarks * SETS


def shape(size: float) -> list[Machine]:
    """At size 1: eight machines, 1,400 files, 28,000 series, 6.004 million points; smaller ones have fewer of each."""
    part = max(size, 0.001) ** 0.5
    large = (max(1, round(250 * part)), max(12, round(267 * part)))
    small = (max(1, round(100 * part)), max(12, round(83 * part)))
    return [Machine(f"large{i}", *large) for i in range(4)] + [Machine(f"small{i}", *small) for i in range(4)]


class Tree:
    """The project in a folder: `write` makes the nights before the last, `add_night` one more on every machine."""

    def __init__(self, folder: Path, machines: list[Machine], *, seed: int = 1) -> None:
        self.folder = folder
        self.machines = machines
        self.results = folder / "results"
        self.rng = np.random.default_rng(seed)
        self.commits = _repository(folder, 1 + max(machine.runs for machine in machines))
        self.levels = {m.name: self.rng.uniform(1e-4, 1e-1, (m.benchmarks, SETS)) for m in machines}

    @property
    def files(self) -> int:
        return sum(machine.runs for machine in self.machines)

    @property
    def series(self) -> int:
        return sum(machine.series for machine in self.machines)

    @property
    def points(self) -> int:
        return sum(machine.series * machine.runs for machine in self.machines)

    def write(self) -> None:
        _write(self.folder / "asv.conf.json", _configuration())
        most = max(machine.benchmarks for machine in self.machines)
        _write(self.results / "benchmarks.json", {"version": 2} | {name: _described(name) for name in _names(most)})
        for machine in self.machines:
            facts = {"machine": machine.name, "os": "Linux", "arch": "x86_64", "cpu": "made up", "version": 1}
            _write(self.results / machine.name / "machine.json", facts)
            for night in range(machine.runs):
                self._write_run(machine, night)

    def add_night(self) -> None:
        for machine in self.machines:
            self._write_run(machine, machine.runs)

    def _write_run(self, machine: Machine, night: int) -> None:
        commit = self.commits[night]
        values = self.levels[machine.name] * self.rng.normal(1, NOISE, (machine.benchmarks, SETS))
        values[::STEPPED] *= STEP if night >= machine.runs // 2 else 1.0
        date = (BEGIN + night * DAY) * 1000
        found: dict[str, Any] = {
            "commit_hash": commit,
            "env_name": "py3.11",
            "date": date,
            "params": {"machine": machine.name, "python": "3.11", "os": "Linux", "arch": "x86_64", "cpu": "made up"},
            "python": "3.11",
            "requirements": {},
            "env_vars": {},
            "result_columns": COLUMNS,
            "results": {
                name: _row(row, date) for name, row in zip(_names(machine.benchmarks), values.tolist(), strict=True)
            },
            "durations": {},
            "version": 2,
        }
        _write(self.results / machine.name / f"{commit[:8]}-py3.11.json", found)


def _names(n: int) -> list[str]:
    return [f"suite{i // 10}.Room{i % 10}.time_case" for i in range(n)]


def _sets() -> list[str]:
    return [repr(2**i) for i in range(SETS)]


def _described(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "code": "def time_case(n): ...",
        "type": "time",
        "unit": "seconds",
        "version": "1",
        "param_names": ["n"],
        "params": [_sets()],
        "timeout": 60.0,
    }


def _row(values: list[float], date: int) -> list[Any]:
    low, high = ([float(f"{value * factor:.4e}") for value in values] for factor in (0.993, 1.007))
    return [values, [_sets()], "1", date, 1.5, low, high, low, high, [10] * len(values), [5] * len(values)]


def _configuration() -> dict[str, Any]:
    return {
        "version": 1,
        "project": PROJECT,
        "repo": ".",
        "branches": ["main"],
        "results_dir": "results",
        "html_dir": "html",
        "env_dir": "env",
    }


def _repository(folder: Path, commits: int) -> list[str]:
    """A repository with a line of commits; their hashes, oldest first."""
    folder.mkdir(parents=True)
    _git(folder, "init", "--quiet", "--initial-branch=main")
    stream = "".join(
        f"commit refs/heads/main\ncommitter Ada <ada@example.org> {BEGIN + n * DAY} +0000\ndata 6\nnight\n\n"
        for n in range(commits)
    )
    _git(folder, "fast-import", "--quiet", text=stream)
    return _git(folder, "rev-list", "--reverse", "main").split()


def _git(folder: Path, *arguments: str, text: str | None = None) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True, input=text
    ).stdout


def _write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
