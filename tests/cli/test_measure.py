"""`measure`, `init`, `doctor`: real git, real asv, a toy project."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from perfsvc import work
from perfsvc.cli import measuring
from perfsvc.errors import RunnerError
from perfsvc.settings import Settings
from perfsvc.store import Store
from tests.cli.conftest import Call
from tests.cli.toy import BROKEN, Toy


def commits(perfsvc: Call) -> list[str]:
    return [run["commit"]["hash"] for run in perfsvc("runs", "--json").json()["runs"]]


def test_a_range_is_measured_told_and_judged_as_one(perfsvc: Call, toy: Toy, home: Path, tree: Path) -> None:
    assert perfsvc("ingest", str(tree), "--project", "toy").code == 0  # what others measured of it stands beside it
    first, second, third = toy.hashes
    said = perfsvc("measure", "--commits", f"{first}..main", "--commits", first[:10])
    assert said.code == 1
    assert "measured 3 commits" in said.out
    assert "ALERT 1 regression: speed.track_steps" in said.out
    assert "(3 of 3)" in said.err
    assert f"since: {third[:8]} tidy up" in (home / "alerts.log").read_text()  # told once, when the range was known
    assert set(commits(perfsvc)[:3]) == {first, second, third}
    assert len(commits(perfsvc)) == 6
    again = perfsvc("measure", "--last", "3")
    assert (again.code, "--again" in again.out) == (0, True)
    assert not list((home / "bundles").iterdir())


def test_a_commit_that_cannot_be_built_is_told_and_the_others_go_on(perfsvc: Call, toy: Toy) -> None:
    broken = toy.commit("oops", ("toy/__init__.py", BROKEN))
    good = toy.commit("mended", ("toy/__init__.py", "def work(n):\n    return 45\n"))
    said = perfsvc("measure", "--last", "2", "--bench", "track")
    assert said.code == 3
    assert f"not measured: {broken[:12]}: " in said.err
    assert "toy is broken on purpose" in said.err
    assert commits(perfsvc) == [good]


def test_uncommitted_changes_are_named(perfsvc: Call, toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: object, **__: object) -> None:
        raise RunnerError("enough")

    monkeypatch.setattr(measuring, "run_here", nothing)
    assert "uncommitted changes" not in perfsvc("measure").err
    toy.write("toy/__init__.py", "def work(n): return 0\n")
    assert "note: uncommitted changes are not measured" in perfsvc("measure").err


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--commits", "v9"], "no commit is called 'v9'"),
        (["--commits", "main..main"], "names no commit"),
        (["--commits", "HEAD...main"], "no line of commits"),
        (["--commits", "--all"], "not a revision"),
        (["--bench", "("], "regular expression"),
        (["--last", "0"], "--last"),
        (["--device", "abacus"], "abacus"),
    ],
)
def test_what_cannot_be_meant_is_told_before_anything_is_ordered(
    perfsvc: Call, toy: Toy, arguments: list[str], word: str
) -> None:
    said = perfsvc("measure", *arguments)
    assert said.code == 2
    assert word in said.err
    assert perfsvc("jobs", "--json").out in ("", '{\n  "perfsvc": 1,\n  "jobs": []\n}\n')


def test_no_suite_no_repository_no_git(
    perfsvc: Call, toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    monkeypatch.chdir(alone)
    said = perfsvc("measure")
    assert (said.code, "no asv.conf.json here or above" in said.err) == (2, True)
    shutil.copy(toy.folder / "asv.conf.json", alone)
    said = perfsvc("measure")
    assert (said.code, "git init" in said.err) == (2, True)
    monkeypatch.chdir(toy.folder)
    monkeypatch.setenv("PATH", str(tmp_path))
    said = perfsvc("measure")
    assert (said.code, "git was not found on PATH" in said.err) == (2, True)
    assert "MISSING git: not found; install git" in perfsvc("doctor").out


def test_a_shallow_clone_has_newest_commits_too(perfsvc: Call, toy: Toy, tmp_path: Path, sqlite_store: Store) -> None:
    clone = tmp_path / "clone"
    toy.git("clone", "--quiet", "--depth=2", toy.folder.as_uri(), str(clone))
    place = work.register_project(sqlite_store, clone, Settings.load(clone))
    assert work.newest(place, 9) == toy.hashes[:0:-1]
    assert measuring.lacking(sqlite_store, place, "box", work.newest(place, 1)) == toy.hashes[-1:]


def test_ctrl_c_keeps_what_is_in_and_leaves_no_process(perfsvc: Call, toy: Toy) -> None:
    command = [sys.executable, "-m", "perfsvc", "measure", "--last", "3"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    lines = iter(process.stdout)
    assert any("benchmarks (2 of 3)" in line for line in lines)
    process.send_signal(signal.SIGINT)
    rest = "".join(lines)
    assert process.wait(20) == 130
    assert "measured 1 commit" in rest
    assert commits(perfsvc) == toy.hashes[-1:]
    (job,) = perfsvc("jobs", "--json").json()["jobs"]
    assert (job["state"], job["message"]) == ("cancelled", "stopped by hand; 1 measured")
    assert not _measuring(os.environ["PERFSVC_HOME"])


def _measuring(home: str) -> list[str]:
    found = []
    for process in psutil.process_iter():
        try:
            if home in process.environ().get("PERFSVC_FACTS", "") and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def test_init_makes_the_database_and_does_no_harm_twice(perfsvc: Call, home: Path) -> None:
    for _ in range(2):
        said = perfsvc("init")
        assert (said.code, "the database is ready" in said.out) == (0, True)
    assert (home / "perfsvc.sqlite").is_file()


def test_doctor_reads_on_past_a_broken_perfsvc_toml(perfsvc: Call, toy: Toy) -> None:
    assert perfsvc("doctor").code == 0
    toy.write("perfsvc.toml", "[measure]\nruonds = 3\n")
    said = perfsvc("doctor")
    assert said.code == 2
    assert "MISSING settings: " in said.out
    assert "ruonds" in said.out
    assert "ok      git" in said.out
    measured = perfsvc("measure")
    assert (measured.code, "ruonds" in measured.err) == (2, True)
