"""Whatever bytes come in, only the documented error comes out, and what is read fits a database and a page."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perfsvc.errors import ResultFormatError
from perfsvc.formats import (
    UNTOLD,
    RunIdentity,
    asv_results,
    bencher,
    bundle,
    google_benchmark,
    pytest_benchmark,
    read,
)
from perfsvc.formats.asv_file import parse
from perfsvc.formats.asv_suite import Suite, read_suite
from perfsvc.formats.facts import read_facts
from perfsvc.formats.junit import read_guards
from perfsvc.model import Commit, Complaint, Measurement, RunReport, Skip

DATA = Path(__file__).parents[1] / "data"
PARTS = {
    path.relative_to(DATA / "bundle" / "1" / "two_rounds").as_posix(): path.read_bytes()
    for path in (DATA / "bundle" / "1" / "two_rounds").rglob("*")
    if path.is_file()
}
OLD: dict[str, Any] = {
    "version": 1,
    "commit_hash": "a" * 40,
    "date": 0,
    "params": {"machine": "m"},
    "results": {
        "b": 1.0,
        "c": [1.0],
        "d": {"result": [1.0, None], "params": [["1", "2"]], "stats": [{"q_25": 1}, None]},
    },
    "benchmark_version": {"b": "1"},
    "started_at": {"b": 1},
    "ended_at": {"b": 2},
}
OTHERS = [
    path.read_bytes()
    for name in ("pytest_benchmark", "google_benchmark", "bencher")
    for path in sorted((DATA / name).rglob("*.json"))
]
SEEDS = [json.dumps(OLD).encode(), *PARTS.values(), *OTHERS]

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**400, -(2**63), 2**1023, 1e308, -0.0]),
    st.floats(),
    st.text(max_size=9),
    st.sampled_from(["\0", "\ud800", "a" * 10_000, "<script>", "'; DROP TABLE run; --", "2026-13-01"]),
)
VALUES = st.recursive(
    ODD, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)


DOCUMENT_SEEDS = [seed for seed in SEEDS if seed.startswith(b"{") and seed.count(b"\n") != 3]


@st.composite
def changed_json(draw: st.DrawFn, seeds: Sequence[bytes] = DOCUMENT_SEEDS) -> bytes:
    """A good document in which some values were replaced by others."""
    document = json.loads(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 3))):
        at: Any = document
        while isinstance(at, dict | list) and at:
            key = draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at))))
            if not isinstance(at[key], dict | list) or not at[key] or draw(st.integers(0, 3)) == 0:
                at[key] = draw(VALUES)
                break
            at = at[key]
    return json.dumps(document).encode()


@st.composite
def torn_bytes(draw: st.DrawFn) -> bytes:
    """A good document that lost its end, or has foreign bytes in its middle."""
    seed = draw(st.sampled_from(SEEDS))
    at = draw(st.integers(0, len(seed)))
    return seed[:at] + draw(st.binary(max_size=20)) + draw(st.sampled_from([b"", seed[at:]]))


DOCUMENTS = st.one_of(
    changed_json(), torn_bytes(), st.binary(max_size=50), VALUES.map(lambda value: json.dumps(value).encode())
)


def holdable(report: RunReport) -> None:
    """Text is UTF-8 without NUL, numbers are finite, and everything else is JSON that a browser reads."""
    text = json.dumps(asdict(report), default=str, allow_nan=False, ensure_ascii=False)
    assert "\\u0000" not in text
    text.encode()
    assert all(math.isfinite(each.value) for each in report.measurements)
    outcomes: list[Measurement | Skip] = [*report.measurements, *report.skips]
    assert len({(each.benchmark, each.params) for each in outcomes}) == len(outcomes)


def is_placed(error: ResultFormatError, place: str) -> None:
    """It says where, in one line."""
    assert str(error).startswith(f"{place}: ")
    assert "\n" not in str(error)


@settings(max_examples=200, deadline=None)
@given(DOCUMENTS)
def test_any_bytes_as_an_asv_file(data: bytes) -> None:
    try:
        parsed = parse(data, "file.json")
    except ResultFormatError:
        return
    holdable(asv_results.report(parsed, Suite(), asv_results.Machine("m"), ""))


@settings(max_examples=200, deadline=None)
@given(DOCUMENTS)
def test_any_bytes_as_benchmarks_json(data: bytes) -> None:
    try:
        suite = read_suite(data, "benchmarks.json")
    except ResultFormatError:
        return
    assert isinstance(suite.digest, bytes)
    json.dumps([benchmark.attributes for benchmark in suite.benchmarks.values()], allow_nan=False)


READERS = {"pytest": pytest_benchmark.read, "google": google_benchmark.read, "bencher": bencher.read}
COMMIT = Commit("a" * 40, datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("reader", READERS)
@settings(max_examples=150, deadline=None)
@given(st.one_of(changed_json(OTHERS), DOCUMENTS), st.sampled_from([UNTOLD, RunIdentity("m", commit=COMMIT)]))
def test_any_bytes_as_another_tools_file(reader: str, data: bytes, run: RunIdentity) -> None:
    try:
        report, complaints = READERS[reader](data, "file.json", run)
    except ResultFormatError as error:
        is_placed(error, "file.json")
        return
    holdable(report)
    assert all(complaint.place == "file.json" for complaint in complaints)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["f.json", "f.xml", "f.jsonl", "f", "0001_f.json"]), data=DOCUMENTS | st.sampled_from(SEEDS)
)
def test_any_bytes_as_a_path_that_is_ingested(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    try:
        found = list(read(path, run=RunIdentity("m", commit=COMMIT)))
    except ResultFormatError as error:
        is_placed(error, str(path))
        return
    finally:
        path.unlink()
    for each in found:
        if isinstance(each, RunReport):
            holdable(each)
            assert len(each.machine.encode()) <= 200


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(PARTS)), DOCUMENTS, min_size=1, max_size=2))
def test_any_bytes_as_parts_of_a_bundle(broken: dict[str, bytes]) -> None:
    try:
        found = list(bundle.read_parts({**PARTS, **broken}, "bundle"))
    except ResultFormatError:
        assert "bundle.json" in broken
        return
    (report,) = [each for each in found if isinstance(each, RunReport)]
    holdable(report)
    assert all(isinstance(each, RunReport | Complaint) for each in found)


@settings(max_examples=200, deadline=None)
@given(DOCUMENTS)
def test_any_bytes_as_facts_and_guards(data: bytes) -> None:
    facts, complaints = read_facts(data, "facts.jsonl")
    assert len(facts) + len(complaints) <= data.count(b"\n") + 1
    try:
        read_guards(data, "guards.xml")
    except ResultFormatError:
        return


@pytest.mark.parametrize(
    "name", ["a" * 10_000, "</script><script>alert(1)", "\x1b[2J", "'; DROP TABLE run; --", "../../x", ""]
)
def test_any_name_is_kept_as_text(name: str) -> None:
    words = {
        **OLD,
        "results": {name: {"result": [1.0], "params": [[name]]}},
        "params": {"machine": name},
        "env_name": name,
    }
    report = asv_results.report(parse(json.dumps(words).encode(), "f"), Suite(), asv_results.Machine("folder"), "")
    assert (report.measurements[0].benchmark, report.measurements[0].params, report.env_name) == (name, (name,), name)
    assert report.machine == (name or "folder")
