"""What the benchmark tests share: the suite as asv would discover it in a given grid."""

import importlib
import sys
from collections.abc import Callable, Iterator

import pytest


@pytest.fixture
def discover(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], list[object]]]:
    """Import the suite anew under a grid and hand out asv's own benchmark objects."""
    discovery = pytest.importorskip("asv_runner.discovery")

    def forget() -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] == "benchmarks"]:
            del sys.modules[name]

    def find(grid: str) -> list[object]:
        monkeypatch.setenv("PERFSVC_GRID", grid)
        forget()
        importlib.invalidate_caches()
        return list(discovery.disc_benchmarks("benchmarks"))

    yield find
    forget()
