"""Who is let in, to do what; and that nobody else is."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient

from perfsvc.api import build
from perfsvc.model import AlertState
from perfsvc.store import queries, writes
from perfsvc.tokens import Scope, digest
from tests.api.conftest import ADDRESS, Headers, send
from tests.bench import NOON, Bench

NEEDS = {
    "/api/v1/reports?project=attention": Scope.INGEST,
    "/api/v1/projects": Scope.ADMIN,
    "/api/v1/alerts/1/accept": Scope.TRIAGE,
}


@pytest.mark.parametrize("path", NEEDS)
@pytest.mark.parametrize("scope", Scope)
def test_a_step_wants_its_scope(http: TestClient, bearer: Callable[..., Headers], path: str, scope: Scope) -> None:
    json = {"Content-Type": "application/json"}
    status = http.post(path, content=b"{}", headers={**json, **bearer(scope)}).status_code
    assert (status == 403) == (scope not in (NEEDS[path], Scope.ADMIN))
    assert http.post(path, content=b"{}", headers=json).status_code == 401


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "Bearer perfsvc_x", "Basic YTpi", "perfsvc_x", "Bearer \u00e9".encode("latin-1")]
)
def test_what_is_no_token_opens_nothing(http: TestClient, header: str | bytes) -> None:
    answer = send(http, {"Authorization": header})  # type: ignore[dict-item]
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_token_that_is_revoked_or_has_expired_opens_nothing(
    http: TestClient, bench: Bench, bearer: Callable[..., Headers]
) -> None:
    assert send(http, bearer(Scope.INGEST, ends=timedelta(0))).status_code == 401
    good = bearer(Scope.INGEST)
    assert send(http, good).status_code == 201
    with bench.store.writing() as tx:
        newest = queries.tokens(tx)[-1]
        assert newest.last_used_at is not None
        assert writes.tokens.revoke_token(tx, newest.id, NOON)
        assert not writes.tokens.revoke_token(tx, newest.id, NOON)
    assert send(http, good).status_code == 401


def test_a_token_is_kept_as_a_hash_alone(bench: Bench, bearer: Callable[..., Headers]) -> None:
    text = bearer(Scope.READ)["Authorization"].removeprefix("Bearer ")
    with bench.store.writing() as tx:
        (row,) = tx.exec_driver_sql("SELECT * FROM token").all()
        assert queries.find_token(tx, digest(text)) is not None
    assert text not in str(row)
    assert len(text) > 40


def test_a_token_of_one_project_does_not_know_the_others(bench: Bench, bearer: Callable[..., Headers]) -> None:
    with bench.store.writing() as tx:
        other = writes.catalog.keep_project(tx, "other", now=NOON)
    bench.run(0, {"time_a": 1.0})
    app = build(bench.store, replace_host(bench))
    with TestClient(app, base_url=ADDRESS) as http:
        mine, theirs = (bearer(Scope.READ, Scope.INGEST, project=p) for p in (bench.project, other))
        paths = ("/api/v1/runs?project=attention", "/api/v1/series/1/points", "/api/v1/badge/attention.svg")
        for path in paths:
            assert http.get(path, headers=mine).status_code == 200
            assert http.get(path, headers=theirs).status_code == 404
        assert [row["name"] for row in http.get("/api/v1/projects", headers=theirs).json()] == ["other"]
        assert "attention" not in http.get("/metrics", headers=theirs).text
        assert send(http, theirs).status_code == 404
        assert send(http, theirs, project="other").status_code == 201


def test_guessing_is_slowed_down_and_nobody_else_is(http: TestClient, bearer: Callable[..., Headers]) -> None:
    statuses = [send(http, {"Authorization": f"Bearer perfsvc_{i}"}).status_code for i in range(25)]
    assert statuses == [401] * 20 + [429] * 5
    answer = send(http, {"Authorization": "Bearer perfsvc_again"})
    assert 1 <= int(answer.headers["retry-after"]) <= 61
    assert http.get("/api/v1/projects").status_code == 200
    assert send(http, bearer(Scope.INGEST)).status_code == 201


def test_too_many_requests_are_told_when_to_come_again(http: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    from limits import parse

    monkeypatch.setattr("perfsvc.api.access.REQUESTS", parse("3/minute"))
    assert [http.get("/api/v1/projects").status_code for _ in range(5)] == [200, 200, 200, 429, 429]
    assert http.get("/healthz").status_code == 200


def test_every_step_on_an_alert_is_kept_with_its_name(
    http: TestClient, bench: Bench, bearer: Callable[..., Headers]
) -> None:
    for place in range(6):
        bench.run(place, {"count": 10 if place < 3 else 20})
    bench.process()
    headers = bearer(Scope.TRIAGE)
    refused = http.post("/api/v1/alerts/1/accept", json={}, headers=headers)
    assert (refused.status_code, "reason" in refused.json()["detail"]) == (409, True)
    accepted = http.post("/api/v1/alerts/1/accept", json={"reason": "meant"}, headers=headers)
    assert (accepted.status_code, accepted.json()["state"]) == (200, "accepted")
    for path, status in (("/api/v1/alerts/99/accept", 404), ("/api/v1/alerts/1/delete", 422)):
        assert http.post(path, json={"reason": "x"}, headers=headers).status_code == status
    with bench.store.reading() as tx:
        detail = queries.alert(tx, 1)
    assert detail.alert.state is AlertState.ACCEPTED
    assert [(e.actor, e.reason) for e in detail.events if e.action == "accept"] == [("ci", "meant")]


def test_a_project_is_added_once(http: TestClient, bearer: Callable[..., Headers]) -> None:
    headers = bearer(Scope.ADMIN)
    for _ in range(2):
        answer = http.post("/api/v1/projects", json={"name": "new", "branch": "trunk"}, headers=headers)
        assert (answer.status_code, answer.json()["branch"]) == (201, "trunk")
    assert send(http, headers, project="new").status_code == 201


def replace_host(bench: Bench) -> object:
    """As if it listened to everybody: then reading wants a token, too."""
    return bench.settings.model_copy(update={"host": "0.0.0.0"})
