"""Reports of runs: kept once and whole, or refused with what is wrong and where."""

import asyncio
import gzip
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.exceptions import HTTPException

from perfsvc.api import bodies
from perfsvc.errors import ResultFormatError
from perfsvc.formats import report
from perfsvc.model import Verdict
from perfsvc.schedule import Clock
from perfsvc.store import queries
from perfsvc.tokens import Scope
from tests.api.conftest import Headers, send, told
from tests.bench import Bench


def test_a_report_is_kept_with_all_that_it_tells(
    http: TestClient, bench: Bench, bearer: Callable[..., Headers]
) -> None:
    answer = send(http, bearer(Scope.INGEST))
    assert (answer.status_code, answer.json()) == (
        201,
        {"new": True, "results": 2, "skips": 1, "guards": 1, "complaints": []},
    )
    with bench.store.reading() as tx:
        (run,) = queries.runs(tx, bench.project)
        rows = {row.label: queries.points(tx, row.id) for row in queries.series(tx, bench.project)}
        (guard,) = queries.guards(tx, bench.project)
    assert (run.machine, run.commit.hash, run.duration) == ("box", f"{3:040x}", 12.5)
    assert run.started_at is not None
    assert run.started_at.isoformat() == "2026-03-01T12:00:00+00:00"
    assert {label: point.value for label, (point,) in rows.items()} == {
        "time_a(1)": 1.5,
        "time_a(2)": 3,
        "time_b": None,
    }
    assert rows["time_b"][0].skip == "no such device"
    assert guard.margin == pytest.approx(0.1)


def test_the_same_again_changes_nothing_and_more_of_it_replaces_it(
    http: TestClient, bench: Bench, bearer: Callable[..., Headers]
) -> None:
    headers = bearer(Scope.INGEST)
    assert [send(http, headers).status_code for _ in range(3)] == [201, 200, 200]
    grown = told(results=[{"benchmark": "time_a", "params": ["1"], "value": 2.5}])
    assert send(http, headers, grown).status_code == 201
    with bench.store.reading() as tx:
        assert len(queries.runs(tx, bench.project)) == 1
        values = {row.label: queries.points(tx, row.id) for row in queries.series(tx, bench.project)}
    assert [point.value for point in values["time_a(1)"]] == [2.5]


def test_what_came_in_is_judged_by_the_clock(http: TestClient, bench: Bench, bearer: Callable[..., Headers]) -> None:
    headers = bearer(Scope.INGEST)
    exact = {"name": "count", "metric": {"name": "operators", "unit": "1", "direction": "lower", "exact": True}}
    for place in range(8):
        commit = {"hash": f"{place + 1:040x}", "authored_at": f"2026-03-{place + 1:02d}T12:00:00Z"}
        row = {"benchmark": "count", "value": 10 if place < 5 else 20}
        report = {"machine": "box", "commit": commit, "benchmarks": [exact], "results": [row]}
        assert send(http, headers, report).status_code == 201
    with bench.store.reading() as tx:
        assert [row.id for row in queries.waiting_projects(tx)] == [bench.project]
    Clock(bench.store, bench.settings, [])._judge()
    with bench.store.reading() as tx:
        assert queries.waiting_projects(tx) == []
        assert [row.verdict for row in queries.series(tx, bench.project, match="count")] == [Verdict.SLOWER]


def test_names_are_made_here_as_for_any_tree(http: TestClient, bench: Bench, bearer: Callable[..., Headers]) -> None:
    long = "n" * 5_000
    metric = {"name": "time", "unit": "seconds"}
    report = told(
        env_name="conda-py3.12",
        benchmarks=[{"name": long, "metric": metric}],
        results=[{"benchmark": long, "params": [long], "value": 1.0}],
        skips=[],
    )
    assert send(http, bearer(Scope.INGEST), report).status_code == 201
    with bench.store.reading() as tx:
        (row,) = queries.series(tx, bench.project)
    assert row.machine == "box/conda-py3.12"
    assert row.benchmark.startswith("nnn")
    assert len(row.benchmark) < 1_100


def test_gzip_is_taken(http: TestClient, bearer: Callable[..., Headers]) -> None:
    packed = gzip.compress(json.dumps(told()).encode())
    assert send(http, bearer(Scope.INGEST), packed, extra={"Content-Encoding": "gzip"}).status_code == 201


