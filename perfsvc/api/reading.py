"""What is asked: the rows of the command line and the pages, with an ETag, a page at a time where there may be many."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from sqlalchemy import Connection

from perfsvc.api.access import Caller, Door
from perfsvc.api.problems import AS_TOLD, answers
from perfsvc.errors import NotFound
from perfsvc.rows import to_json
from perfsvc.store import Store, queries
from perfsvc.tokens import Scope

#: The largest number that a database takes for an id.
LARGEST_ID = 2**63 - 1

Id = Annotated[int, Path(ge=1, le=LARGEST_ID)]
Limit = Annotated[int, Query(ge=1, le=5_000, description="at most so many; `Link` in the answer leads to the next")]
Cursor = Annotated[int, Query(ge=0, le=LARGEST_ID, description="as the `Link` of the page before has it")]
Name = Annotated[str, Query(max_length=10_000)]


def routes(store: Store, door: Door) -> APIRouter:
    described = answers(400, 401, 403, 404, 422, 429, 503)
    described[304] = {"description": "what `If-None-Match` named is what it still is"}
    router = APIRouter(tags=["reading"], responses=described)
    reader: Caller = Depends(door.wants(Scope.READ))

    def answer(request: Request, question: Callable[[Connection], Any]) -> Response:
        with store.reading() as tx:
            return _tagged(request, question(tx))

    def of_project(request: Request, who: Caller, name: str, question: Callable[[Connection, int], Any]) -> Response:
        return answer(request, lambda tx: question(tx, who.enter(queries.project(tx, name)).id))

    def pages(request: Request, who: Caller, name: str, question: Callable[[Connection, int], Any]) -> Response:
        with store.reading() as tx:
            rows, more = question(tx, who.enter(queries.project(tx, name)).id)
        answered = _tagged(request, rows)
        if more:
            following = request.url.include_query_params(cursor=rows[-1].id)
            answered.headers["Link"] = f'<{following.path}?{following.query}>; rel="next"'
        return answered

    @router.get("/projects")
    def projects(request: Request, who: Caller = reader) -> Response:
        return answer(request, lambda tx: [row for row in queries.projects(tx) if who.sees(row.name)])

    @router.get("/runners", dependencies=[Depends(door.wants(Scope.READ))])
    def runners(request: Request) -> Response:
        return answer(request, queries.runners)

    @router.get("/series")
    def series(
        request: Request,
        project: Name,
        machine: Name = "",
        match: Name = "",
        limit: Limit = 1_000,
        cursor: Cursor = 0,
        who: Caller = reader,
    ) -> Response:
        """In the order in which they came to be."""
        chosen: dict[str, Any] = {"machine": machine or None, "match": match or None, "after": cursor}
        return pages(
            request,
            who,
            project,
            lambda tx, id_: _cut(queries.series(tx, id_, limit=limit + 1, **chosen), limit),
        )

    @router.get("/series/{series_id}/points")
    def points(request: Request, series_id: Id, who: Caller = reader) -> Response:
        def question(tx: Connection) -> Any:
            row = _visible(who, queries.one_series(tx, series_id), f"series {series_id}")
            return {"series": row, "points": queries.points(tx, series_id)}

        return answer(request, question)

    @router.get("/changes")
    def changes(request: Request, project: Name, who: Caller = reader) -> Response:
        """Newest first."""
        return of_project(request, who, project, queries.changes)

    @router.get("/alerts")
    def alerts(request: Request, project: Name, who: Caller = reader) -> Response:
        """Wrong results first, then the worst."""
        return of_project(request, who, project, queries.alerts)

    @router.get("/alerts/{alert_id}")
    def alert(request: Request, alert_id: Id, who: Caller = reader) -> Response:
        def question(tx: Connection) -> Any:
            detail = queries.alert(tx, alert_id)
            _visible(who, detail.alert, f"alert {alert_id}")
            return detail

        return answer(request, question)

    @router.get("/runs")
    def runs(request: Request, project: Name, limit: Limit = 100, cursor: Cursor = 0, who: Caller = reader) -> Response:
        """Newest first."""
        before = cursor or None
        return pages(
            request,
            who,
            project,
            lambda tx, id_: _cut(queries.runs(tx, id_, limit=limit + 1, before=before), limit),
        )

    @router.get("/guards")
    def guards(request: Request, project: Name, who: Caller = reader) -> Response:
        """The newest result of each."""
        return of_project(request, who, project, queries.guards)

    @router.get("/jobs")
    def jobs(request: Request, project: Name, limit: Limit = 100, who: Caller = reader) -> Response:
        """Newest first."""
        return of_project(request, who, project, lambda tx, id_: queries.jobs(tx, id_, limit=limit))

    return router


def _cut(rows: Sequence[Any], limit: int) -> tuple[Sequence[Any], bool]:
    """A page, and whether there are more."""
    return rows[:limit], len(rows) > limit


def _visible(who: Caller, row: Any, what: str) -> Any:
    if not who.sees(row.project):
        raise NotFound(f"there is no {what}")
    return row


def _tagged(request: Request, told: Any) -> Response:
    """JSON with a tag of its content; nothing where whoever asks has it already."""
    body = json.dumps(to_json(told), ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    tag = f'"{sha256(body).hexdigest()[:32]}"'
    headers = {**AS_TOLD, "ETag": tag, "Cache-Control": "private, no-cache"}
    known = [each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")]
    if tag in known:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)
