"""What `--json` prints is an interface: the names of its fields are written down here, and only added to."""

from dataclasses import fields
from typing import Any

import pytest

from perfsvc import rows
from perfsvc.doctoring import Check
from perfsvc.rows import to_json
from tests.bench import Bench
from tests.cli.conftest import Call

COMMIT = "author authored_at hash id position subject"
ALERT = (
    "cause changes commits_in_range created_at evidence explanation first_bad guards id kind last_good machines owner "
    "project state title updated_at worst_ratio"
)
CHANGE = (
    "after alert before environment_moved explanation first_bad flags found_at id kind label last_good machine metric "
    "n_after n_before p q ratio ratio_high ratio_low series state unit worse"
)
FIELDS = {
    rows.CommitRow: COMMIT,
    rows.AlertRow: ALERT,
    rows.ChangeRow: CHANGE,
    rows.SeriesRow: "benchmark direction exact id label last_values latest latest_at latest_commit machine metric "
    "minimum_detectable_effect param_names params points project ratio sigma unit verdict version",
    rows.RunRow: "canary commit duration env_name environment excluded guards_failed guards_passed id job machine "
    "measurements messages noisy origin project readings skips started_at stored_at suite_revision",
    rows.JobRow: "attempt cancel_requested created_at device done due_at ended_at id kind lease_until message project "
    "runner spec started_at state suite_revision",
    rows.GuardRow: "commit covers device dtype error guard machine margin message outcome run test tolerance variant",
    rows.AlertDetail: "alert changes commits events guards",
    rows.AlertGuardRow: "error first_bad guard last_good machine message recovered_at test tolerance variant",
    rows.AlertEventRow: "action actor at reason",
    rows.PointRow: "commit environment measured_at q25 q75 runs skip value wrong",
    rows.ProjectRow: "branch commit_url id name ordered_by_git repository",
    rows.RunnerRow: "created_at device id last_seen_at machine_facts name",
    Check: "found needed ok remedy what",
}
DERIVED = {rows.SeriesRow: {"label"}, rows.GuardRow: {"margin"}}
KINDS = {
    "alerts": rows.AlertRow,
    "changes": rows.ChangeRow,
    "series": rows.SeriesRow,
    "runs": rows.RunRow,
    "guards": rows.GuardRow,
    "doctor": Check,
}


@pytest.mark.parametrize("row", FIELDS, ids=lambda row: row.__name__)
def test_the_fields_of_each_kind(row: Any) -> None:
    assert sorted({field.name for field in fields(row)} | DERIVED.get(row, set())) == FIELDS[row].split()


@pytest.mark.parametrize("command", KINDS)
def test_each_command_prints_its_kind(command: str, perfsvc: Call, story: Bench) -> None:
    told = perfsvc(command, "--json").json()
    kind = "checks" if command == "doctor" else command
    assert list(told) == ["perfsvc", kind]
    assert told["perfsvc"] == 1
    assert told[kind]
    assert {tuple(sorted(row)) for row in told[kind]} == {tuple(FIELDS[KINDS[command]].split())}


def test_nothing_to_tell_is_an_empty_list(perfsvc: Call, story: Bench) -> None:
    assert perfsvc("jobs", "--json").json() == {"perfsvc": 1, "jobs": []}


def test_one_alert_is_an_object(perfsvc: Call, story: Bench) -> None:
    detail = perfsvc("show", "1", "--json").json()["alert"]
    assert sorted(detail) == FIELDS[rows.AlertDetail].split()
    assert sorted(detail["alert"]) == ALERT.split()
    assert sorted(detail["commits"][0]) == COMMIT.split()


def test_numbers_that_json_lacks_are_null() -> None:
    assert to_json([float("nan"), float("inf"), 1.5]) == [None, None, 1.5]
