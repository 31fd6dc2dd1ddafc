"""What pytest-benchmark 5 wrote of a toy suite, and what older versions and other machines write differently."""

from __future__ import annotations

import json
import statistics
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from perfsvc.errors import ResultFormatError
from perfsvc.formats import RunIdentity, pytest_benchmark, read
from perfsvc.model import Commit, Complaint, Direction, Metric, RunReport

TOY = Path(__file__).parents[1] / "data" / "pytest_benchmark" / "5" / "toy.json"
TOLD: dict[str, Any] = json.loads(TOY.read_text())
COMMIT = Commit("b" * 40, datetime(2026, 1, 2, tzinfo=UTC))


def parse(run: RunIdentity = RunIdentity(), **changed: Any) -> tuple[RunReport, list[Complaint]]:  # noqa: B008
    return pytest_benchmark.read(json.dumps({**TOLD, **changed}).encode(), "toy.json", run)


def commit_info(**changed: Any) -> dict[str, Any]:
    return {"commit_info": {**TOLD["commit_info"], **changed}}


def test_every_number_is_the_files() -> None:
    report, complaints = parse()
    assert complaints == []
    told = {each["fullname"]: each["stats"] for each in TOLD["benchmarks"]}
    assert len(report.measurements) == len(told) == 6
    plain = next(each for each in report.measurements if each.params == ())
    stats = told["test_toy.py::test_sum"]
    assert (plain.value, plain.q25, plain.q75) == (stats["median"], stats["q1"], stats["q3"])
    assert plain.samples == tuple(stats["data"])
    assert plain.value == pytest.approx(statistics.median(plain.samples))


def test_a_test_is_a_benchmark_and_its_brackets_are_parameters() -> None:
    report, _ = parse()
    (described,) = [each for each in report.benchmarks if each.name == "test_toy.py::test_sorted"]
    assert described.param_names == ("kind", "size")
    assert described.metric == Metric("time", "seconds", Direction.LOWER)
    cases = [each.params for each in report.measurements if each.benchmark == described.name]
    assert cases == [("'a-b'", "16"), ("'a-b'", "32"), ("None", "16"), ("None", "32")]


def test_a_parameter_that_json_lacks_is_named_as_pytest_names_it() -> None:
    """Its repr may hold an address, which would be another series in every run."""
    report, _ = parse()
    (shape,) = [each for each in report.measurements if "shape" in each.benchmark]
    assert (shape.benchmark, shape.params) == ("test_toy.py::test_shape", ("shape0",))


def test_the_file_says_where_and_of_what_it_is() -> None:
    report, _ = parse()
    assert (report.machine, report.env_name) == ("toy", "CPython-3.11")
    assert report.commit.hash == TOLD["commit_info"]["id"]
    assert report.commit.authored_at.tzinfo is not None
    assert report.environment is not None
    assert report.environment.fingerprint["cpu"] == "A processor"


def test_what_is_said_beside_the_file_counts_before_it() -> None:
    report, _ = parse(RunIdentity("box", "mine", COMMIT))
    assert (report.machine, report.env_name, report.commit) == ("box", "mine", COMMIT)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (commit_info(dirty=True), "was measured with uncommitted changes; wanted a commit beside it (--commit)"),
        (commit_info(id="unversioned"), "commit_info: id is 'unversioned'; wanted a hash in hexadecimal"),
        (commit_info(id=None), "does not say which commit it is of"),
        ({**commit_info(author_time=None, time=None), "datetime": None}, "has no date"),
        (commit_info(author_time="yesterday"), "author_time is 'yesterday'; wanted a time such as"),
        ({"machine_info": {}}, "machine_info: has no node"),
        ({"machine_info": []}, "machine_info is []; wanted an object"),
        ({"benchmarks": [1]}, "benchmarks is [1]; wanted a list, each of it an object"),
    ],
)
def test_a_file_that_makes_no_sense_says_why(changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(ResultFormatError) as told:
        parse(**changed)
    assert str(told.value).startswith("toy.json: ")
    assert reason in str(told.value)


def test_uncommitted_changes_are_somebodys_word_for_a_commit() -> None:
    report, _ = parse(RunIdentity(commit=COMMIT), **commit_info(dirty=True))
    assert report.commit == COMMIT


def test_a_benchmark_that_makes_no_sense_is_a_complaint_and_the_others_go_in() -> None:
    first, *others = TOLD["benchmarks"]
    broken = [{**first, "stats": 7}, {"stats": {}}, first, first, {**first, "fullname": "x", "stats": {}}]
    report, complaints = parse(benchmarks=[*broken, *others])
    assert len(report.measurements) == 6
    assert [skip.reason for skip in report.skips] == ["it has no median"]
    assert [each.reason for each in complaints] == [
        "benchmark 0: stats is 7; wanted an object",
        "benchmark 1: has no name",
        "test_toy.py::test_sum: is there twice with the parameters none",
    ]


def test_the_oldest_files_have_neither_dates_of_commits_nor_parameters() -> None:
    old = [{"name": "test_x", "fullname": "t.py::test_x", "stats": {"median": 2.0}}]
    report, _ = parse(
        benchmarks=old, commit_info={"id": "c" * 40, "dirty": False}, datetime="2015-08-15T03:01:57.144216"
    )
    assert report.commit.authored_at == datetime(2015, 8, 15, 3, 1, 57, 144216, tzinfo=UTC)
    assert [(each.benchmark, each.value, each.samples) for each in report.measurements] == [("t.py::test_x", 2.0, ())]


def test_a_storage_folder_is_a_run_a_file(tmp_path: Path) -> None:
    folder = tmp_path / ".benchmarks" / "Linux-CPython-3.11-64bit"
    folder.mkdir(parents=True)
    (folder / "0001_a.json").write_text(TOY.read_text())
    (folder / "0002_b.json").write_text(json.dumps({**TOLD, **commit_info(id="d" * 40)}))
    (folder / "0003_c.json").write_text(json.dumps({**TOLD, **commit_info(dirty=True)}))
    (folder / "notes.json").write_text("{}")
    found = list(read(tmp_path / ".benchmarks"))
    assert [each.commit.hash[0] for each in found if isinstance(each, RunReport)] == ["c", "d"]
    (complaint,) = [each for each in found if isinstance(each, Complaint)]
    assert complaint.place.endswith("0003_c.json")
