"""Results that asv left elsewhere, beside their git repository: the first bad commit, or the range, is named."""

from __future__ import annotations

import json
import os
import random
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

COMMITS, STEP, UNMEASURED = 40, 25, (24, 25)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    folder = tmp_path_factory.mktemp("foreign")
    identity = {
        f"GIT_{who}_{what}": "someone@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    hashes = []

    def git(*arguments: str, at: int = 0) -> str:
        dates = {"GIT_AUTHOR_DATE": f"{at} +0000", "GIT_COMMITTER_DATE": f"{at} +0000"}
        environment = {**os.environ, **identity, **dates}
        ran = subprocess.run(
            ["git", *arguments], cwd=folder, env=environment, check=True, capture_output=True, text=True
        )
        return ran.stdout.strip()

    git("init", "--quiet", "--initial-branch=main")
    for number in range(COMMITS):
        git("commit", "--quiet", "--allow-empty", "-m", f"change {number}", at=1_700_000_000 + number * 60)
        hashes.append(git("rev-parse", "HEAD"))
    return folder, hashes


@pytest.fixture(scope="module")
def results(repository: tuple[Path, list[str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """asv's format 2, one time benchmark with two parameters; 'slow' is a quarter slower from commit STEP on.

    Measured in two environments on one machine: the second takes twice as long, and shows no step.
    """
    tree = tmp_path_factory.mktemp("results")
    noise = random.Random(7)
    (tree / "box").mkdir()
    (tree / "box" / "machine.json").write_text(json.dumps({"machine": "box", "version": 1}))
    described = {
        "name": "suite.time_it",
        "type": "time",
        "unit": "seconds",
        "version": "1",
        "params": [["'slow'", "'same'"]],
    }
    (tree / "benchmarks.json").write_text(
        json.dumps({"suite.time_it": described | {"param_names": ["which"]}, "version": 2})
    )
    for number, commit in enumerate(repository[1]):
        if number in UNMEASURED:
            continue
        first = (0.0125 if number >= STEP else 0.01, 0.01)
        for environment, levels in (("py3.11", first), ("py3.12", (0.02, 0.02))):
            values = [level * noise.lognormvariate(0, 0.01) for level in levels]
            words = measured(commit, number, environment, values)
            (tree / "box" / f"{commit[:8]}-{environment}.json").write_text(json.dumps(words))
    return tree


def measured(commit: str, number: int, environment: str, values: list[float]) -> dict[str, Any]:
    """A result file."""
    return {
        "commit_hash": commit,
        "env_name": environment,
        "date": (1_700_000_000 + number * 60) * 1000,
        "params": {"machine": "box"},
        "python": environment.removeprefix("py"),
        "requirements": {},
        "env_vars": {},
        "result_columns": ["result", "params", "version"],
        "results": {"suite.time_it": [values, [["'slow'", "'same'"]], "1"]},
        "durations": {},
        "version": 2,
    }


def test_the_range_is_named(repository: Any, results: Path, shell: Callable[..., Any]) -> None:
    folder, hashes = repository
    here = shell(folder)
    ingest = ("ingest", str(results), "--repository", str(folder), "--project", "foreign")
    assert f"{2 * (COMMITS - len(UNMEASURED))} new runs" in here(*ingest)
    here("process", "--project", "foreign", wanted=(1,))
    (alert,) = here.rows("alerts", "--project", "foreign")
    assert alert["last_good"]["hash"] == hashes[23]
    assert alert["first_bad"]["hash"] == hashes[26]
    assert alert["commits_in_range"] == 3
    (change,) = here.rows("changes", "--project", "foreign")
    assert "'slow'" in change["label"]
    assert change["machine"] == "box/py3.11"
    assert change["ratio_low"] <= 1.25 <= change["ratio_high"]


def test_adding_it_twice_changes_nothing(repository: Any, results: Path, shell: Callable[..., Any]) -> None:
    here = shell(repository[0])
    before = here.rows("alerts", "--project", "foreign", "--all")
    again = here("ingest", str(results), "--repository", str(repository[0]), "--project", "foreign")
    assert "0 new runs" in again
    here("process", "--project", "foreign")
    assert here.rows("alerts", "--project", "foreign", "--all") == before


@pytest.mark.parametrize("name", ["metpy", "flowkit"])
def test_a_real_tree_twice_changes_nothing(name: str, tmp_path: Path, shell: Callable[..., Any]) -> None:
    trees = os.environ.get("PERFSVC_ASV_TREES")
    if not trees:
        pytest.skip("PERFSVC_ASV_TREES names no folder of asv trees")
    with tarfile.open(Path(trees) / f"{name}.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    here = shell(tmp_path)
    here("ingest", str(tmp_path), "--project", name)
    here("process", "--project", name, wanted=(0, 1))
    before = {kind: here.rows(kind, "--project", name) for kind in ("alerts", "changes", "series", "runs")}
    assert "0 new runs" in here("ingest", str(tmp_path), "--project", name)
    here("process", "--project", name)
    assert {kind: here.rows(kind, "--project", name) for kind in before} == before
