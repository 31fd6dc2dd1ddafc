"""`perfsvc compare` through real git and real asv_runner: what is slower is found, and nothing is left behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from perfsvc.runner.processes import LEASH

FILES = {
    "asv.conf.json": '{"version": 1, "project": "loops", "repo": ".", "branches": ["main"]}',
    "loops/__init__.py": """
def work(n):
    for i in range(n):
        pass

def untouched(n):
    for i in range(n):
        pass

def steps():
    return 40
""",
    "benchmarks/__init__.py": "",
    # The thread's own time: other programs on the machine make it noisy, not long.
    "benchmarks/speed.py": """
import json, os, time

def tell(benchmark, **operators):
    import loops
    if file := os.environ.get("PERFSVC_FACTS"):
        line = {"benchmark": benchmark, "operators": operators, "imported_from": loops.__file__}
        with open(file, "a") as out:
            out.write(json.dumps(line) + "\\n")

class Timed:
    timer, version, number, repeat, warmup_time = time.thread_time, "1", 5, 7, 0.0

class Work(Timed):
    def time_work(self):
        import loops
        loops.work(20_000)

class Untouched(Timed):
    def time_untouched(self):
        import loops
        loops.untouched(20_000)

def track_steps():
    import loops
    tell("speed.track_steps", **{"loops::step": loops.steps()})
    return loops.steps()
track_steps.version, track_steps.unit, track_steps.direction, track_steps.exact = "1", "steps", "lower", True

def track_forever():
    time.sleep(600)
track_forever.version = "1"
""",
}
SLOWER = FILES["loops/__init__.py"].replace("range(n)", "range(int(1.3 * n))", 1).replace("40", "41")
BENCH = "!forever"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compare") / "loops"
    for name, text in FILES.items():
        write(folder / name, text)
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder, "loops")
    write(folder / "loops/__init__.py", SLOWER)
    commit(folder, "loops: tidier")
    return folder


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def commit(folder: Path, subject: str) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", subject)


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@localhost", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def told(repository: Path, shell: Callable[..., Any]) -> dict[str, Any]:
    comparison: dict[str, Any] = json.loads(
        shell(repository)("compare", "main~1", "--bench", BENCH, "--json", wanted=(1,))
    )["comparison"]
    return comparison


def row(told: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (row for row in told["rows"] if name in row["label"])
    return dict(found)


def test_a_loop_that_is_30_percent_longer_is_slower(told: dict[str, Any]) -> None:
    slow = row(told, "time_work")
    assert slow["verdict"] == "slower"
    assert slow["low"] <= 1.3 * 1.1
    assert slow["high"] >= 1.3 / 1.1
    assert slow["low"] > 1.0
    assert slow["pairs"] in (6, 10, 14, 20)


def test_what_was_not_touched_is_not_called_different(told: dict[str, Any]) -> None:
    assert row(told, "untouched")["verdict"] in ("same", "undecided")


def test_an_exact_difference_is_told_with_its_operators(told: dict[str, Any]) -> None:
    steps = row(told, "track_steps")
    assert (steps["verdict"], steps["base"], steps["head"], steps["pairs"]) == ("slower", 40, 41, 1)
    assert "loops::step 40 -> 41" in steps["reason"]


def test_a_commit_against_itself_is_not_slower(repository: Path, shell: Callable[..., Any]) -> None:
    said = shell(repository)("compare", "HEAD", "HEAD", "--bench", BENCH, "--pairs", "6", "--markdown")
    assert said.startswith("**Nothing slower**")


def test_an_interrupt_leaves_no_process_and_no_tree(repository: Path, shell: Callable[..., Any]) -> None:
    here = shell(repository)
    with forever(here) as process:
        leashes = leashes_below(process)
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=60)
    assert process.returncode == 130, rest
    assert "nothing of it is kept" in rest
    assert leashes
    assert carriers(leashes) == []
    assert not list((here.home / "work").glob("*/*"))


def test_what_a_killed_comparison_left_is_ended_by_the_next(repository: Path, shell: Callable[..., Any]) -> None:
    here = shell(repository)
    with forever(here) as process:
        leashes = leashes_below(process)
        process.kill()
        process.communicate(timeout=60)
    assert carriers(leashes), "the case that sleeps should have outlived its runner"
    here("compare", "HEAD", "HEAD", "--bench", "track_steps")
    assert carriers(leashes) == []
    assert not list((here.home / "work").glob("*/*"))


def forever(here: Any) -> subprocess.Popen[str]:
    """A comparison whose only case never ends, in its first round."""
    command = [sys.executable, "-P", "-m", "perfsvc", "compare", "HEAD", "HEAD", "--bench", "forever"]
    process = subprocess.Popen(command, cwd=here.folder, env=here.environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert any(line.startswith("round 1") for line in process.stderr)
    return process


def leashes_below(process: subprocess.Popen[str]) -> set[str]:
    """What its processes carry, once a case of its runs: a child of a child."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        posts = psutil.Process(process.pid).children()
        if any(post.children() for post in posts):
            return {leash_of(post) for post in posts} - {""}
        time.sleep(0.05)
    return set()


def carriers(leashes: set[str]) -> list[psutil.Process]:
    return [found for found in psutil.process_iter() if leash_of(found) in leashes]


def leash_of(process: psutil.Process) -> str:
    try:
        return "" if process.status() == psutil.STATUS_ZOMBIE else process.environ().get(LEASH, "")
    except psutil.Error:
        return ""
