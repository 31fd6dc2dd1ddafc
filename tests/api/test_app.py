"""Every route, over a store with something in it; and what it refuses."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from perfsvc.api import build
from perfsvc.api.__main__ import main
from perfsvc.model import Device, JobKind, Outcome
from perfsvc.settings import Settings
from perfsvc.store import Store, writes
from perfsvc.store.engine import sqlite_file
from tests.bench import NOON, Bench, guard

HOSTILE = "<script>alert(1)</script>\u202e\"'\\ \x1b[31m {{7*7}}"
ADDRESS = "http://127.0.0.1:8642"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("story")
    bench = Bench.set_up(Store.create(f"sqlite:///{folder / 'perfsvc.sqlite'}"), folder)
    for place in range(6):
        failing = guard(Outcome.FAILED if place == 5 else Outcome.PASSED, message=HOSTILE)
        bench.run(place, {f"count_{HOSTILE}": 10 if place < 3 else 20}, guards=[failing])
        bench.process()
    with bench.store.writing() as tx:
        runner = writes.catalog.keep_runner(tx, "box", Device.CPU, {}, now=NOON)
        writes.jobs.add_job(
            tx, project_id=bench.project, runner_id=runner, kind=JobKind.BACKFILL, spec={"commits": []}, now=NOON
        )
    bench.store.close()
    return bench


@pytest.fixture
def story(template: Bench, tmp_path: Path, clean_environment: None) -> Iterator[Bench]:
    """A count that moved at commit 3, under a name that somebody chose with care; a failing guard; a job."""
    shutil.copy(template.settings.home / "perfsvc.sqlite", tmp_path)
    store = Store.open(f"sqlite:///{tmp_path / 'perfsvc.sqlite'}")
    yield replace(template, store=store)
    store.close()


@pytest.fixture
def client(story: Bench) -> Iterator[TestClient]:
    with TestClient(build(story.store, story.settings), base_url=ADDRESS, raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize("kind", ["series", "changes", "alerts", "runs", "guards", "jobs"])
def test_a_projects_rows(client: TestClient, kind: str) -> None:
    answer = client.get(f"/api/v1/{kind}", params={"project": "attention"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()


def test_projects_and_runners(client: TestClient) -> None:
    assert [row["name"] for row in client.get("/api/v1/projects").json()] == ["attention"]
    assert [row["name"] for row in client.get("/api/v1/runners").json()] == ["box"]


def test_series_can_be_chosen_and_have_their_points(client: TestClient) -> None:
    (series,) = client.get("/api/v1/series", params={"project": "attention", "machine": "box", "match": "count"}).json()
    assert client.get("/api/v1/series", params={"project": "attention", "machine": "m1"}).json() == []
    told = client.get(f"/api/v1/series/{series['id']}/points").json()
    assert told["series"]["id"] == series["id"]
    assert [point["value"] for point in told["points"]] == [10, 10, 10, 20, 20, 20]


def test_an_alert_with_all_that_belongs_to_it(client: TestClient, story: Bench) -> None:
    alerts = client.get("/api/v1/alerts", params={"project": "attention"}).json()
    (slow,) = (row for row in alerts if row["kind"] == "regression")
    told = client.get(f"/api/v1/alerts/{slow['id']}").json()
    assert [commit["hash"] for commit in told["commits"]] == [story.line[3].hash]
    assert told["changes"][0]["ratio"] == 2.0


def test_names_from_a_measured_repository_are_text(client: TestClient) -> None:
    answer = client.get("/api/v1/series", params={"project": "attention"})
    assert answer.json()[0]["benchmark"] == f"count_{HOSTILE}"
    assert answer.headers["x-content-type-options"] == "nosniff"
    (row,) = client.get("/api/v1/guards", params={"project": "attention"}).json()
    assert row["message"] == HOSTILE


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/alerts?project=nobody", 404),
        ("/api/v1/alerts/99", 404),
        ("/api/v1/series/99/points", 404),
        ("/api/v1/nothing", 404),
        ("/", 404),
        ("/api/v1/series", 422),
        ("/api/v1/alerts/one", 422),
        ("/api/v1/alerts/0", 422),
        ("/api/v1/series/99999999999999999999/points", 422),
    ],
)
def test_what_is_not_there_is_told_as_a_problem(client: TestClient, path: str, status: int) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["type"]) == (status, "about:blank")
    assert problem["title"]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_rows_are_neither_replaced_nor_deleted(client: TestClient, method: str) -> None:
    for path in ("/api/v1/alerts/1", "/api/v1/jobs", "/api/v1/projects"):
        answer = client.request(method, path)
        assert answer.status_code == 405
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_page_that_was_rebound_to_us_gets_nothing(client: TestClient) -> None:
    for host in ("evil.example", "evil.example:8642", "127.0.0.1.evil.example"):
        assert client.get("/api/v1/projects", headers={"host": host}).status_code == 400
    for host in ("localhost:8642", "127.0.0.1", "[::1]:8642"):
        assert client.get("/api/v1/projects", headers={"host": host}).status_code == 200


def test_started_alone_it_says_in_a_line_why_not(
    tmp_path: Path, clean_environment: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PERFSVC_HOME", str(tmp_path))
    for name, value, word in (
        ("PERFSVC_API_PORT", "many", "api_port"),
        ("PERFSVC_API_PORT", "8642", "there is no perfsvc database"),
    ):
        monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr().err
        assert (ended.value.code, said.startswith("perfsvc: "), said.count("\n")) == (2, True, 1)
        assert word in said.lower()


@pytest.mark.parametrize(
    ("host", "local"),
    [
        *((name, True) for name in ("127.0.0.1", "localhost", "::1", "127.8.8.8")),
        *((name, False) for name in ("0.0.0.0", "192.0.2.1", "::", "myhost", "localhost.evil.example")),
    ],
)
def test_reading_is_free_on_loopback_alone(sqlite_store: Store, host: str, local: bool, tmp_path: Path) -> None:
    app = build(sqlite_store, Settings(home=tmp_path, host=host))
    with TestClient(app, base_url=ADDRESS) as client:
        assert client.get("/api/v1/projects").status_code == (200 if local else 401)
        assert client.get("/healthz").status_code == 200


def test_it_lives_and_is_ready(client: TestClient, story: Bench) -> None:
    assert client.get("/healthz").text == "ok"
    assert client.get("/readyz").text == "ready"
    with story.store.writing() as tx:
        tx.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    answer = client.get("/readyz")
    assert (answer.status_code, client.get("/healthz").status_code) == (503, 200)
    assert "newer perfsvc" in answer.json()["detail"]


def test_a_database_that_does_not_answer_is_503_and_shows_no_sql(client: TestClient, story: Bench) -> None:
    file = sqlite_file(story.store.engine)
    assert file is not None
    with story.store.writing() as tx:
        tx.exec_driver_sql("ALTER TABLE alert RENAME TO gone")
    answer = client.get("/api/v1/alerts", params={"project": "attention"})
    assert answer.status_code == 503
    assert "SELECT" not in answer.text


def test_it_describes_itself(client: TestClient) -> None:
    described = client.get("/api/openapi.json").json()
    assert described["info"]["title"] == "perfsvc"
    assert {method for path in described["paths"].values() for method in path} == {"get", "post"}
    assert json.dumps(described)
