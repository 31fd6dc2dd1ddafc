"""The application: what is asked, what is sent, and for other programs' eyes; who may; and every error as a problem."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI
from fastapi.responses import PlainTextResponse
from sqlalchemy import text
from starlette.middleware.trustedhost import TrustedHostMiddleware

from perfsvc.api import bodies, problems, reading, telling, writing
from perfsvc.api.access import Door
from perfsvc.hosts import is_loopback
from perfsvc.settings import Settings
from perfsvc.store import Store
from perfsvc.store import engine as databases

#: What this machine calls itself. Another name in the Host header is that of a foreign page that was rebound to us.
LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")


def build(store: Store, settings: Settings) -> FastAPI:
    """The application. Listening beyond loopback it wants a token for reading, too; TLS is a proxy's in front of it."""
    local = is_loopback(settings.host)
    door = Door(store, free_reading=local)
    app = FastAPI(
        title="perfsvc",
        openapi_url="/api/openapi.json",
        docs_url="/api/docs",
        redoc_url=None,
    )
    app.include_router(_health(store))
    app.include_router(telling.figures(store, door))
    for room in (reading, writing, telling):
        app.include_router(room.routes(store, door), prefix="/api/v1")
    app.add_middleware(bodies.Limit)
    if local:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*LOCAL_NAMES, settings.host], www_redirect=False)
    problems.handle(app)
    return app


def _health(store: Store) -> APIRouter:
    router = APIRouter(tags=["health"], responses=problems.answers(503))

    @router.get("/healthz", response_class=PlainTextResponse)
    def healthz() -> PlainTextResponse:
        """The process answers."""
        return PlainTextResponse("ok")

    @router.get("/readyz", response_class=PlainTextResponse)
    def readyz() -> PlainTextResponse:
        """The database answers and is of this version."""
        databases.require_current(store.engine)
        with store.reading() as tx:
            tx.execute(text("SELECT 1"))
        return PlainTextResponse("ready")

    return router
