"""`asv continuous` as people type it: a commit that does everything twice is told by its time and by its counters."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from perfsvc import selftest

ROOT = Path(__file__).parents[2]
TIME = "forward.Forward.time_forward('cached', 'b4_t256_c64')"
OPERATORS = "counters.Forward.track_operators('cached', 'b4_t256_c64')"
#: Put torch and what else is installed beside the tests onto the path of asv's environment: building takes seconds.
LINK = "import sysconfig as s; open(s.get_path('purelib') + '/beside.pth', 'w').write({there!r})"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("continuous") / "repository"
    selftest.plant_history(ROOT, folder, ("", "forward_twice"), selftest.read_mutants(ROOT / "tests/mutants"))
    conf = json.loads((folder / "asv.conf.json").read_text())
    conf["matrix"]["req"] = {}
    link = LINK.format(there=sysconfig.get_path("purelib"))
    conf["install_command"].append(f'python -c "{link}"')
    (folder / "asv.conf.json").write_text(json.dumps(conf))
    return folder


@pytest.mark.timeout(900)  # building an environment, and sixteen processes that import torch
def test_a_head_that_works_twice_is_slower_and_has_more_operators(repository: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "COLUMNS": "200"}  # asv keeps its machine file there
    if (settings := Path.home() / ".config" / "pip").is_dir():
        (tmp_path / ".config").mkdir()
        (tmp_path / ".config" / "pip").symlink_to(settings)

    def asv(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "asv", *arguments]
        return subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True, check=False)

    asv("machine", "--yes")
    # Four rounds, not six: for a step like this they do, and each is a process that imports torch.
    options = ("-f", "1.03", "-a", "rounds=4", "--bench", r"Forward\.(time_forward|track_operators).*'cached'")
    told = asv("continuous", *options, "main~1", "main")
    said = f"{told.stdout}\n{told.stderr}"
    worse = [line for line in told.stdout.splitlines() if line.startswith("| +")]
    assert any(TIME in line for line in worse), said
    assert any(OPERATORS in line for line in worse), said
    before, after = (values(repository, revision) for revision in ("main~1", "main"))
    assert after[TIME] > before[TIME]
    assert after[OPERATORS] == 2 * before[OPERATORS]


def values(repository: Path, revision: str) -> dict[str, float]:
    """asv's own results of a commit: medians, by benchmark and parameters."""
    named = subprocess.run(["git", "rev-parse", revision], cwd=repository, capture_output=True, text=True, check=True)
    (file,) = (repository / ".asv" / "results").glob(f"*/{named.stdout[:8]}-*.json")
    found: dict[str, float] = {}
    held = json.loads(file.read_text())
    for name, row in held["results"].items():
        told = dict(zip(held["result_columns"], row, strict=False))
        variants, inputs = told["params"]
        cases = [f"{name}({variant}, {given})" for variant in variants for given in inputs]
        found |= {case: value for case, value in zip(cases, told["result"], strict=True) if value is not None}
    return found
