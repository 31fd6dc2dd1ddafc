"""Planting: each mutant fits the tree as it is, and a history is made as planned; the demo says early what it lacks."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from perfsvc import git, selftest
from perfsvc.errors import PortInUse, ResultFormatError, RunnerError
from perfsvc.runner.locks import held
from perfsvc.selftest import DEMO, Edit, Mutant, plant_history, read_mutants
from tests.cli.toy import Toy

ROOT = Path(__file__).parents[1]
MUTANTS = ROOT / "tests" / "mutants"

SLOW = Mutant(
    "slow",
    "it counts one further",
    "tidy",
    "performance",
    ("speed.track_steps",),
    (Edit("toy/__init__.py", "range(n + 1)", "range(n + 2)"),),
)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    return Toy.plant(tmp_path_factory.mktemp("source") / "toy")


@pytest.mark.parametrize("name", sorted(path.stem for path in MUTANTS.glob("*.toml")))
def test_each_mutant_fits_the_tree_as_it_is(name: str, tmp_path: Path) -> None:
    mutant = read_mutants(MUTANTS)[name]
    assert mutant.kind in ("performance", "correctness")
    assert mutant.noticed_by
    for edit in mutant.edits:
        (tmp_path / edit.file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / edit.file, tmp_path / edit.file)
    mutant.plant(tmp_path)
    for edit in mutant.edits:
        planted = (tmp_path / edit.file).read_text()
        assert planted != (ROOT / edit.file).read_text()
        compile(planted, edit.file, "exec")


def test_the_demo_plants_mutants_that_there_are() -> None:
    assert set(filter(None, DEMO)) <= read_mutants(MUTANTS).keys()
    assert len(DEMO) == 10


@pytest.mark.parametrize(
    ("edit", "word"),
    [
        (Edit("toy/__init__.py", "no such text", "x"), "wanted once, met 0 times"),
        (Edit("toy/__init__.py", "n", "x"), "wanted once, met "),
        (Edit("toy/gone.py", "n", "x"), "met no such file"),
        (Edit("../outside.py", "n", "x"), "lies outside the tree"),
    ],
)
def test_a_mutant_that_does_not_fit_says_so(edit: Edit, word: str, toy: Toy, tmp_path: Path) -> None:
    tree = toy.copied(tmp_path / "tree").folder
    with pytest.raises(ResultFormatError, match=f"mutant odd: {edit.file}: ") as told:
        Mutant("odd", "", "", "performance", (), (edit,)).plant(tree)
    assert word in str(told.value)


@pytest.mark.parametrize("text", ["not toml at all", 'sentence = "no edits"', "kind = 1\nnoticed_by = []\nedit = [{}]"])
def test_a_file_that_is_no_mutant_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "odd.toml").write_text(text)
    with pytest.raises(ResultFormatError, match=r"odd\.toml: not a mutant"):
        read_mutants(tmp_path)


def test_a_history_is_planted_as_planned(toy: Toy, tmp_path: Path) -> None:
    target = tmp_path / "deep" / "history"
    hashes = plant_history(toy.folder, target, ("", "slow", ""), {"slow": SLOW})
    line = git.first_parent_line(target, "main")
    assert [commit.hash for commit in line] == hashes
    assert [commit.subject for commit in line] == ["notes: line 0", "tidy", "notes: line 2"]
    assert line[1].changed_paths == ("toy/__init__.py",)
    assert not git.is_dirty(target)
    assert plant_history(toy.folder, target, ("", "slow", ""), {"slow": SLOW}) == hashes  # afresh, and the same
    assert "range(n + 2)" in (target / "toy" / "__init__.py").read_text()


def test_only_what_is_committed_is_planted(toy: Toy, tmp_path: Path) -> None:
    dirty = toy.copied(tmp_path / "dirty")
    dirty.write("toy/__init__.py", "nonsense(\n")
    plant_history(dirty.folder, tmp_path / "history", ("",), {})
    assert "range(n + 1)" in (tmp_path / "history" / "toy" / "__init__.py").read_text()


def test_a_plan_with_an_unknown_mutant_destroys_nothing(toy: Toy, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("here")
    with pytest.raises(ResultFormatError, match="there is no mutant 'fast'; known: slow"):
        plant_history(toy.folder, tmp_path, ("", "fast"), {"slow": SLOW})
    assert (tmp_path / "kept").read_text() == "here"


# --- the demo ---------------------------------------------------------------------------------------------------------


def test_a_taken_port_is_told_before_anything_is_planted(
    toy: Toy, tmp_path: Path, clean_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setenv("PERFSVC_API_PORT", str(taken.getsockname()[1]))
        with pytest.raises(PortInUse, match="PERFSVC_API_PORT"):
            selftest.demo(toy.folder, MUTANTS, tmp_path)
    assert not (tmp_path / "repository").exists()


def test_a_second_demo_leaves_the_first_alone(toy: Toy, tmp_path: Path, clean_environment: None) -> None:
    with held(tmp_path / "demo.lock", wait=False), pytest.raises(RunnerError, match="a demo runs already"):
        selftest.demo(toy.folder, MUTANTS, tmp_path)


def test_it_measures_each_commit_and_shows_what_was_found(
    toy: Toy,
    tmp_path: Path,
    clean_environment: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[list[str]] = []
    homes: set[str] = set()

    def run(command: list[str], folder: Path, environment: dict[str, str]) -> int:
        asked.append(command[4:])
        homes.add(environment["PERFSVC_HOME"])
        assert environment["PERFSVC_MEASURE__ROUNDS"] == "2"
        assert "PERFSVC_DATABASE_URL" not in environment
        return 0

    monkeypatch.setenv("PERFSVC_DATABASE_URL", "postgresql://somebody.elses/database")
    monkeypatch.setattr(selftest, "_run", run)
    monkeypatch.setattr(selftest, "DEMO", ("", "slow"))
    monkeypatch.setattr(selftest, "read_mutants", lambda _: {"slow": SLOW})
    monkeypatch.setattr(selftest.doctoring, "require_free", lambda *_: None)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "perfsvc.sqlite").write_text("of the demo before")
    assert selftest.demo(toy.folder, MUTANTS, tmp_path) == 0
    assert [words[0] for words in asked] == ["measure", "measure", "alerts", "guards", "up"]
    assert homes == {str(tmp_path / "home")}
    assert not (tmp_path / "home").exists()
    said = capsys.readouterr().out
    assert "performance: it counts one further" in said
    assert "night 2 of 2" in said


def test_a_program_that_hears_ctrl_c_itself_is_waited_for(tmp_path: Path) -> None:
    """It is not killed a quarter of a second later: it has things to put away."""
    code = (
        "import signal, sys, time\n"
        "def put_away(*_):\n    time.sleep(0.6); print('put away', flush=True); sys.exit(7)\n"
        "signal.signal(signal.SIGTERM, put_away)\n"
        "print('up', flush=True)\ntime.sleep(30)\n"
    )
    parent = (
        "import sys; from pathlib import Path; from perfsvc import selftest\n"
        f"sys.exit(selftest._run([sys.executable, '-c', {code!r}], Path('.'), {{}}))"
    )
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    started = time.monotonic()
    process.send_signal(signal.SIGINT)  # in a terminal both hear it
    process.send_signal(signal.SIGTERM)
    rest, _ = process.communicate(timeout=20)
    assert (rest, process.returncode) == ("put away\n", 7)
    assert time.monotonic() - started < 10
