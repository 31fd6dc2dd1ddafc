"""Commands for what comes from elsewhere: tokens that let it in, and projects that it belongs to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from perfsvc import tokens, units
from perfsvc.cli.context import LARGEST_ID, JsonOption, opened, settings
from perfsvc.cli.output import Column, note, print_json, print_lines, print_rows
from perfsvc.errors import NotFound, SettingsError
from perfsvc.rows import TokenRow
from perfsvc.store import queries, writes
from perfsvc.tokens import Scope

_NAME = 200  # characters that a name may have

token = typer.Typer(help="Let programs in over HTTP: make, list and revoke their tokens.", no_args_is_help=True)
project = typer.Typer(help="Projects whose results come from elsewhere.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.add_typer(token, name="token")
    app.add_typer(project, name="project")


@token.command("create")
def create_token(
    name: Annotated[str, typer.Argument(help="Whose it is, as the log will say: `github-actions`.")],
    scopes: Annotated[list[Scope], typer.Option("--scope", "-s", help="What it may do; several are given one by one.")],
    project: Annotated[str, typer.Option("--project", "-p", help="For this project alone; default: for all.")] = "",
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help="It ends after so many.")] = 365,
    as_json: JsonOption = False,
) -> None:
    """Make a token and print it, once: what is kept is a hash of it."""
    _check_name(name)
    now, text = datetime.now(UTC), tokens.make()
    with opened(settings(), create=True) as store, store.writing() as tx:
        project_id = queries.project(tx, project).id if project else None
        kept = dict.fromkeys(scopes)
        ends = now + timedelta(days=days)
        id_ = writes.tokens.add_token(
            tx, name, tokens.digest(text), kept, project_id=project_id, expires_at=ends, now=now
        )
    if as_json:
        print_json("token", {"id": id_, "name": name, "token": text, "expires_at": ends})
        return
    print_lines([text])
    note(f"token {id_} for {name}, until {ends:%Y-%m-%d}: put it into a secret now, it is not shown again")


@token.command("list")
def list_tokens(as_json: JsonOption = False) -> None:
    """Every token that was made, without its text."""
    with opened(settings()) as store, store.reading() as tx:
        rows = queries.tokens(tx)
    now = datetime.now(UTC)
    columns = [
        Column("token", lambda t: t.id),
        Column("may", lambda t: ", ".join(scope.value for scope in t.scopes)),
        Column("project", lambda t: t.project or "all"),
        Column("is", lambda t: _state(t, now)),
        Column("used", lambda t: units.age(t.last_used_at, now) if t.last_used_at else "never"),
        Column("name", lambda t: t.name),
    ]
    empty = "nobody has a token; `perfsvc token create NAME --scope ingest` makes one"
    print_rows("tokens", rows, columns, as_json=as_json, empty=empty)


@token.command("revoke")
def revoke_token(id_: Annotated[int, typer.Argument(metavar="TOKEN", min=1, max=LARGEST_ID)]) -> None:
    """From now on it opens nothing."""
    with opened(settings()) as store, store.writing() as tx:
        if not writes.tokens.revoke_token(tx, id_, datetime.now(UTC)):
            raise NotFound(f"there is no token {id_} that could still be revoked; `perfsvc token list`")
    print_lines([f"token {id_} opens nothing any more"])


@project.command("add")
def add_project(
    name: Annotated[str, typer.Argument(help="As results and pages will call it.")],
    branch: Annotated[str, typer.Option("--branch", help="The branch that is watched.")] = "main",
) -> None:
    """Have a project whose results are ingested or come over HTTP; one that you stand in needs no adding."""
    _check_name(name)
    with opened(settings(), create=True) as store, store.writing() as tx:
        if any(row.name == name for row in queries.projects(tx)):
            raise SettingsError(f"there is a project {name!r} already; `perfsvc project list`")
        writes.catalog.keep_project(tx, name, now=datetime.now(UTC), branch=branch)
    print_lines([f"project {name} is there; next: `perfsvc token create NAME --scope ingest --project {name}`"])


@project.command("list")
def list_projects(as_json: JsonOption = False) -> None:
    """Every project that is watched."""
    with opened(settings()) as store, store.reading() as tx:
        rows = queries.projects(tx)
    columns = [
        Column("project", lambda p: p.name),
        Column("branch", lambda p: p.branch),
        Column("order", lambda p: "git's" if p.ordered_by_git else "by date"),
        Column("folder", lambda p: p.repository),
    ]
    empty = "no project yet; `perfsvc up` in a project's folder, `perfsvc ingest PATH`, or `perfsvc project add NAME`"
    print_rows("projects", rows, columns, as_json=as_json, empty=empty)


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > _NAME or not name.isprintable():
        raise SettingsError(f"{name[:40]!r} is no name; wanted 1 to {_NAME} characters that can be printed")


def _state(row: TokenRow, now: datetime) -> str:
    if row.revoked_at is not None:
        return "revoked"
    if not row.is_valid(now):
        return "expired"
    return f"good until {row.expires_at:%Y-%m-%d}" if row.expires_at else "good"
