"""What the benchmark tests share: the suite as asv would discover it in a given grid, and asv's own processes."""

import importlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


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


@pytest.fixture
def in_a_process_of_asv() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run one case as asv's own child does: away from the repository, with the suite imported by path."""
    pytest.importorskip("asv_runner")
    code = (
        "import sys; from asv_runner.run import _run; "
        '_run((sys.argv[1], sys.argv[2], \'{"number": 1, "repeat": 1, "warmup_time": 0}\', \'None\', sys.argv[3]))'
    )

    def run(
        case: str, result: Path, *, suite: Path = ROOT / "benchmarks", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code, str(suite), case, str(result)],
            cwd=result.parent,
            env={"OMP_NUM_THREADS": "1", "PATH": "", "PYTHONPATH": str(ROOT), **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    return run
