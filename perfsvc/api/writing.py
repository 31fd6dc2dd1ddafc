"""What is sent: reports of runs, what people decide of alerts. Every step wants a token, and is kept with its name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, StringConstraints

from perfsvc import pipeline, triage, work
from perfsvc.api.access import Caller, Door
from perfsvc.api.bodies import read_json
from perfsvc.api.problems import answers
from perfsvc.api.reading import Id, Name
from perfsvc.errors import NotFound
from perfsvc.formats import Naming, report
from perfsvc.rows import AlertRow, to_json
from perfsvc.store import Store, queries, writes
from perfsvc.tokens import Scope

Reason = Annotated[str, StringConstraints(max_length=10_000, pattern=r"^[^\x00]*$")]
ProjectName = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]


class Step(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    reason: Reason = ""


class NewProject(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    name: ProjectName
    branch: ProjectName = "main"


class Taken(BaseModel):
    """What became of a report."""

    new: bool  #: False: this very content was there already
    results: int
    skips: int
    guards: int
    complaints: list[str]


class Action(StrEnum):
    ACKNOWLEDGE = "acknowledge"
    ACCEPT = "accept"
    DISMISS = "dismiss"
    REOPEN = "reopen"


_STEPS: dict[Action, Callable[..., AlertRow]] = {
    Action.ACKNOWLEDGE: triage.acknowledge,
    Action.ACCEPT: triage.accept,
    Action.DISMISS: triage.dismiss,
    Action.REOPEN: triage.reopen,
}

_REPORT = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": report.Report.model_json_schema()}}}
}


def routes(store: Store, door: Door) -> APIRouter:
    router = APIRouter(tags=["writing"], responses=answers(400, 401, 403, 404, 409, 413, 415, 422, 429, 503))
    may_ingest, may_decide, may_all = (
        Depends(door.wants(scope)) for scope in (Scope.INGEST, Scope.TRIAGE, Scope.ADMIN)
    )

    @router.post("/reports", status_code=201, openapi_extra=_REPORT)
    async def reports(
        request: Request,
        response: Response,
        project: Annotated[str, Query(min_length=1, max_length=200)],
        who: Caller = may_ingest,
    ) -> Taken:
        """Keep a run. 201: it is new, or holds more than before; 200: this very content was there already.

        It is judged within a minute. gzip is taken.
        """
        body = await read_json(request)
        taken = await run_in_threadpool(_keep, store, who, project, body)
        response.status_code = 201 if taken.new else 200
        return taken

    @router.post("/projects", status_code=201)
    def projects(new: NewProject, who: Caller = may_all) -> dict[str, Any]:
        """Have a project whose results come over HTTP. One that is there is left as it is."""
        with store.writing() as tx:
            if not who.sees(new.name):
                raise NotFound(f"this token is for {who.project!r} alone")
            known = {row.name for row in queries.projects(tx)}
            if new.name not in known:
                writes.catalog.keep_project(tx, new.name, now=datetime.now(UTC), branch=new.branch)
            shown: dict[str, Any] = to_json(queries.project(tx, new.name))
        return shown

    @router.post("/alerts/{alert_id}/{action}")
    def decide(alert_id: Id, action: Action, step: Step, who: Caller = may_decide) -> dict[str, Any]:
        """Accepting and dismissing want a reason."""
        with store.reading() as tx:
            if not who.sees(queries.alert(tx, alert_id).alert.project):
                raise NotFound(f"there is no alert {alert_id}")
        shown: dict[str, Any] = to_json(_STEPS[action](store, alert_id, actor=who.name, reason=step.reason))
        return shown

    return router


def _keep(store: Store, who: Caller, project: Name, body: bytes) -> Taken:
    run = report.read(body)
    with store.reading() as tx:
        row = who.enter(queries.project(tx, project))
    rules = work.settings_of(row)
    total = pipeline.ingest(store, row.id, Naming(rules.ingest).named(run), rules, datetime.now(UTC))
    return Taken(
        new=bool(total.new),
        results=len(run.measurements),
        skips=len(run.skips),
        guards=len(run.guards),
        complaints=[each.reason for each in total.complaints],
    )
