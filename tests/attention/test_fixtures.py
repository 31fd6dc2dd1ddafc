"""The stored cases of guard G3 are what their generator says, and the generator is no echo of the library."""

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
STORED = json.loads((ROOT / "tests" / "guards" / "fixtures.json").read_text())
#: exp and the order of a sum differ by machine: some roundings of values of size one.
TOLERANCE = 1e-14
COMPUTED = {"out", "dropped_out", "gradients"}


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    tool = runpy.run_path(str(ROOT / "tools" / "make_fixtures.py"))
    return json.loads(tool["text"](tool["cases"]()))


@pytest.mark.parametrize("name", STORED)
def test_the_generator_writes_what_is_stored(name, made) -> None:
    assert made[name].keys() == STORED[name].keys()
    for what, stored in STORED[name].items():
        if what in COMPUTED:
            for one, other in zip(leaves(made[name][what]), leaves(stored), strict=True):
                np.testing.assert_allclose(one, other, rtol=0, atol=TOLERANCE)
        else:
            assert made[name][what] == stored, what
    assert list(made) == list(STORED)


def leaves(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else [value]


def test_inputs_are_exact_in_eight_bits() -> None:
    for case in STORED.values():
        for what in {"x", "context", "q", "k", "v", "along"} & set(case):
            steps = np.array(case[what]) * 64
            assert (steps == steps.round()).all()
            assert np.abs(steps).max() <= 64


def test_the_generator_imports_nothing_of_what_it_judges() -> None:
    source = (ROOT / "tools" / "make_fixtures.py").read_text()
    imports = [line for line in source.splitlines() if line.startswith(("import ", "from "))]
    assert not any("torch" in line or "attention" in line for line in imports), imports
