"""The commands that read: a line a row for people, rows for programs, and an exit code for scripts."""

from pathlib import Path

import pytest

from perfsvc import units
from perfsvc.cli import context
from perfsvc.errors import NotFound
from perfsvc.settings import Settings
from perfsvc.store import Store, writes
from tests.bench import NOON, Bench
from tests.cli.conftest import Call

READING = ("alerts", "changes", "series", "runs", "jobs", "guards")


def test_before_anything_is_stored_it_says_what_to_do(perfsvc: Call) -> None:
    for command in READING:
        said = perfsvc(command)
        assert (said.code, said.out) == (2, "")
        assert said.err.startswith("perfsvc: there is no perfsvc database at ")
        assert "perfsvc init" in said.err
        assert said.err.count("\n") == 1


def test_alerts_name_commit_and_change_and_end_with_1(perfsvc: Call, story: Bench) -> None:
    said = perfsvc("alerts")
    assert said.code == 1
    head, wrong, slow = said.out.splitlines()[1:]
    assert head.split() == ["alert", "kind", "state", "cause", "opened", "since", "what"]
    assert "wrong result" in wrong
    assert story.line[14].hash[:8] in wrong
    assert story.line[12].hash[:8] in slow
    assert "count_forward" in slow


def test_no_alert_is_a_good_ending_with_a_word_to_people(perfsvc: Call, story: Bench) -> None:
    for alert in (1, 2):
        assert perfsvc("accept", str(alert), "--reason", "it is meant").code == 0
    said = perfsvc("alerts")
    assert (said.code, said.out) == (0, "")
    assert "no alert stands in attention" in said.err
    assert perfsvc("alerts", "--all").out.count("accepted") == 2


def test_labels_stand_on_one_line_however_long(perfsvc: Call, story: Bench) -> None:
    label = "time_components.Mask.time_mask('bool_tril', 512, 'and a parameter that is longer than a terminal is wide')"
    story.run(15, {label: 1.0}, origin="again")
    story.process()
    said = perfsvc("series")
    assert said.code == 0
    assert [line for line in said.out.splitlines() if line.endswith(f"  {label}")]


def test_series_can_be_chosen(perfsvc: Call, story: Bench) -> None:
    assert len(perfsvc("series", "--json").json()["series"]) == 2
    assert len(perfsvc("series", "--json", "--match", "count").json()["series"]) == 1
    assert perfsvc("series", "--json", "--machine", "nobody").json()["series"] == []


def test_what_all_rows_share_is_said_once(perfsvc: Call, story: Bench) -> None:
    said = perfsvc("series").out.splitlines()
    assert said[0] == "on box"
    assert "box" not in "".join(said[1:])


def test_changes_and_runs_and_jobs(perfsvc: Call, story: Bench) -> None:
    changes = perfsvc("changes")
    assert (changes.code, len(changes.out.splitlines())) == (0, 3)
    assert units.times(1.2) in changes.out
    runs = perfsvc("runs", "--limit", "2")
    assert len(runs.out.splitlines()) == 4
    assert "2 passed, 2 failed" in runs.out
    assert "no job was ordered" in perfsvc("jobs").err


def test_guards_fold_their_cases(perfsvc: Call, story: Bench) -> None:
    said = perfsvc("guards")
    assert said.code == 1
    _, head, naive, sdpa = said.out.splitlines()
    assert "worst margin" in head
    assert "2 failed" in naive
    assert "4.00x the tolerance" in naive
    assert naive.endswith("AssertionError: token 3 sees token 4")
    assert "2 passed" in sdpa
    assert len(perfsvc("guards", "--failed").out.splitlines()) == 3


def test_guards_are_all_there_for_those_who_ask(perfsvc: Call, story: Bench) -> None:
    every = perfsvc("guards", "--all")
    assert [line.split()[-1] for line in every.out.splitlines()[2:]] == [f"test_g4[{n}]" for n in (2, 4, 1, 8)]
    assert len(perfsvc("guards", "--json").json()["guards"]) == 4


def test_show_tells_everything_about_one_alert(perfsvc: Call, story: Bench) -> None:
    (slow,) = (a for a in perfsvc("alerts", "--json").json()["alerts"] if a["kind"] == "regression")
    said = perfsvc("show", str(slow["id"]))
    assert said.code == 0
    for word in ("count_forward", story.line[12].hash[:8], "history:", "state: open", "perfsvc accept"):
        assert word in said.out
    assert perfsvc("show", str(slow["id"]), "--json").json()["alert"]["alert"]["id"] == slow["id"]


@pytest.mark.parametrize("number", ["99", "0", "99999999999999999999999", "many"])
def test_an_alert_that_is_not_there(perfsvc: Call, story: Bench, number: str) -> None:
    assert perfsvc("show", number).code == 2


def test_an_unknown_project_is_told_with_those_that_are_known(perfsvc: Call, story: Bench) -> None:
    for command in (*READING, "process"):
        said = perfsvc(command, "--project", "attentoin")
        assert said.code == 2
        assert said.err == "perfsvc: there is no project 'attentoin'; known: attention\n"


def test_of_several_projects_one_must_be_named(perfsvc: Call, story: Bench) -> None:
    with story.store.writing() as tx:
        writes.catalog.keep_project(tx, "other", now=NOON)
    said = perfsvc("series")
    assert said.code == 2
    assert "add --project" in said.err
    assert perfsvc("series", "-p", "attention").code == 0


def test_the_project_is_the_one_whose_folder_one_stands_in(story: Bench, tmp_path: Path) -> None:
    with story.store.writing() as tx:
        writes.catalog.keep_project(tx, "here", now=NOON, repository=str(tmp_path))
    standing = Settings(home=tmp_path, folder=tmp_path)
    assert context.the_project(story.store, standing, "").name == "here"
    assert context.the_project(story.store, standing, "attention").name == "attention"


def test_a_store_without_projects_says_how_to_get_one(sqlite_store: Store, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="nothing is stored yet"):
        context.the_project(sqlite_store, Settings(home=tmp_path), "")


def test_a_newer_database_is_left_alone_by_every_command(perfsvc: Call, story: Bench) -> None:
    with story.store.writing() as tx:
        tx.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    for command in (("alerts",), ("init",), ("process",), ("accept", "1", "-r", "x"), ("ingest", ".")):
        said = perfsvc(*command)
        assert said.code == 2
        assert "a newer perfsvc wrote it" in said.err or command[0] == "ingest"
    assert "MISSING database" in perfsvc("doctor").out


def test_a_file_that_is_no_database(perfsvc: Call, home: Path) -> None:
    home.mkdir()
    (home / "perfsvc.sqlite").write_bytes(b"not a database at all, but long enough to be read as one" * 20)
    said = perfsvc("alerts")
    assert said.code in (2, 3)
    assert said.err.startswith("perfsvc: ")
    assert "Traceback" not in said.err
