"""`ingest` of what others measured otherwise: several environments, pools, renamed benchmarks, other tools' files."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import DATA, Call
from tests.cli.toy import Toy


def measured(tree: Path, machine: str, env_name: str, commit: str, value: float, name: str = "suite.time_it") -> None:
    folder = tree / machine
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "machine.json").write_text(json.dumps({"machine": machine, "version": 1}))
    words = {
        "commit_hash": commit * 40,
        "env_name": env_name,
        "date": 1_700_000_000_000 + ord(commit) * 1000,
        "params": {"machine": machine},
        "result_columns": ["result", "params", "version"],
        "results": {name: [[value], [], "1"]},
        "version": 2,
    }
    (folder / f"{commit * 8}-{env_name}.json").write_text(json.dumps(words))


def points(perfsvc: Call, *more: str) -> dict[str, int]:
    perfsvc("process", *more)
    rows = perfsvc("series", "--json", *more).json()["series"]
    return {f"{row['label']} on {row['machine']}": row["points"] for row in rows}


@pytest.fixture
def environments(tmp_path: Path) -> Path:
    """Two commits, each measured with two Pythons that are twice as fast as each other."""
    tree = tmp_path / "widget" / "results"
    for commit in "ab":
        measured(tree, "box", "conda-py3.11", commit, 2.0)
        measured(tree, "box", "conda-py3.12", commit, 1.0)
    return tree


def test_the_values_of_two_environments_never_meet(perfsvc: Call, environments: Path) -> None:
    assert "4 new runs" in perfsvc("ingest", str(environments)).out
    assert points(perfsvc) == {"suite.time_it on box/conda-py3.11": 2, "suite.time_it on box/conda-py3.12": 2}
    rows = perfsvc("series", "--json").json()["series"]
    assert {row["machine"]: set(row["last_values"]) for row in rows} == {
        "box/conda-py3.11": {2.0},
        "box/conda-py3.12": {1.0},
    }


def test_an_environment_that_comes_later_moves_no_series(perfsvc: Call, environments: Path) -> None:
    later = [path.rename(environments / path.name) for path in sorted(environments.glob("box/*py3.12.json"))]
    perfsvc("ingest", str(environments / "box"), "-p", "widget")
    before = points(perfsvc)
    for path in later:
        path.rename(environments / "box" / path.name)
    assert "2 new runs, 2 were there" in perfsvc("ingest", str(environments), "-p", "widget").out
    assert points(perfsvc).items() >= before.items()
    assert len(before) == 1


def test_perfsvc_toml_joins_what_belongs_together(perfsvc: Call, tmp_path: Path) -> None:
    tree = tmp_path / "widget" / "results"
    for place, commit in enumerate("abc"):
        measured(tree, f"fv-az{place}", "py3.12", commit, 1.0)
    measured(tree, "fv-az9", "py3.12", "c", 1.0)  # two runners of one commit: two runs
    measured(tree, "old", "existing-py", "d", 1.0, "suite.time_that")
    (tmp_path / "widget" / "perfsvc.toml").write_text(
        """
        [ingest.pools]
        'fv-az\\d+' = "hosted"
        'old' = "hosted"
        [ingest.environments]
        '.*' = ""
        [[ingest.rename]]
        match = 'suite\\.time_that'
        to = "suite.time_it"
        """
    )
    assert "5 new runs" in perfsvc("ingest", str(tree)).out
    assert points(perfsvc) == {"suite.time_it on hosted": 4}
    assert len(perfsvc("runs", "--json").json()["runs"]) == 5
    assert "0 new runs, 5 were there" in perfsvc("ingest", str(tree)).out


def test_what_was_kept_under_another_name_before_a_rule_is_left_out(perfsvc: Call, environments: Path) -> None:
    measured(environments, "other", "conda-py3.12", "a", 5.0)
    perfsvc("ingest", str(environments))
    (environments.parent / "perfsvc.toml").write_text("[ingest.pools]\n'box' = 'pool'\n")
    said = perfsvc("ingest", str(environments))
    assert "5 new runs, 0 were there" in said.out
    assert "2 runs of box/conda-py3.11 left out: kept as pool/conda-py3.11 now" in said.err
    assert {key: value for key, value in points(perfsvc).items() if value} == {
        "suite.time_it on pool/conda-py3.11": 2,
        "suite.time_it on pool/conda-py3.12": 2,
        "suite.time_it on other/conda-py3.12": 1,
    }
    again = perfsvc("ingest", str(environments))
    assert ("0 new runs, 5 were there" in again.out, "left out" in again.err) == (True, False)


def test_a_dry_run_says_what_of_each_machine_would_be_kept(perfsvc: Call, environments: Path) -> None:
    (environments / "box" / "ffffffff-torn.json").write_text("{")
    said = perfsvc("ingest", str(environments), "--dry-run")
    assert said.out.splitlines() == [
        "widget: box/conda-py3.11: 2 runs with 2 values of 1 benchmark, 0 skips",
        "widget: box/conda-py3.12: 2 runs with 2 values of 1 benchmark, 0 skips",
        "widget: would keep 4 runs, 0 are there already; nothing was kept",
    ]
    assert "ffffffff-torn.json: is not JSON" in said.err
    perfsvc("ingest", str(environments))
    again = perfsvc("ingest", str(environments), "--dry-run")
    assert again.out == "widget: would keep 0 runs, 4 are there already; nothing was kept\n"
    assert again.code == 0


# --- other tools ------------------------------------------------------------------------------------------------------


def test_pytest_benchmark_says_all_of_it_itself(perfsvc: Call) -> None:
    said = perfsvc("ingest", str(DATA / "pytest_benchmark"), "--project", "toy")
    assert "toy: 1 new run," in said.out
    kept = points(perfsvc)
    assert kept["test_toy.py::test_sorted('a-b', 16) on toy/CPython-3.11"] == 1
    assert len(kept) == 6


@pytest.mark.parametrize("name", ["google_benchmark", "bencher"])
def test_a_file_that_knows_no_commit_is_told_it(perfsvc: Call, toy: Toy, name: str) -> None:
    path = next((DATA / name).rglob("*.json"))
    refused = perfsvc("ingest", str(path), "--project", "toy")
    assert refused.code == 2
    assert "does not say which" in refused.err
    asked = ("ingest", str(path), "--project", "toy", "--machine", "box", "--repository", str(toy.folder))
    wrong = perfsvc(*asked, "--commit", "no-such-tag")
    assert (wrong.code, "no commit is called 'no-such-tag'" in wrong.err) == (2, True)
    assert "1 new run," in perfsvc(*asked, "--commit", "HEAD~1").out
    (run,) = perfsvc("runs", "--json").json()["runs"]
    assert run["commit"]["hash"] == toy.hashes[1]
    assert run["machine"].split("/")[0] == "box"
    assert "0 new runs, 1 were there" in perfsvc(*asked, "--commit", "HEAD~1").out
    assert "1 new run," in perfsvc(*asked, "--commit", "HEAD").out


def test_a_commit_without_a_repository_is_nobodys(perfsvc: Call) -> None:
    said = perfsvc("ingest", str(DATA / "bencher" / "1" / "toy.json"), "--machine", "box", "--commit", "HEAD")
    assert (said.code, "nowhere" in said.err, "git" in said.err) == (2, True, True)


def test_a_commit_is_one_of_the_repository_that_one_stands_in(perfsvc: Call, toy: Toy) -> None:
    file = str(DATA / "bencher" / "1" / "toy.json")
    said = perfsvc("ingest", file, "--machine", "box", "--commit", "HEAD~1")
    assert said.out.startswith("toy: 1 new run,")
    (run,) = perfsvc("runs", "--json").json()["runs"]
    assert (run["commit"]["hash"], run["commit"]["position"]) == (toy.hashes[1], 1)


def test_a_tree_that_says_itself_where_it_is_from_is_not_told(perfsvc: Call, environments: Path, home: Path) -> None:
    said = perfsvc("ingest", str(environments), "--machine", "mine")
    assert (said.code, "says itself where and of what it is" in said.err) == (2, True)
    assert not home.exists()


def test_guards_of_an_own_commit_come_in(perfsvc: Call, toy: Toy) -> None:
    guards = DATA / "junit" / "pytest_9" / "every_outcome.xml"
    said = perfsvc("ingest", str(guards), "-p", "toy", "--machine", "box", "--commit", "HEAD", "--repository", ".")
    assert "1 new run," in said.out
    outcomes = Counter(row["outcome"] for row in perfsvc("guards", "--json").json()["guards"])
    assert outcomes["failed"] > 0
    assert outcomes["passed"] > 0


def test_a_shallow_clone_is_told(perfsvc: Call, toy: Toy, environments: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    toy.git("clone", "--quiet", "--depth", "1", f"file://{toy.folder}", str(clone))
    said = perfsvc("ingest", str(environments), "--repository", str(clone))
    assert (said.code, "is a shallow clone: commits are ordered by date" in said.err) == (0, True)


def test_a_perfsvc_toml_alone_names_the_project_of_what_lies_below(perfsvc: Call, environments: Path) -> None:
    elsewhere = environments.parents[1] / "trees" / "theirs"
    shutil.copytree(environments, elsewhere / "results")
    (elsewhere / "perfsvc.toml").write_text("[project]\nname = 'mine'\n")
    assert perfsvc("ingest", str(elsewhere / "results")).out.startswith("mine: 4 new runs")


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ("[ingest.pools]\n'(' = 'x'", "is no regular expression"),
        ("[ingest.pools]\n'a' = '\\2'", r"ingest.pools: Value error, '\\2' cannot be filled from 'a'"),
        ("[ingest.pools]\n'a' = ''", "a pool has no name"),
        ("[[ingest.rename]]\nmatch = 'a'\nto = '\\g<x>'", "cannot be filled from 'a'"),
        ("[[ingest.rename]]\nto = 'b'", "ingest.rename.0.match: Field required"),
    ],
)
def test_rules_that_make_no_sense_are_told_with_their_place(
    perfsvc: Call, environments: Path, rules: str, said: Any
) -> None:
    (environments.parent / "perfsvc.toml").write_text(rules)
    told = perfsvc("ingest", str(environments))
    assert told.code == 2
    assert "perfsvc.toml: ingest" in told.err
    assert said in told.err
