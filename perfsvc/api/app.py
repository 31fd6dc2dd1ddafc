"""FastAPI over the store's queries. Problem+json errors; no route changes anything."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from perfsvc.errors import NotFound, PerfsvcError, SettingsError
from perfsvc.settings import Settings
from perfsvc.store import Store, queries
from perfsvc.store import engine as databases
from perfsvc.store.rows import to_json


def build(store: Store, settings: Settings) -> FastAPI:
    """The application. Raises: SettingsError when it was to listen beyond loopback."""
    if settings.host != "localhost" and not ipaddress.ip_address(settings.host).is_loopback:
        raise SettingsError(f"PERFSVC_HOST = {settings.host}: the API has no tokens yet and listens on loopback only")
    app = FastAPI(
        title="perfsvc",
        openapi_url="/api/openapi.json",
        docs_url="/api/docs",
        redoc_url=None,
    )
    app.include_router(_health(store))
    app.include_router(_reading(store), prefix="/api/v1")
    app.add_exception_handler(PerfsvcError, _problem)
    app.add_exception_handler(DBAPIError, _database_problem)
    return app


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
            return JSONResponse(to_json(question(tx)))

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
    def points(series_id: int) -> JSONResponse:
        def question(tx: Connection) -> Any:
            return {"series": queries.one_series(tx, series_id), "points": queries.points(tx, series_id)}

        return answer(question)

    @router.get("/changes")
    def changes(project: str) -> JSONResponse:
        return answer(lambda tx: queries.changes(tx, queries.project(tx, project).id))

    @router.get("/alerts")
    def alerts(project: str) -> JSONResponse:
        return answer(lambda tx: queries.alerts(tx, queries.project(tx, project).id))

    @router.get("/alerts/{alert_id}")
    def alert(alert_id: int) -> JSONResponse:
        return answer(lambda tx: queries.alert(tx, alert_id))

    @router.get("/runs")
    def runs(project: str) -> JSONResponse:
        return answer(lambda tx: queries.runs(tx, queries.project(tx, project).id))

    @router.get("/guards")
    def guards(project: str) -> JSONResponse:
        return answer(lambda tx: queries.guards(tx, queries.project(tx, project).id))

    @router.get("/jobs")
    def jobs(project: str) -> JSONResponse:
        return answer(lambda tx: queries.jobs(tx, queries.project(tx, project).id))

    return router


def _problem(_: Request, error: Exception) -> JSONResponse:
    status = 404 if isinstance(error, NotFound) else 400
    return JSONResponse(
        {"type": "about:blank", "title": type(error).__name__, "status": status, "detail": str(error)},
        status_code=status,
        media_type="application/problem+json",
    )


def _database_problem(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse(
        {"type": "about:blank", "title": "the database does not answer", "status": 503, "detail": type(error).__name__},
        status_code=503,
        media_type="application/problem+json",
    )
