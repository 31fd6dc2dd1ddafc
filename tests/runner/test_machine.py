import json
import os
import re
import sys
from pathlib import Path

import pytest

from perfsvc.errors import RunnerError
from perfsvc.model import Device
from perfsvc.runner import machine

from .conftest import Toy

QUIET = {"load": [0.1, 0.1, 0.1], "memory_available": 8e9, "disk_free": 50e9}


def test_a_runners_name_is_safe_as_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "Ada's Büro_Mac.local")
    assert machine.default_name(Device.MPS) == "ada-s-b-ro-mac-mps"
    monkeypatch.setattr("socket.gethostname", lambda: "...")
    assert machine.default_name(Device.CPU) == "local-cpu"


def test_the_fingerprint_is_the_same_twice_and_holds_no_path_of_the_environment(toy: Toy) -> None:
    variables = {"PATH": os.environ["PATH"], "HOME": "/somewhere", "OMP_NUM_THREADS": "1", "SECRET": "x"}
    found = [machine.fingerprint(toy.python, variables) for _ in range(2)]
    assert found[0] == found[1]
    assert found[0]["packages"]["asv-runner"] == "0.3.2"
    assert found[0]["variables"] == {"OMP_NUM_THREADS": "1"}
    assert str(toy.python.parent) not in json.dumps(found[0])


def test_torch_is_told_with_its_build_and_its_threads() -> None:
    torch = pytest.importorskip("torch")
    told = machine.fingerprint(Path(sys.executable), {**os.environ, "OMP_NUM_THREADS": "1"})["torch"]
    assert (told["version"], told["git"], told["threads"]) == (torch.__version__, torch.version.git_version, 1)


def test_a_python_that_is_not_there_is_named() -> None:
    with pytest.raises(RunnerError, match="/no/python: cannot be started"):
        machine.fingerprint(Path("/no/python"), {})


def test_machine_facts_are_the_fields_of_asv() -> None:
    from asv.machine import Machine

    facts = machine.machine_facts("m")
    assert facts.keys() == {name for name, _ in Machine.fields}
    assert all(isinstance(value, str) for value in facts.values())


def test_the_canary_sings_in_seconds() -> None:
    told = machine.canary()
    assert set(told) == {"arithmetic", "arithmetic_cpu", "memory", "memory_cpu"}
    assert all(0 < value < 5 for value in told.values())


def test_readings_of_a_home_that_is_not_made_yet(tmp_path: Path) -> None:
    told = machine.readings(tmp_path / "not" / "yet")
    assert told["disk_free"] > 0
    assert re.fullmatch(r"\d{4}-.*\+00:00", told["at"])


def test_a_quiet_machine_is_measured_on() -> None:
    assert machine.preflight(QUIET) == machine.Preflight()


@pytest.mark.parametrize(
    ("reading", "reason"),
    [
        ({"celsius": 97.0}, "97 degrees"),
        ({"power": "battery"}, "on its battery"),
        ({"low_power": True}, "low-power state"),
        ({"speed_limit": 70}, "70 % of its speed"),
        ({"memory_available": 5e8}, "0.5 GB of memory"),
        ({"disk_free": 1e9}, "1.0 GB of disk"),
        ({"gpu_processes": 2}, "2 other processes"),
    ],
)
def test_a_machine_in_no_state_to_measure_defers(reading: dict[str, object], reason: str) -> None:
    (told,) = machine.preflight({**QUIET, **reading}).defer
    assert reason in told


def test_a_loaded_machine_is_warned_of() -> None:
    cores = os.cpu_count() or 1
    assert "other programs" in machine.preflight({**QUIET, "load": [2.0 * cores]}).warn[0]
