"""`perfsvc` called in this process, in an empty home; a store with something to read; a toy project to measure."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from perfsvc.cli import run
from perfsvc.model import Outcome
from perfsvc.settings import Settings
from perfsvc.store import Store
from tests.bench import Bench, guard, steady
from tests.cli.toy import Toy

DATA = Path(__file__).parents[1] / "data"


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


@pytest.fixture(scope="session")
def story_template(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("story")
    bench = Bench.set_up(Store.create(f"sqlite:///{folder / 'perfsvc.sqlite'}"), folder)
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
        if place >= 11:
            bench.process()
    bench.store.close()
    return bench


@pytest.fixture
def story(home: Path, story_template: Bench) -> Iterator[Bench]:
    """A count that moved at commit 12, a guard that fails since commit 14, of four cases. A copy for each test."""
    home.mkdir()
    shutil.copy(story_template.settings.home / "perfsvc.sqlite", home)
    store = Store.open(f"sqlite:///{home / 'perfsvc.sqlite'}")
    yield replace(story_template, store=store, settings=Settings(home=home))
    store.close()


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


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """asv's results of one commit, and of two more that look alike."""
    target = tmp_path / "elsewhere" / "gadget" / "results"
    shutil.copytree(DATA / "asv" / "2" / "toy", target)
    (file,) = target.glob("*/c83315cd-*.json")
    told = json.loads(file.read_text())
    for letter in "ab":
        commit = letter * 40
        file.with_name(file.name.replace("c83315cd", commit[:8])).write_text(
            json.dumps(told | {"commit_hash": commit, "date": told["date"] + ord(letter)})
        )
    return target