@pytest.mark.parametrize(
    ("body", "headers", "status", "says"),
    [
        (b"{}", {"Content-Type": "text/plain"}, 415, "wanted application/json"),
        (b"{}", {"Content-Encoding": "br"}, 415, "wanted gzip"),
        (b"{}", {"Content-Encoding": "gzip"}, 400, "not gzip"),
        (gzip.compress(b"{}")[:-4], {"Content-Encoding": "gzip"}, 400, "ends too early"),
        (gzip.compress(b"{}") + b"more", {"Content-Encoding": "gzip"}, 400, "more behind"),
        (b" " * (bodies.LARGEST + 1), {}, 413, "more than 8,388,608 bytes"),
        (gzip.compress(b" " * (200 * 2**20), 9), {"Content-Encoding": "gzip"}, 413, "more than 8,388,608 bytes"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_with_the_reason(
    http: TestClient, bearer: Callable[..., Headers], body: bytes, headers: Headers, status: int, says: str
) -> None:
    answer = send(http, bearer(Scope.INGEST), body, extra=headers)
    assert answer.status_code == status
    assert says in answer.json()["title"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/projects", 413),  # the framework reads these before it asks who sends them
        ("/api/v1/alerts/1/accept", 413),
        ("/api/v1/reports?project=attention", 401),
    ],
)
def test_a_large_body_is_refused_whoever_sends_it(http: TestClient, path: str, status: int) -> None:
    answer = http.post(path, content=b" " * (bodies.LARGEST + 1), headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_an_endless_body_is_read_up_to_the_limit_and_no_further() -> None:
    given = 0

    async def receive() -> dict[str, Any]:
        nonlocal given
        given += 1
        return {"type": "http.request", "body": b" " * 2**20, "more_body": True}

    async def read_all(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["more_body"]:
            pass

    async def send(message: Any) -> None:
        raise AssertionError

    with pytest.raises(HTTPException) as refused:
        asyncio.run(bodies.Limit(read_all)({"type": "http"}, receive, send))
    assert (refused.value.status_code, given) == (413, bodies.LARGEST // 2**20 + 1)


WRONG: dict[str, tuple[Any, str]] = {
    "no object": ([], "report: "),
    "a key too many": (told(colour="red"), "colour: Extra inputs"),
    "no machine": ({**told(), "machine": ""}, "machine: "),
    "a long machine": (told(machine="m" * 201), "machine: "),
    "NUL": (told(machine="a\0b"), "machine: "),
    "no hash": (told(commit={"hash": "main", "authored_at": "2026-03-01T12:00:00Z"}), "commit.hash: "),
    "no zone": (told(commit={"hash": "ab" * 20, "authored_at": "2026-03-01T12:00:00"}), "commit.authored_at: "),
    "too early": (told(commit={"hash": "ab" * 20, "authored_at": "0001-01-01T00:00:00+14:00"}), "authored_at: "),
    "a text for a number": (told(results=[{"benchmark": "time_a", "value": "3"}]), "results.0.value: "),
    "a truth for a number": (told(results=[{"benchmark": "time_a", "value": True}]), "results.0.value: "),
    "nobody's benchmark": (told(results=[{"benchmark": "time_x", "value": 1}]), "'time_x' has a result"),
    "twice": (told(results=[{"benchmark": "time_a", "value": 1}] * 2), "is there twice"),
    "an outcome that is none": (told(guards=[{"guard": "G", "test": "t", "outcome": "maybe"}]), "guards.0.outcome: "),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_report_is_told_what_is_wrong_and_where_and_nothing_is_kept(
    http: TestClient, bench: Bench, bearer: Callable[..., Headers], case: str
) -> None:
    wrong, says = WRONG[case]
    answer = send(http, bearer(Scope.INGEST), wrong)
    assert answer.status_code == 400
    assert says in answer.json()["detail"]
    with bench.store.reading() as tx:
        assert queries.runs(tx, bench.project) == []


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[" * 100_000, b'{"machine": "\\ud800"}', b"\xff\xfe", b"NaN", b'{"duration": NaN}', b"1" * 5000],
    ids=["empty", "torn", "deep", "half a surrogate", "no UTF-8", "NaN", "NaN inside", "long"],
)
def test_what_is_no_json_is_refused(http: TestClient, bearer: Callable[..., Headers], body: bytes) -> None:
    assert send(http, bearer(Scope.INGEST), body).status_code == 400


def test_sixteen_at_once_lose_nothing(http: TestClient, bench: Bench, bearer: Callable[..., Headers]) -> None:
    headers, statuses = bearer(Scope.INGEST), []

    def post(machine: int) -> None:
        for place in range(3):
            commit = {"hash": f"{place + 1:040x}", "authored_at": "2026-03-01T12:00:00Z"}
            statuses.append(send(http, headers, told(machine=f"box-{machine}", commit=commit)).status_code)

    threads = [threading.Thread(target=post, args=(machine,)) for machine in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [201] * 48
    with bench.store.reading() as tx:
        assert len(queries.runs(tx, bench.project, limit=100)) == 48
        assert len(queries.series(tx, bench.project)) == 48


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.sampled_from(sorted(told())), JSON)
def test_a_report_with_anything_in_one_place_is_read_or_refused(key: str, value: Any) -> None:
    try:
        run = report.read(json.dumps(told(**{key: value})).encode())
    except ResultFormatError:
        return
    assert report.read(report.write(run)).measurements == run.measurements


def test_what_is_read_is_written_as_it_was() -> None:
    run = report.read(json.dumps(told()).encode())
    again = report.read(report.write(run))
    assert {name: getattr(again, name) for name in ("machine", "commit", "benchmarks", "measurements", "guards")} == {
        name: getattr(run, name) for name in ("machine", "commit", "benchmarks", "measurements", "guards")
    }
    assert (again.skips, again.environment, again.duration) == (run.skips, run.environment, run.duration)
