"""The head of asv's result files: commit, date, environment, times; and files that make no sense at all."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from perfsvc.errors import ResultFormatError
from perfsvc.formats import asv_file
from perfsvc.formats.asv_file import ResultFile

FILE: dict[str, Any] = {
    "commit_hash": "A" * 40,
    "env_name": "virtualenv-py3.11",
    "date": 1_600_000_000_123,
    "params": {"machine": "m1", "os": "Linux", "python": "3.11", "ram": float("nan")},
    "python": "3.11",
    "requirements": {"numpy": ""},
    "env_vars": {},
    "result_columns": ["result", "params", "version", "started_at", "duration"],
    "results": {"a": [[1.0], [], "1", 1_600_000_005_000, 2.0], "b": [[1.0], [], "1", 1_600_000_004_000, 0.5]},
    "version": 2,
}


def parse(**changed: Any) -> ResultFile:
    words = {key: value for key, value in {**FILE, **changed}.items() if value != "absent"}
    return asv_file.parse(json.dumps(words).encode(), "file.json")


def test_the_head_tells_commit_environment_and_times() -> None:
    found = parse()
    assert found.commit_hash == "a" * 40
    assert found.authored_at == datetime(2020, 9, 13, 12, 26, 40, 123000, tzinfo=UTC)
    assert (found.machine, found.env_name) == ("m1", "virtualenv-py3.11")
    assert found.params == {"machine": "m1", "os": "Linux", "python": "3.11", "ram": None}
    assert found.lock == {"python": "3.11", "requirements": {"numpy": ""}}
    assert found.started_at == datetime(2020, 9, 13, 12, 26, 44, tzinfo=UTC)
    assert found.duration == 2.5


def test_the_oldest_files_have_no_name_of_their_environment() -> None:
    assert parse(env_name="absent", requirements={"six": None, "numpy": "1.9"}).env_name == "py3.11-numpy1.9-six"


@pytest.mark.parametrize("milliseconds", [-1, -(10**13), 4 * 10**12, 1.6e12])
def test_dates_before_1970_and_in_the_future_are_dates(milliseconds: float) -> None:
    assert parse(date=milliseconds).authored_at.timestamp() == milliseconds / 1000


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"date": None}, "its date is None; wanted milliseconds since 1970"),
        ({"date": 10**30}, "its date is 1000000000"),
        ({"date": float("nan")}, "its date is nan"),
        ({"commit_hash": "--upload-pack=x"}, "its commit_hash is '--upload-pack=x'; wanted a hash in hexadecimal"),
        ({"commit_hash": None}, "its commit_hash is None"),
        ({"version": 3}, "has format 3; wanted 1 or 2"),
        ({"version": "absent"}, "has format None; wanted 1 or 2"),
        ({"results": "absent", "date": "absent"}, "has no date, results; wanted a result file of asv"),
    ],
)
def test_a_file_that_makes_no_sense_says_where_what_and_what_was_wanted(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ResultFormatError, match=f"file.json: {message}"):
        parse(**changed)


def test_times_that_no_clock_gave_are_left_out() -> None:
    results = {"a": [[1.0], [], "1", "yesterday", 1e300], "b": [[1.0], [], "1", 10**40, 1e308]}
    found = parse(results=results)
    assert found.started_at is None
    assert found.duration is not None
    assert found.duration < 1e11
