import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from perfsvc.errors import RunnerError
from perfsvc.runner import processes

#: Leaves session and parent, ignores an interrupt, and sleeps on.
DAEMON = "import os, signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(600)"
START_DAEMON = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {DAEMON!r}], start_new_session=True)"


def run(code: str, *, timeout: float = 20.0, leash: str = "", **given: object) -> processes.Ended:
    return processes.run(
        [sys.executable, "-u", "-c", code],
        cwd=Path.cwd(),
        environment={},
        timeout=timeout,
        leash=leash or processes.new_leash(),
        **given,  # type: ignore[arg-type]
    )


def carriers(leash: str) -> list[psutil.Process]:
    return processes._carriers(leash)


def test_lines_come_as_they_are_printed_and_the_exit_code_is_told() -> None:
    lines: list[str] = []
    ended = run("import sys; print('one'); print('two', file=sys.stderr); sys.exit(3)", each_line=lines.append)
    assert lines == ["one", "two"]
    assert (ended.returncode, ended.last_words) == (3, "one\ntwo")


def test_text_that_is_not_utf8_does_no_harm() -> None:
    assert run("import sys; sys.stdout.buffer.write(b'caf\\xe9\\n')").tail == ("caf\ufffd",)


def test_a_program_past_its_time_is_ended_with_what_it_printed_last() -> None:
    leash, started = processes.new_leash(), time.monotonic()
    with pytest.raises(processes.TimedOut, match=r"still running after 1 s, ended\. Last:\nhello"):
        run(f"print('hello'); {START_DAEMON}; import time; time.sleep(600)", timeout=1.0, leash=leash)
    assert time.monotonic() - started < 10
    assert carriers(leash) == []


def test_cancel_ends_a_program_that_ignores_interrupts() -> None:
    leash = processes.new_leash()
    with pytest.raises(processes.Interrupted, match="cancelled"):
        run(DAEMON, leash=leash, cancelled=lambda: True)
    assert carriers(leash) == []


def test_what_a_program_leaves_running_is_ended_with_it() -> None:
    leash = processes.new_leash()
    assert run(START_DAEMON, leash=leash).returncode == 0
    assert carriers(leash) == []


def test_sweep_ends_the_carriers_of_one_leash_only() -> None:
    mine, other = processes.new_leash(), processes.new_leash()
    command = [sys.executable, "-c", DAEMON]
    both = [
        processes.start(command, cwd=Path.cwd(), environment={processes.LEASH: each}, stderr=subprocess.STDOUT)
        for each in (mine, other)
    ]
    try:
        assert processes.sweep(mine) == 1
        assert both[0].wait(5) == -9
        assert both[1].poll() is None
    finally:
        processes.sweep(other)
        for process in both:
            process.communicate()


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(RunnerError, match="no-such-program: cannot be started: No such file"):
        processes.run(["no-such-program"], cwd=Path.cwd(), environment={}, timeout=1, leash="x")
