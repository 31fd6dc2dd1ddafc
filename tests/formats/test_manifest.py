"""bundle.json: what is written is what is read; what is wrong is told with its key."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsvc.errors import ResultFormatError
from perfsvc.formats.manifest import Manifest, parse_manifest, read_manifest, write_manifest
from perfsvc.model import Commit, Environment

SMALL = Manifest("attention", "m1-mps", "mps", Commit("a" * 40, datetime(2026, 1, 31, 22, tzinfo=UTC)))

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8)
JSON = st.dictionaries(TEXT, st.one_of(TEXT, st.integers(), st.booleans(), st.none(), st.lists(TEXT)), max_size=3)
MOMENTS = st.integers(-(2**31), 2**33).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
NUMBERS = st.one_of(st.none(), st.integers(0, 2**62))
MANIFESTS = st.builds(
    Manifest,
    project=NAMES,
    machine=NAMES,
    device=TEXT,
    commit=st.builds(
        Commit,
        hash=st.text("0123456789abcdef", min_size=40, max_size=40),
        authored_at=MOMENTS,
        parents=st.lists(TEXT, max_size=2).map(tuple),
        author=TEXT,
        subject=TEXT,
        trailers=st.lists(st.tuples(TEXT, TEXT), max_size=2).map(tuple),
        changed_paths=st.lists(TEXT, max_size=2).map(tuple),
    ),
    suite_revision=TEXT,
    environment=st.builds(Environment, lock=JSON, fingerprint=JSON),
    started_at=st.one_of(st.none(), MOMENTS),
    duration=st.one_of(st.none(), st.floats(0, 1e9)),
    readings=JSON,
    canary=JSON,
    job=NUMBERS,
    attempt=NUMBERS,
    messages=st.lists(TEXT, max_size=2).map(tuple),
)


def words(**changed: Any) -> dict[str, Any]:
    commit = {"hash": "a" * 40, "authored_at": "2026-01-31T22:00:00+00:00"}
    told = {"bundle": 1, "project": "attention", "machine": "m1-mps", "device": "mps", "commit": commit, **changed}
    return {key: value for key, value in told.items() if value != "absent"}


def parse(**changed: Any) -> Manifest:
    return parse_manifest(json.dumps(words(**changed)).encode(), "bundle.json")


@given(MANIFESTS)
def test_what_is_written_is_what_is_read(tmp_path_factory: pytest.TempPathFactory, manifest: Manifest) -> None:
    folder = tmp_path_factory.mktemp("bundle", numbered=True)
    write_manifest(folder, manifest)
    assert read_manifest(folder) == manifest
    assert [path.name for path in folder.iterdir()] == ["bundle.json"]


def test_a_manifest_may_tell_only_what_it_must() -> None:
    assert parse() == SMALL


def test_times_are_brought_to_utc() -> None:
    east = datetime(2026, 2, 1, 3, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert parse(started_at=east.isoformat()).started_at == datetime(2026, 1, 31, 22, tzinfo=UTC)
    assert parse(started_at="2026-01-31T22:00:00Z").started_at == datetime(2026, 1, 31, 22, tzinfo=UTC)
    assert parse(started_at="2026-01-31T22:00:00").started_at == datetime(2026, 1, 31, 22, tzinfo=UTC)


def test_readings_that_are_no_numbers_are_written_as_null(tmp_path: Path) -> None:
    odd = Manifest("p", "m", "cpu", SMALL.commit, readings={"heat": (float("nan"), 51.0)}, duration=float("inf"))
    write_manifest(tmp_path, odd)
    assert read_manifest(tmp_path).readings == {"heat": [None, 51.0]}
    assert read_manifest(tmp_path).duration is None


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"bundle": 2}, "is a bundle of version 2; wanted 1; it was made by a newer perfsvc: upgrade this one"),
        ({"bundle": "absent"}, "is a bundle of version None; wanted 1$"),
        ({"bundle": True}, "bundle is True; wanted a whole number"),
        ({"project": "absent"}, "has no project"),
        ({"machine": ""}, "has no machine"),
        ({"machine": ["m1"]}, r"machine is \['m1'\]; wanted a text"),
        ({"commit": "absent"}, "commit: has no authored_at; wanted the author's date of the commit"),
        ({"commit": {"authored_at": "yesterday"}}, "commit: authored_at is 'yesterday'; wanted a time such as"),
        ({"commit": {"authored_at": "2026-01-01", "hash": "../x"}}, "commit: hash is '../x'; wanted a hash"),
        ({"commit": {"authored_at": "2026-01-01", "trailers": [["a"]]}}, "commit: has no hash"),
        ({"started_at": 7}, "started_at is 7; wanted a text"),
        ({"started_at": "0001-01-01T00:00:00+23:00"}, "started_at is '0001"),
        ({"duration": "long"}, "duration is 'long'; wanted a number"),
        ({"job": 1.5}, "job is 1.5; wanted a number"),
        ({"job": 10**30}, "job is 1000000000"),
        ({"readings": []}, r"readings is \[\]; wanted an object"),
        ({"messages": [1]}, r"messages is \[1\]; wanted a list, each of it a text"),
    ],
)
def test_a_wrong_word_is_told_with_its_key(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ResultFormatError, match=f"bundle.json: {message}"):
        parse(**changed)


def test_a_missing_manifest_says_so(tmp_path: Path) -> None:
    with pytest.raises(ResultFormatError, match=r"bundle\.json: is not a file"):
        read_manifest(tmp_path)
