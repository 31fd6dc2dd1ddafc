"""What OpenAPI says is what is answered, tried with thousands of odd requests: a fixed seed, the real application."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from limits import parse
from schemathesis.specs.openapi.checks import positive_data_acceptance

from perfsvc import tokens
from perfsvc.api import build
from perfsvc.settings import Settings
from perfsvc.store import Store, writes
from perfsvc.tokens import Scope
from tests.bench import NOON, Bench

TOKEN = "perfsvc_schemathesis"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    folder = tmp_path_factory.mktemp("schema")
    store = Store.create(f"sqlite:///{folder / 'perfsvc.sqlite'}")
    bench = Bench.set_up(store, folder)
    for place in range(6):
        bench.run(place, {"count": 10 if place < 3 else 20})
        bench.process()
    with store.writing() as tx:
        writes.tokens.add_token(
            tx, "all", tokens.digest(TOKEN), [Scope.ADMIN], project_id=None, expires_at=None, now=NOON
        )
    patched = pytest.MonkeyPatch()
    for limit in ("REQUESTS", "FAILURES"):
        patched.setattr(f"perfsvc.api.access.{limit}", parse("1000000/minute"))
    yield build(store, Settings(home=folder, host="0.0.0.0"))  # where reading wants a token, too
    patched.undo()
    store.close()


@pytest.fixture(scope="module")
def schema(application: object) -> Any:
    return schemathesis.openapi.from_asgi("/api/openapi.json", application, headers=HEADERS)


OPERATIONS = {
    "GET": [
        *(
            "/healthz",
            "/readyz",
            "/metrics",
            "/api/v1/projects",
            "/api/v1/runners",
            "/api/v1/series",
            "/api/v1/changes",
        ),
        *("/api/v1/series/{series_id}/points", "/api/v1/alerts", "/api/v1/alerts/{alert_id}", "/api/v1/runs"),
        *("/api/v1/guards", "/api/v1/jobs", "/api/v1/badge/{project}.svg", "/api/v1/feed.atom"),
    ],
    "POST": ["/api/v1/reports", "/api/v1/projects", "/api/v1/alerts/{alert_id}/{action}"],
}


def test_every_operation_is_tried(schema: Any) -> None:
    described = schema.raw_schema["paths"]
    met = {(method.upper(), path) for path, methods in described.items() for method in methods}
    assert met == {(method, path) for method, paths in OPERATIONS.items() for path in paths}


@pytest.mark.parametrize(("method", "path"), [(method, path) for method, paths in OPERATIONS.items() for path in paths])
def test_every_answer_is_one_that_is_described(schema: Any, method: str, path: str) -> None:
    @settings(
        max_examples=40,
        derandomize=True,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(schema[path][method].as_strategy())
    def answer(case: schemathesis.Case) -> None:
        # A report's hash or a project's name that fits the schema need not be one that there is.
        case.call_and_validate(headers=HEADERS, excluded_checks=[positive_data_acceptance])

    answer()
