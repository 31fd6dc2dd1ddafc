"""Who asks, and what they may: a bearer token with its scopes, and how often.

On loopback reading is free, as the database file is. Everything else wants a token, and so does reading from elsewhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.exceptions import HTTPException

from perfsvc.errors import NotFound
from perfsvc.rows import ProjectRow
from perfsvc.store import Store, queries, writes
from perfsvc.tokens import Scope, digest

#: Of one token; where reading is free, of one address.
REQUESTS = parse("1200/minute")
#: Of one address, with tokens that are not known: nobody guesses one, but nobody need try either.
FAILURES = parse("20/minute")

Credentials = Annotated[
    HTTPAuthorizationCredentials | None,
    Depends(HTTPBearer(auto_error=False, description="made by `perfsvc token create`")),
]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks."""

    name: str
    scopes: frozenset[Scope]
    project: str | None = None  #: None: every project

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def sees(self, project: str) -> bool:
        return self.project in (None, project)

    def enter(self, project: ProjectRow) -> ProjectRow:
        """Raises: NotFound for a project of others, in the words for one that is not there."""
        if not self.sees(project.name):
            raise NotFound(f"there is no project {project.name!r}; known: {self.project}")
        return project


class Door:
    """Lets callers in. Counts are this process's own."""

    def __init__(self, store: Store, *, free_reading: bool) -> None:
        self._store = store
        self._free_reading = free_reading
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def wants(self, scope: Scope) -> Callable[..., Caller]:
        """A dependency of a route: the caller, if they may."""

        def enter(request: Request, credentials: Credentials) -> Caller:
            address = request.client.host if request.client else ""
            if credentials is None and scope is Scope.READ and self._free_reading:
                self._count(REQUESTS, address)
                return Caller("anyone", frozenset({Scope.READ}))
            caller = self._known(credentials, address)
            if not caller.may(scope):
                raise HTTPException(403, f"this token may not {scope.value}; it may {_list(caller)}")
            return caller

        return enter

    def _known(self, credentials: HTTPAuthorizationCredentials | None, address: str) -> Caller:
        if credentials is None:
            raise _unknown("a token is wanted: `Authorization: Bearer ...`, made by `perfsvc token create`")
        hashed, now = digest(credentials.credentials), datetime.now(UTC)
        with self._store.reading() as tx:
            found = queries.find_token(tx, hashed)
        if found is None or not found.is_valid(now):
            self._count(FAILURES, address)  # never in the way of a good token: a proxy gives all callers one address
            raise _unknown("this token is not known, was revoked, or has expired")
        self._count(REQUESTS, hashed)
        if found.last_used_at is None or now - found.last_used_at >= writes.tokens.TOUCHED:
            with self._store.writing() as tx:
                writes.tokens.touch_token(tx, found.id, now)
        return Caller(found.name, frozenset(found.scopes), found.project)

    def _count(self, limit: RateLimitItem, who: str) -> None:
        if not self._limiter.hit(limit, who):
            raise self._too_often(limit, who)

    def _too_often(self, limit: RateLimitItem, who: str) -> HTTPException:
        reset = self._limiter.get_window_stats(limit, who).reset_time
        wait = max(1, round(reset - time.time()))
        return HTTPException(429, f"more than {limit}; again in {wait} s", {"Retry-After": str(wait)})


def _unknown(why: str) -> HTTPException:
    return HTTPException(401, why, {"WWW-Authenticate": "Bearer"})


def _list(caller: Caller) -> str:
    return ", ".join(sorted(scope.value for scope in caller.scopes)) or "nothing"
