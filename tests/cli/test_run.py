"""`run`: any benchmark command, and what it prints or writes kept as a run of HEAD."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from perfsvc.store import Store, queries
from tests.cli.conftest import DATA, Call
from tests.cli.toy import Toy

NUMBERS = json.dumps({"work": {"latency": {"value": 5.0}}})
PRINTS = (sys.executable, "-c", f"import sys; print('starting', file=sys.stderr); print({NUMBERS!r})")
WRITES = (sys.executable, "-c", f"import sys; open(sys.argv[1], 'w').write({NUMBERS!r}); print('done')", "{output}")


@pytest.fixture
def place(toy: Toy, home: Path) -> Toy:
    return toy


@pytest.mark.parametrize("command", [PRINTS, WRITES], ids=["prints", "writes"])
def test_what_a_command_prints_or_writes_is_a_run_of_head(perfsvc: Call, place: Toy, command: tuple[str, ...]) -> None:
    said = perfsvc("run", "--adapter", "bencher", "--machine", "box", "--", *command)
    assert (said.code, said.out.splitlines()) == (
        0,
        ["toy: 1 new run, 0 were there already", "next: perfsvc process --project toy"],
    )
    (run,) = perfsvc("runs", "--json").json()["runs"]
    assert (run["machine"], run["commit"]["hash"]) == ("box", place.hashes[-1])
    assert run["started_at"] is not None
    (row,) = perfsvc("series", "--json").json()["series"]
    assert (row["label"], row["metric"], row["unit"]) == ("work:latency", "latency", "seconds")


def test_a_commit_that_is_measured_again_has_two_runs(perfsvc: Call, place: Toy) -> None:
    other = json.dumps({"work": {"latency": {"value": 7.0}}})
    for numbers in (NUMBERS, other):
        perfsvc("run", "-a", "bencher", "--machine", "box", "--", sys.executable, "-c", f"print({numbers!r})")
    assert len(perfsvc("runs", "--json").json()["runs"]) == 2
    perfsvc("process")
    (row,) = perfsvc("series", "--json").json()["series"]
    assert (row["points"], row["latest"]) == (1, pytest.approx(6e-9))


def test_no_shell_reads_the_command(perfsvc: Call, place: Toy, tmp_path: Path) -> None:
    bait = tmp_path / "bait"
    script = "import json, sys; print(json.dumps({sys.argv[1]: {'n': {'value': 1}}}))"
    word = f"$(touch {bait}); touch {bait} | `touch {bait}`"
    assert perfsvc("run", "-a", "bencher", "--", sys.executable, "-c", script, word).code == 0
    assert not bait.exists()
    assert perfsvc("series", "--json").json()["series"][0]["benchmark"] == f"{word}:n"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("bencher", sys.executable, "-c", "raise SystemExit(3)"), 3, "ended with 3; nothing was kept"),
        (("bencher", "no-such-program"), 3, "cannot be started: "),
        (("bencher", sys.executable, "-c", ""), 3, "printed nothing; nothing was kept"),
        (("bencher", sys.executable, "-c", "", "{output}"), 3, "wrote no {output}; nothing was kept"),
        (("bencher", sys.executable, "-c", "print('no')"), 2, "is not JSON: Expecting value"),
        (("asv", sys.executable), 2, "'asv' is no adapter; wanted pytest-benchmark, google-benchmark, bencher, ju"),
    ],
)
def test_a_command_that_brings_nothing_is_told(
    perfsvc: Call, place: Toy, arguments: tuple[str, ...], code: int, said: str
) -> None:
    adapter, *command = arguments
    told = perfsvc("run", "--adapter", adapter, "--", *command)
    assert (told.code, said in told.err) == (code, True), told.err


def test_a_command_that_hangs_is_stopped(perfsvc: Call, place: Toy) -> None:
    hang = (sys.executable, "-c", "import time; time.sleep(60)")
    told = perfsvc("run", "-a", "bencher", "--timeout", "1", "--", *hang)
    assert (told.code, "was not done after 1 s, and was stopped" in told.err) == (3, True)


def test_uncommitted_changes_are_of_no_commit(perfsvc: Call, place: Toy, home: Path) -> None:
    place.write("toy/__init__.py", "pass\n")
    told = perfsvc("run", "-a", "bencher", "--", *PRINTS)
    assert (told.code, "has uncommitted changes" in told.err) == (2, True)
    assert not home.exists()


def test_a_suite_in_a_folder_of_its_repository_stays_where_it_is(
    perfsvc: Call, place: Toy, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = place.folder / "asv_bench"
    place.commit("a suite of its own", ("asv_bench/asv.conf.json", '{"version": 1, "project": "inner", "repo": ".."}'))
    monkeypatch.chdir(suite)
    assert perfsvc("run", "-a", "bencher", "--", *PRINTS).out.startswith("inner: 1 new run")
    store = Store.open(f"sqlite:///{home / 'perfsvc.sqlite'}")
    with store.reading() as tx:
        assert queries.project(tx, "inner").repository == str(suite)
    store.close()


def test_without_a_repository_there_is_no_commit(perfsvc: Call) -> None:
    told = perfsvc("run", "-a", "bencher", "--", *PRINTS)
    assert (told.code, told.err.startswith("perfsvc: ")) == (2, True)


def test_guards_run_as_a_command_mark_what_they_cover(perfsvc: Call, place: Toy) -> None:
    guards = DATA / "junit" / "pytest_9" / "every_outcome.xml"
    copy = "import shutil, sys; shutil.copy(*sys.argv[1:])"
    said = perfsvc("run", "-a", "junit", "--", sys.executable, "-c", copy, str(guards), "{output}")
    assert said.code == 0, said.err
    assert perfsvc("guards", "--json").json()["guards"]
