"""A service with a project, tokens that may this and that, and a report to send."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from perfsvc import tokens
from perfsvc.api import build
from perfsvc.store import Store, writes
from perfsvc.tokens import Scope
from tests.bench import NOON, Bench

ADDRESS = "http://127.0.0.1:8642"
Headers = dict[str, str]


@pytest.fixture
def bench(sqlite_store: Store, tmp_path: Path, clean_environment: None) -> Bench:
    return Bench.set_up(sqlite_store, tmp_path)


@pytest.fixture
def http(bench: Bench) -> Iterator[TestClient]:
    with TestClient(build(bench.store, bench.settings), base_url=ADDRESS, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def bearer(bench: Bench) -> Callable[..., Headers]:
    """`bearer(Scope.INGEST)`: the headers of somebody who may."""

    def make(*scopes: Scope, project: int | None = None, ends: timedelta = timedelta(days=9999)) -> Headers:
        text = tokens.make()
        with bench.store.writing() as tx:
            writes.tokens.add_token(
                tx, "ci", tokens.digest(text), scopes, project_id=project, expires_at=NOON + ends, now=NOON
            )
        return {"Authorization": f"Bearer {text}"}

    return make


def told(**changes: Any) -> dict[str, Any]:
    """A report of two benchmarks, a skip and a guard, with these parts in another way."""
    metric = {"name": "time", "unit": "seconds", "direction": "lower"}
    return {
        "machine": "box",
        "commit": {"hash": f"{3:040x}", "authored_at": "2026-03-01T12:00:00Z", "subject": "faster"},
        "benchmarks": [
            {"name": "time_a", "version": "1", "metric": metric, "param_names": ["n"]},
            {"name": "time_b", "metric": metric},
        ],
        "results": [
            {"benchmark": "time_a", "params": ["1"], "value": 1.5, "q25": 1.4, "q75": 1.6, "rounds": [1.4, 1.5, 1.6]},
            {"benchmark": "time_a", "params": ["2"], "value": 3},
        ],
        "skips": [{"benchmark": "time_b", "reason": "no such device"}],
        "guards": [{"guard": "G1", "test": "test_forward", "outcome": "passed", "error": 1e-7, "tolerance": 1e-6}],
        "fingerprint": {"torch": "2.13.0"},
        "started_at": "2026-03-01T13:00:00+01:00",
        "duration": 12.5,
        **changes,
    }


def send(http: TestClient, headers: Headers, report: Any = None, project: str = "attention", **options: Any) -> Any:
    body = report if isinstance(report, bytes) else json.dumps(told() if report is None else report).encode()
    headers = {"Content-Type": "application/json", **headers, **options.pop("extra", {})}
    return http.post("/api/v1/reports", params={"project": project}, content=body, headers=headers, **options)
