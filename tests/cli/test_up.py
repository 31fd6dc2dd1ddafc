"""`up` and its roles: started in order, told by name when they end, none left behind."""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from perfsvc.cli import roles, serving
from perfsvc.cli.roles import Role
from perfsvc.cli.stopping import Stop
from perfsvc.errors import RunnerError
from perfsvc.runner.locks import held
from tests.cli.conftest import Call
from tests.cli.toy import Toy

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
PARENT = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(60)"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def ports(monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    chosen = free_port(), free_port()
    monkeypatch.setenv("PERFSVC_API_PORT", str(chosen[0]))
    monkeypatch.setenv("PERFSVC_DASHBOARD_PORT", str(chosen[1]))
    return chosen


@pytest.fixture
def started(toy: Toy, ports: tuple[int, int]) -> Iterator[tuple[subprocess.Popen[str], list[psutil.Process]]]:
    """`perfsvc up`, serving, and its children."""
    command = [sys.executable, "-m", "perfsvc", "up", "--last", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    assert any("Ctrl-C stops it" in line for line in process.stdout)  # flushed, though it is a pipe
    children = psutil.Process(process.pid).children()
    yield process, children
    if process.poll() is None:
        process.terminate()
        process.wait(30)
    process.stdout.close()


def gone(children: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(children, timeout=2)
    return not alive


def test_it_answers_is_found_by_the_second_and_stops_whole(
    started: tuple[subprocess.Popen[str], list[psutil.Process]], ports: tuple[int, int], perfsvc: Call
) -> None:
    process, children = started
    assert len(children) == 3
    with urllib.request.urlopen(f"http://127.0.0.1:{ports[0]}/api/v1/projects", timeout=5) as answer:
        assert [row["name"] for row in json.load(answer)] == ["toy"]
    second = perfsvc("up")
    assert (second.code, second.out) == (0, f"perfsvc runs already: http://127.0.0.1:{ports[1]}\n")
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=30)
    assert (process.returncode, rest) == (0, "")
    assert gone(children)


def test_in_another_projects_folder_it_joins_the_one_that_runs(
    perfsvc: Call, toy: Toy, ports: tuple[int, int], home: Path
) -> None:
    with held(home / "locks" / "up.lock", wait=False):
        assert perfsvc("up", "--last", "0").out == f"perfsvc runs already: http://127.0.0.1:{ports[1]}\n"  # just begun
        perfsvc("init")
        first, second = (perfsvc("up", "--last", "0").out.splitlines() for _ in range(2))
    assert first[0].startswith("project toy, runner ")
    assert first[1:] == second == [f"perfsvc runs already: http://127.0.0.1:{ports[1]}"]


def test_a_port_in_use_is_told_before_anything_is_measured(
    perfsvc: Call, toy: Toy, ports: tuple[int, int], home: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports[1]))
        taken.listen()
        said = perfsvc("up")
        assert said.code == 2
        assert f"127.0.0.1:{ports[1]}: Address already in use" in said.err
        assert "PERFSVC_DASHBOARD_PORT" in said.err
        assert perfsvc("dashboard").code == 2
        assert "note    dashboard port" in perfsvc("doctor").out
    assert not (home / "perfsvc.sqlite").exists()


def test_a_night_that_cannot_be_is_told_at_once(perfsvc: Call, toy: Toy, ports: tuple[int, int]) -> None:
    toy.write("perfsvc.toml", '[night]\ncron = "30 3 * * 0"\n')
    said = perfsvc("up")
    assert (said.code, "weekdays by name" in said.err) == (2, True)


def test_a_host_that_is_not_ours(
    perfsvc: Call, toy: Toy, ports: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for host, word in (("203.0.113.7", "no address of this machine"), ("no-such-host.invalid", "PERFSVC_HOST")):
        monkeypatch.setenv("PERFSVC_HOST", host)
        said = perfsvc("up")
        assert (said.code, word in said.err) == (2, True)


def test_ctrl_c_while_measuring_goes_on_to_serving_and_sigterm_does_not(
    perfsvc: Call, toy: Toy, ports: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[bool] = []
    monkeypatch.setattr(serving.roles, "serve", lambda _roles, _lines, stop: served.append(not stop()))
    for number in (signal.SIGINT, signal.SIGTERM):

        def stopped(*_: object, by: signal.Signals = number, **__: object) -> None:
            signal.raise_signal(by)
            raise RunnerError("stopped")

        monkeypatch.setattr(serving.measuring, "run_here", stopped)
        assert perfsvc("up").code == 0
    assert served == [True]


def test_the_watched_folder_is_not_where_roles_look_for_modules(
    perfsvc: Call, toy: Toy, ports: tuple[int, int]
) -> None:
    """A watched project may have a folder `dashboard` of its own."""
    for role in roles.of(serving.settings(), toy.folder):
        assert role.command[:2] == [sys.executable, "-P"]
        assert role.environment == (roles.SAFE_PATH if role.name == "dashboard" else {})  # it starts one of its own


# --- roles, with small programs in their place ------------------------------------------------------------------------


def role(name: str, code: str, tmp_path: Path, ready: str = "") -> Role:
    return Role(name, [sys.executable, "-c", code], tmp_path, ready)


def test_what_will_not_stop_is_killed_with_its_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roles, "STOP_WITHIN", 0.3)
    stop = Stop()
    both = [role("stubborn", STUBBORN, tmp_path), role("parent", PARENT.format(child=STUBBORN), tmp_path)]
    seen: list[psutil.Process] = []
    monkeypatch.setattr(roles, "print_lines", lambda _: _settle(both, seen, stop))
    roles.serve(both, [], stop)
    assert len(seen) == 3
    assert gone(seen)


def _settle(both: list[Role], seen: list[psutil.Process], stop: Stop) -> None:
    """All three programs run; then somebody asks to stop."""
    deadline = time.monotonic() + 10
    while len(seen) < 3 and time.monotonic() < deadline:
        ours = [psutil.Process(one.process.pid) for one in both if one.process]
        seen[:] = [*ours, *(child for each in ours for child in each.children())]
        time.sleep(0.05)
    stop.hear(signal.SIGINT)


def test_a_role_that_cannot_start_is_told_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(RunnerError, match="the API ended by itself with exit code 7"):
        roles.serve([role("API", "raise SystemExit(7)", tmp_path, "http://127.0.0.1:9/")], [], Stop())


def test_a_role_that_ends_later_is_told_by_its_name_and_the_others_stop(tmp_path: Path) -> None:
    both = [
        role("dashboard", "import time; time.sleep(60)", tmp_path),
        role("scheduler", "import time; time.sleep(0.3)", tmp_path),
    ]
    with pytest.raises(RunnerError, match="the scheduler ended by itself with exit code 0"):
        roles.serve(both, [], Stop())
    assert both[0].exit_code == -signal.SIGTERM


def test_a_role_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roles, "READY_WITHIN", 0.3)
    silent = role("API", "import time; time.sleep(60)", tmp_path, f"http://127.0.0.1:{free_port()}/")
    with pytest.raises(RunnerError, match="did not answer"):
        roles.serve([silent], [], Stop())
    assert silent.process is not None
    assert silent.process.returncode == -signal.SIGTERM
