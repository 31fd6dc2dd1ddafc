import sys
from pathlib import Path

import pytest

from perfsvc.model import Device
from perfsvc.runner import guards, processes

PASS = '<testsuites><testsuite><testcase name="t"/></testsuite></testsuites>'


def run(folder: Path, code: str, timeout: float = 20.0) -> tuple[str, ...]:
    for name in ("suite", "tree", "scratch", "bundle"):
        (folder / name).mkdir()
    order = guards.Order(
        command=("{python}", "-c", code, "{junit}"),
        suite=folder / "suite",
        tree=folder / "tree",
        scratch=folder / "scratch",
        bundle=folder / "bundle",
        python=Path(sys.executable),
        device=Device.CPU,
        variables={},
        timeout=timeout,
        leash=processes.new_leash(),
    )
    return tuple(map(str, guards.run(order, cancelled=lambda: False, log=lambda _: None)))


def test_a_failed_guard_is_a_result(tmp_path: Path) -> None:
    assert run(tmp_path, f"import sys; open(sys.argv[1], 'w').write({PASS!r}); sys.exit(1)") == ()
    assert (tmp_path / "bundle" / "guards.xml").read_text() == PASS


def test_a_command_that_collected_only_some_keeps_its_results_and_says_so(tmp_path: Path) -> None:
    (told,) = run(tmp_path, f"import sys; open(sys.argv[1], 'w').write({PASS!r}); print('odd'); sys.exit(2)")
    assert told == "guards: exit code 2, some of the guards did not run. Last:\nodd"
    assert (tmp_path / "bundle" / "guards.xml").is_file()


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("print('crashed'); raise SystemExit(9)", "exit code 9, no JUnit XML was written. Last:\ncrashed"),
        ("import sys; open(sys.argv[1], 'w').write('<testsuites>')", "the JUnit XML is broken"),
        ("import sys; open(sys.argv[1], 'w').write('<testsuites/>')", "the JUnit XML holds no test"),
    ],
)
def test_without_results_nothing_is_invented(tmp_path: Path, code: str, reason: str) -> None:
    (told,) = run(tmp_path, code)
    assert reason in told
    assert not (tmp_path / "bundle" / "guards.xml").exists()


def test_guards_that_hang_end_at_their_limit_and_the_benchmarks_go_on(tmp_path: Path) -> None:
    (told,) = run(tmp_path, "import time; time.sleep(600)", timeout=0.5)
    assert "still running after 0 s" in told or "still running after 1 s" in told


def test_words_of_the_command_are_filled_in() -> None:
    given = ["python", "-m", "pytest", "--junitxml={junit}", "--device={device}"]
    told = guards.filled(given, python=Path("/e/python"), junit=Path("/s/g.xml"), device=Device.MPS)
    assert told == ["/e/python", "-m", "pytest", "--junitxml=/s/g.xml", "--device=mps"]


def test_the_folders_that_the_command_names_are_the_guards_own(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    command = ["python", "-m", "pytest", "tests/guards/test_a.py::test_b", "-q", "--junitxml={junit}"]
    assert guards.own_folders(command, tmp_path) == {"tests"}
