"""`ingest`, `process`, `exclude`: results that are there already, and what is made of them."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from perfsvc.store import Store, queries
from tests.bench import Bench
from tests.cli.conftest import DATA, Call
from tests.cli.toy import Toy


def projects(home: Path) -> list[Any]:
    store = Store.open(f"sqlite:///{home / 'perfsvc.sqlite'}")
    with store.reading() as tx:
        found = queries.projects(tx)
    store.close()
    return found


def test_adding_twice_changes_nothing(perfsvc: Call, tree: Path) -> None:
    first = perfsvc("ingest", str(tree), "--project", "toy")
    assert first.code == 0
    assert "toy: 3 new runs, 0 were there already" in first.out
    assert "perfsvc process --project toy" in first.out
    assert "no repository at hand" in first.err
    second = perfsvc("ingest", str(tree), "--project", "toy")
    assert (second.code, second.out) == (0, "toy: 0 new runs, 3 were there already\n")
    assert perfsvc("process").code == 0
    assert "judged 0 runs" in perfsvc("process").out
    assert "judged 3 runs" in perfsvc("process", "--all").out


def test_a_dry_run_keeps_nothing(perfsvc: Call, tree: Path, home: Path) -> None:
    said = perfsvc("ingest", str(tree), "--dry-run")
    assert said.code == 0
    assert "would keep 3 runs, 0 are there already; nothing was kept" in said.out
    assert not home.exists()


def test_a_truncated_file_is_told_and_the_rest_goes_in(perfsvc: Call, tree: Path) -> None:
    (file,) = tree.glob("*/aaaaaaaa-*.json")
    file.write_text(file.read_text()[:200])
    said = perfsvc("ingest", str(tree))
    assert said.code == 0
    assert f"not read: {file}" in said.err
    assert "2 new runs" in said.out
    alone = perfsvc("ingest", str(file))
    assert alone.code == 2
    assert alone.err.startswith("perfsvc: ") or "not read: " in alone.err


@pytest.mark.parametrize("path", ["docs", "nowhere/at/all"])
def test_what_holds_no_results_is_refused_before_anything_is_made(
    perfsvc: Call, tmp_path: Path, home: Path, path: str
) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# no results\n")
    said = perfsvc("ingest", str(tmp_path / path))
    assert said.code == 2
    assert said.err.startswith(f"perfsvc: {tmp_path / path}: ")
    assert not home.exists()


def test_an_unknown_format_is_told_with_those_that_are_known(perfsvc: Call, tree: Path, home: Path) -> None:
    said = perfsvc("ingest", str(tree), "--format", "csv")
    assert not home.exists()
    assert (said.code, "wanted auto, bundle, asv" in said.err) == (2, True)


def test_a_tree_without_a_suite_is_named_by_its_folder(perfsvc: Call, tree: Path, home: Path) -> None:
    perfsvc("ingest", str(tree))
    assert [row.name for row in projects(home)] == ["gadget"]


def test_results_of_others_are_not_the_projects_whose_folder_they_lie_in(
    perfsvc: Call, tree: Path, toy: Toy, home: Path
) -> None:
    foreign, own = toy.folder / "vendor" / "widget", toy.folder / "results"
    shutil.copytree(tree, foreign)
    shutil.copytree(tree, own)
    assert perfsvc("ingest", str(foreign)).out.startswith("widget: 3 new")
    assert perfsvc("ingest", str(own)).out.startswith("toy: 3 new")
    widget, mine = sorted(projects(home), key=lambda row: row.name != "widget")
    assert (widget.repository, mine.repository) == ("", str(toy.folder))


def test_a_bundle_says_itself_whose_it_is(perfsvc: Call, home: Path) -> None:
    bundle = DATA / "bundle" / "1" / "two_rounds"
    told = json.loads((bundle / "bundle.json").read_text())
    assert "1 new run," in perfsvc("ingest", str(bundle)).out
    assert [row.name for row in projects(home)] == [told["project"]]
    (run,) = perfsvc("runs", "--json").json()["runs"]
    assert (run["job"], run["origin"].split(":")[0]) == (None, "bundle")  # job 7 of another service is none of ours
    assert "0 new runs, 1 were there" in perfsvc("ingest", str(bundle)).out


def test_the_only_branch_is_the_branch_and_a_wrong_one_is_told(perfsvc: Call, tree: Path, toy: Toy, home: Path) -> None:
    toy.git("branch", "--move", "main", "trunk")
    asked = ("ingest", str(tree), "--project", "other", "--repository", str(toy.folder))
    said = perfsvc(*asked, "--branch", "devel")
    assert (said.code, "there is no branch 'devel'; there is: trunk" in said.err) == (2, True)
    assert perfsvc(*asked).code == 0
    (row,) = projects(home)
    assert (row.branch, row.ordered_by_git) == ("trunk", True)


def test_process_ends_with_1_when_it_opens_an_alert(perfsvc: Call, story: Bench) -> None:
    story.run(16, {"time_forward('cached', 512)": 1e-3, "count_forward": 99})
    said = perfsvc("process")
    assert said.code == 1
    assert "ALERT" in said.out


def test_an_excluded_run_no_longer_counts(perfsvc: Call, story: Bench) -> None:
    run = perfsvc("runs", "--json").json()["runs"][0]["id"]
    refused = perfsvc("exclude", str(run))
    assert (refused.code, "needs a reason" in refused.err) == (2, True)
    assert perfsvc("exclude", str(run), "--reason", "somebody compiled beside it", "--by", "Ada").code == 0
    assert perfsvc("process").code in (0, 1)
    assert "somebody compiled beside it (Ada)" in perfsvc("runs").out
    assert {row["points"] for row in perfsvc("series", "--json").json()["series"]} == {15}
    assert perfsvc("exclude", "4711", "--reason", "x").err == "perfsvc: there is no run 4711\n"


def test_steps_that_an_alert_does_not_allow_are_told(perfsvc: Call, story: Bench) -> None:
    assert "needs a reason" in perfsvc("dismiss", "1").err
    assert perfsvc("acknowledge", "1").out.startswith("alert 1 is acknowledged")
    assert perfsvc("dismiss", "1", "-r", "noise").code == 0
    assert perfsvc("accept", "1", "-r", "meant").code == 2
    assert perfsvc("reopen", "1").out.startswith("alert 1 is open")
    assert perfsvc("accept", "99", "-r", "meant").err == "perfsvc: there is no alert 99\n"
    history = perfsvc("show", "1", "--json").json()["alert"]["events"]
    assert [event["action"] for event in history][-3:] == ["acknowledge", "dismiss", "reopen"]


def test_process_uses_the_projects_own_settings(perfsvc: Call, story: Bench, toy: Toy) -> None:
    """Standing in the toy's folder, whose perfsvc.toml is broken for others, does not change another project."""
    toy.write("perfsvc.toml", "[detect]\nminimum_effect = 9.0\n")
    story.run(16, {"count_forward": 99})
    assert perfsvc("process", "--project", "attention").code == 1
