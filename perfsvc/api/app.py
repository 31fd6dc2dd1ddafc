"""FastAPI over the store's queries. Problem+json errors; no route changes anything."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Path, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from perfsvc.errors import DatabaseVersionError, NotFound, PerfsvcError, SettingsError
from perfsvc.rows import to_json
from perfsvc.settings import Settings
from perfsvc.store import Store, queries
from perfsvc.store import engine as databases

#: What this machine calls itself. Another name in the Host header is that of a foreign page that was rebound to us.
LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")

#: Names from measured repositories are JSON text, whatever a browser would like to make of them.
AS_TOLD = {"X-Content-Type-Options": "nosniff"}

Id = Annotated[int, Path(ge=1, le=2**63 - 1)]


def build(store: Store, settings: Settings) -> FastAPI:
    """The application. Raises: SettingsError when it was to listen beyond loopback."""
    if not _is_loopback(settings.host):
        raise SettingsError(f"PERFSVC_HOST = {settings.host}: the API has no tokens yet and listens on loopback only")
    app = FastAPI(
        title="perfsvc",
        openapi_url="/api/openapi.json",
        docs_url="/api/docs",
        redoc_url=None,
    )
    app.include_router(_health(store))
    app.include_router(_reading(store), prefix="/api/v1")
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*LOCAL_NAMES, settings.host], www_redirect=False)
    app.add_exception_handler(PerfsvcError, _refused)
    app.add_exception_handler(DBAPIError, _database_away)
    app.add_exception_handler(HTTPException, _http_problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    return app


def _is_loopback(host: str) -> bool:
    """Names other than localhost are not looked up: what they mean is not ours to say."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _health(store: Store) -> APIRouter:
    router = APIRouter()

    @router.get("/healthz")
    def healthz() -> PlainTextResponse:
        """The process answers."""
        return PlainTextResponse("ok")

    @router.get("/readyz")
    def readyz() -> PlainTextResponse:
        """The database answers and is of this version."""
        databases.require_current(store.engine)
        with store.reading() as tx:
            tx.execute(text("SELECT 1"))
        return PlainTextResponse("ready")

    return router


def _reading(store: Store) -> APIRouter:
    router = APIRouter()

    def answer(question: Callable[[Connection], Any]) -> JSONResponse:
        with store.reading() as tx:
            return JSONResponse(to_json(question(tx)), headers=AS_TOLD)

    def of_project(name: str, question: Callable[[Connection, int], Any]) -> JSONResponse:
        return answer(lambda tx: question(tx, queries.project(tx, name).id))

    @router.get("/projects")
    def projects() -> JSONResponse:
        return answer(queries.projects)

    @router.get("/runners")
    def runners() -> JSONResponse:
        return answer(queries.runners)

    @router.get("/series")
    def series(project: str, machine: str = "", match: str = "") -> JSONResponse:
        return answer(
            lambda tx: queries.series(tx, queries.project(tx, project).id, machine=machine or None, match=match or None)
        )

    @router.get("/series/{series_id}/points")
    def points(series_id: Id) -> JSONResponse:
        def question(tx: Connection) -> Any:
            return {"series": queries.one_series(tx, series_id), "points": queries.points(tx, series_id)}

        return answer(question)

    @router.get("/changes")
    def changes(project: str) -> JSONResponse:
        return of_project(project, queries.changes)

    @router.get("/alerts")
    def alerts(project: str) -> JSONResponse:
        return of_project(project, queries.alerts)

    @router.get("/alerts/{alert_id}")
    def alert(alert_id: Id) -> JSONResponse:
        return answer(lambda tx: queries.alert(tx, alert_id))

    @router.get("/runs")
    def runs(project: str) -> JSONResponse:
        return of_project(project, queries.runs)

    @router.get("/guards")
    def guards(project: str) -> JSONResponse:
        return of_project(project, queries.guards)

    @router.get("/jobs")
    def jobs(project: str) -> JSONResponse:
        return of_project(project, queries.jobs)

    return router


def _refused(_: Request, error: Exception) -> JSONResponse:
    status = 404 if isinstance(error, NotFound) else 503 if isinstance(error, DatabaseVersionError) else 400
    return _problem(status, type(error).__name__, str(error))


def _database_away(_: Request, error: Exception) -> JSONResponse:
    return _problem(503, "the database does not answer", type(error).__name__)


def _http_problem(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return _problem(error.status_code, str(error.detail), "", error.headers)


def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    told = "; ".join(f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in error.errors())
    return _problem(422, "the request is not what was wanted", told)


def _problem(status: int, title: str, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """RFC 9457."""
    content = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return JSONResponse(content, status, {**(headers or {}), **AS_TOLD}, media_type="application/problem+json")
