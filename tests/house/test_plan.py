"""The plan of the house, held: what is pinned, what is kept out, how large a file may grow, which floors there are."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
WINGS = ("attention", "benchmarks", "perfsvc", "dashboard")
LONGEST = 400

#: Generated: long, and calm to read.
MAY_BE_LONG = ("perfsvc/store/migrations/versions/",)

FLOORS = (
    *("cli", "api", "schedule", "pipeline", "jobs", "triage", "store", "formats", "runner", "detect", "experiments"),
    *("alerts", "notify", "charts", "dispatch", "stats", "units", "settings", "git", "model", "errors", "work"),
)

#: Put together here, so that this file does not hold what it looks for.
REGISTRIES = ("py" + "pi.org", "python" + "hosted", "arti" + "factory", "index" + "-url", "find" + "-links")
MACHINE_PATH = re.compile(r"/(?:root|work)/\w|/Us" + r"ers/\w|/ho" + r"me/(?!mine\.log)\w+")


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z", *patterns], cwd=ROOT, check=True, capture_output=True).stdout
    return [ROOT / name for name in listed.decode().split("\0") if name and (ROOT / name).is_file()]


def told(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_constraints_are_versions_that_exist_everywhere() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert lines
    for line in lines:
        assert re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][A-Za-z0-9_.]*", line), f"{line}: wanted name==version alone"
        assert not re.match(r"(?i)torch|nvidia|cuda|triton", line), f"{line}: its build differs by machine"


def test_torch_stands_apart_in_one_version() -> None:
    assert (ROOT / "constraints-torch.txt").read_text().split() == ["torch==2.13.0"]


def test_what_is_measured_brings_nothing_along(project: dict[str, Any]) -> None:
    assert project["project"]["dependencies"] == []


def test_asv_knows_the_distribution_by_its_name(project: dict[str, Any]) -> None:
    assert json.loads((ROOT / "asv.conf.json").read_text())["project"] == project["project"]["name"]


def test_no_file_names_a_registry_or_somebodys_machine() -> None:
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for registry in REGISTRIES:
            assert registry not in text, f"{told(path)} names {registry}"
        found = MACHINE_PATH.search(text)
        assert found is None, f"{told(path)} has {found and found[0]}: a path of one machine"


def test_a_file_opens_with_what_it_is_for() -> None:
    for path in tracked(*(f"{wing}/*.py" for wing in WINGS)):
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), f"{told(path)} opens without a docstring"


def test_no_file_outgrows_its_reader() -> None:
    for path in tracked(*(f"{wing}/*.py" for wing in WINGS)):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines <= LONGEST or told(path).startswith(MAY_BE_LONG), f"{told(path)} has {lines} lines: a folder, now"


def test_every_floor_of_the_plan_is_there_and_is_guarded(project: dict[str, Any]) -> None:
    contracts = project["tool"]["importlinter"]["contracts"]
    (floors,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    guarded = {name.strip() for layer in floors for name in layer.split("|")}
    for name in FLOORS:
        assert name in guarded, f"perfsvc.{name} stands on no floor of the import contract"
        assert (ROOT / "perfsvc" / name).is_dir() or (ROOT / "perfsvc" / f"{name}.py").is_file()
