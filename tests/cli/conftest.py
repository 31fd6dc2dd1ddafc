"""`perfsvc` called in this process, in an empty home; a store with something to read; a toy project to measure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from perfsvc.cli import run
from perfsvc.model import Outcome
from perfsvc.store import Store
from tests.bench import Bench, guard, steady
from tests.cli.toy import Toy


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    def json(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.out)
        return told


Call = Callable[..., Said]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clean_environment: None) -> Path:
    """PERFSVC_HOME, empty; one stands in no project."""
    (tmp_path / "nowhere").mkdir()
    monkeypatch.chdir(tmp_path / "nowhere")
    monkeypatch.setenv("PERFSVC_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def perfsvc(home: Path, capfd: pytest.CaptureFixture[str]) -> Call:
    """`perfsvc("alerts", "--json")`."""

    def call(*arguments: str) -> Said:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            run(arguments)
        code = ended.value.code
        said = capfd.readouterr()
        return Said(code if isinstance(code, int) else int(code is not None), said.out, said.err)

    return call


@pytest.fixture
def story(home: Path) -> Iterator[Bench]:
    """A count that moved at commit 12, a guard that fails since commit 14, of four cases."""
    bench = Bench.set_up(Store.create(f"sqlite:///{home / 'perfsvc.sqlite'}"), home)
    times = steady(1e-3, 1, 16)
    for place in range(16):
        broken = Outcome.FAILED if place >= 14 else Outcome.PASSED
        values = {"time_forward('cached', 512)": times[place], "count_forward": 12 if place >= 12 else 10}
        cases = [
            guard(Outcome.PASSED, test=f"test_g4[{size}]", variant="sdpa", error=0.1, tolerance=1.0) for size in (1, 8)
        ]
        message = "AssertionError: token 3 sees token 4\n  in masks.py" if place >= 14 else ""
        cases += [
            guard(broken, test=f"test_g4[{size}]", variant="naive", error=size, tolerance=1.0, message=message)
            for size in (2, 4)
        ]
        bench.run(place, values, guards=cases)
        bench.process()
    yield bench
    bench.store.close()


@pytest.fixture(scope="session")
def toy_template(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    return Toy.plant(tmp_path_factory.mktemp("template") / "toy")


@pytest.fixture
def toy(home: Path, toy_template: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toy:
    """A copy of the toy project; one stands in it, and it is measured in this very environment."""
    toy = toy_template.copied(tmp_path / "toy")
    for name, value in toy.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(toy.folder)
    return toy
