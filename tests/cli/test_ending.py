"""How a command ends: one line for what people can mend, a trace for a fault, and signals that are heard."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from perfsvc.cli import reading
from perfsvc.cli.stopping import listening
from perfsvc.errors import RunnerError
from tests.bench import Bench
from tests.cli.conftest import Call


def _raising(error: Exception) -> object:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def test_an_error_of_ours_is_one_line_with_its_code(
    perfsvc: Call, story: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading.queries, "series", _raising(RunnerError("no [bold]luck[/bold]\nlast words")))
    said = perfsvc("series")
    assert (said.code, said.err) == (3, "perfsvc: no [bold]luck[/bold]\n    last words\n")


def test_a_fault_is_3_and_never_1(perfsvc: Call, story: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading.queries, "series", _raising(ZeroDivisionError("nobody thought of it")))
    said = perfsvc("series")
    assert said.code == 3
    assert "nobody thought of it" in said.err
    assert said.err.splitlines()[-1].startswith("perfsvc: this is a fault of perfsvc itself")


def test_a_database_that_refuses_is_one_line(perfsvc: Call, story: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    error = OperationalError("SELECT", {}, Exception("disk I/O error"))
    monkeypatch.setattr(reading.queries, "series", _raising(error))
    said = perfsvc("series")
    assert (said.code, said.err) == (3, "perfsvc: the database refused: disk I/O error\n")


def test_misuse_is_2(perfsvc: Call) -> None:
    assert perfsvc("frobnicate").code == 2
    assert perfsvc("alerts", "--frob").code == 2
    assert perfsvc().code == 2
    assert perfsvc("--help").code == 0


def test_a_misspelt_variable_is_told(perfsvc: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERFSVC_API_PORT", "many")
    said = perfsvc("alerts")
    assert said.code == 2
    assert said.err.count("\n") == 1


def test_a_reader_who_has_seen_enough_is_no_fault(story: Bench, home: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "perfsvc", "series"], stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_signal_is_heard_and_the_third_breaks_in() -> None:
    before = signal.getsignal(signal.SIGINT)
    with listening() as stop:
        assert not stop()
        signal.raise_signal(signal.SIGINT)
        assert stop()
        assert (stop.terminated, stop.exit_code) == (False, 130)
        stop.forget()
        assert not stop()
        signal.raise_signal(signal.SIGTERM)
        assert (stop.terminated, stop.exit_code) == (True, 143)
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
