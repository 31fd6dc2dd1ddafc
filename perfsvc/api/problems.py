"""What is answered when nothing else can be: application/problem+json (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException

from perfsvc.errors import DatabaseVersionError, JobConflict, NotFound, PerfsvcError, TriageError

#: Names from measured repositories are JSON text, whatever a browser would like to make of them.
AS_TOLD = {"X-Content-Type-Options": "nosniff"}

_STATUS: Mapping[type[PerfsvcError], int] = {
    NotFound: 404,
    TriageError: 409,
    JobConflict: 409,
    DatabaseVersionError: 503,
}

_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For OpenAPI: what a route may answer besides its own."""
    content = {"application/problem+json": {"schema": _PROBLEM}}
    return {status: {"description": "a problem", "content": content} for status in statuses}


def handle(app: FastAPI) -> None:
    """Have every error of the application told as a problem."""
    app.add_exception_handler(PerfsvcError, _refused)
    app.add_exception_handler(DBAPIError, _database_away)
    app.add_exception_handler(HTTPException, _http_problem)
    app.add_exception_handler(RequestValidationError, _invalid)


def _refused(_: Request, error: Exception) -> JSONResponse:
    status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 400)
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
    content = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return JSONResponse(content, status, {**(headers or {}), **AS_TOLD}, media_type="application/problem+json")
