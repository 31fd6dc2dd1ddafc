"""A side's process: what cases come to, however they end, with a fork for each of them and without."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from perfsvc.runner import posts, processes
from perfsvc.runner.posts import Answer, Post

SUITE = """
import os, signal, sys, time

def time_sum():
    sum(range(100))
time_sum.timer, time_sum.number, time_sum.repeat, time_sum.warmup_time = time.thread_time, 10, 3, 0.0

class Params:
    params = [["a", "b"], [1, 2]]
    def track_params(self, letter, number):
        return ord(letter) * number

class Cached:
    def setup_cache(self):
        return {"kept": 5}
    def track_cached(self, cache):
        return cache["kept"]

class Lacking:
    def setup(self):
        raise NotImplementedError("no such device")
    def track_setup(self):
        return 1

def track_lacking(): raise NotImplementedError("this commit has no swiglu")
def track_samples(): return {"samples": [3.0, 1.0, 2.0], "number": 1}
def track_not_finite(): return float("nan")
def track_text(): return "quick"
def track_raises(): raise KeyError("mask")
def track_prints():
    os.write(1, b'{"value": 666}\\n')
    print("and more", flush=True)
    return 7
def track_exits(): os._exit(3)
def track_killed(): os.kill(os.getpid(), signal.SIGKILL)
def track_hangs(): time.sleep(600)
track_hangs.timeout = 0.4
def track_leaves():
    import subprocess
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    return 1
def track_pid(): return os.getpid()
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "odd.py").write_text(SUITE)
    return folder


@pytest.fixture(params=["forkserver", "spawn"])
def post(request: pytest.FixtureRequest, suite: Path, tmp_path: Path) -> Iterator[Post]:
    with made(suite, tmp_path, method=request.param) as post:
        yield post


def made(
    suite: Path, tmp_path: Path, *, method: str = "forkserver", cancelled: processes.Cancelled | None = None
) -> Post:
    return Post(
        python=Path(sys.executable),
        suite=suite,
        method=method,
        variables={"PATH": os.environ["PATH"]},
        place=tmp_path,
        leash=processes.new_leash(),
        timeout=30.0,
        cancelled=cancelled or (lambda: False),
    )


def run(post: Post, name: str, index: int | None = None) -> Answer:
    return post.run(f"odd.{name}", index, 30.0)


def test_values_are_medians_of_samples_and_bare_numbers(post: Post) -> None:
    timed = run(post, "time_sum").value
    assert timed is not None
    assert 0 < timed < 1e-3
    assert run(post, "track_samples").value == 2.0
    assert [run(post, "Params.track_params", index).value for index in range(4)] == [97, 194, 98, 196]
    assert run(post, "Cached.track_cached").value == 5


def test_what_a_commit_lacks_is_skipped_with_its_reason(post: Post) -> None:
    for name, reason in (("track_lacking", "no swiglu"), ("Lacking.track_setup", "no such device")):
        answer = run(post, name)
        assert (answer.value, answer.skipped) == (None, True)
        assert reason in answer.reason


def test_what_fails_has_its_reason_and_the_others_go_on(post: Post) -> None:
    for name, reason in (
        ("track_raises", "KeyError: 'mask'"),
        ("track_not_finite", "no finite number"),
        ("track_text", "returned quick"),
        ("track_exits", ""),
        ("track_killed", ""),
        ("track_hangs", "Timeout"),
        ("no_such", "Could not find benchmark"),
    ):
        answer = run(post, name)
        assert (answer.value, answer.skipped) == (None, False), name
        assert reason in answer.reason
        assert answer.reason, name
    assert run(post, "track_samples").value == 2.0


def test_nobody_waits_for_a_process_that_does_not_even_end_itself(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posts, "GRACE", 0.0)
    post.begin(["odd.track_hangs"])
    post.begun()
    assert "no answer within 0 s" in post.run("odd.track_hangs", None, 0.1).reason
    monkeypatch.undo()
    assert run(post, "track_samples").value == 2.0


def test_what_a_benchmark_prints_is_no_answer(post: Post) -> None:
    assert run(post, "track_prints").value == 7
    assert run(post, "track_samples").value == 2.0


def test_a_fork_gives_each_case_a_process_of_its_own(suite: Path, tmp_path: Path) -> None:
    pids = {}
    for method in ("forkserver", "spawn"):
        with made(suite, tmp_path, method=method) as post:
            pids[method] = {run(post, "track_pid").value for _ in range(3)}
    assert len(pids["forkserver"]) == 3
    assert len(pids["spawn"]) == 1


def test_the_suite_describes_itself_and_says_what_cannot_be_imported(post: Post, suite: Path) -> None:
    (suite / "broken.py").write_text("import not_there_at_all\n")
    post.ask_what_is_there()
    told, printed = post.what_is_there()
    assert {each["name"] for each in told} >= {"odd.time_sum", "odd.Params.track_params"}
    assert "not_there_at_all" in printed


def test_nothing_is_left_of_a_post_that_was_left(suite: Path, tmp_path: Path) -> None:
    with made(suite, tmp_path) as post:
        run(post, "track_leaves")
        assert carriers(post.leash)
    assert carriers(post.leash) == []


def test_a_stop_is_heard_while_a_case_runs(suite: Path, tmp_path: Path) -> None:
    asked = iter([False, False, True])
    with made(suite, tmp_path, cancelled=lambda: next(asked, True)) as post, pytest.raises(processes.Interrupted):
        run(post, "track_hangs")
    assert carriers(post.leash) == []


def carriers(leash: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(processes.LEASH) == leash and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found
