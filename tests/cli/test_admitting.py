"""Tokens and projects by hand: shown once, listed without their text, and gone when they are revoked."""

from pathlib import Path

from perfsvc.settings import Settings
from perfsvc.store import Store, queries
from perfsvc.tokens import Scope, digest
from tests.cli.conftest import Call


def test_a_token_is_printed_once_alone_on_stdout(perfsvc: Call, home: Path) -> None:
    perfsvc("project", "add", "attention")
    made = perfsvc("token", "create", "ci", "--scope", "ingest", "-s", "read", "--project", "attention", "--days", "7")
    assert (made.code, made.out.count("\n")) == (0, 1)
    assert "not shown again" in made.err
    store = Store.open(Settings.load(None).database)
    with store.reading() as tx:
        found = queries.find_token(tx, digest(made.out.strip()))
    store.close()
    assert found is not None
    assert (found.name, found.scopes, found.project) == ("ci", (Scope.INGEST, Scope.READ), "attention")
    assert found.expires_at is not None
    assert (found.expires_at - found.created_at).days == 7
    listed = perfsvc("token", "list")
    assert made.out.strip() not in listed.out
    assert "ingest, read" in listed.out


def test_a_revoked_token_says_so(perfsvc: Call) -> None:
    (id_,) = [perfsvc("token", "create", "ci", "-s", "read", "--json").json()["token"]["id"]]
    assert perfsvc("token", "revoke", str(id_)).code == 0
    assert "revoked" in perfsvc("token", "list").out
    again = perfsvc("token", "revoke", str(id_))
    assert (again.code, "no token 1" in again.err) == (2, True)


def test_what_cannot_be_is_told(perfsvc: Call) -> None:
    for arguments, says in (
        (("token", "create", "ci"), "--scope"),
        (("token", "create", "ci", "-s", "everything"), "everything"),
        (("token", "create", "ci", "-s", "read", "-p", "nobody"), "no project 'nobody'"),
        (("token", "create", "a\x1bb", "-s", "read"), "is no name"),
        (("project", "add", " "), "is no name"),
        (("project", "add", "n" * 201), "is no name"),
    ):
        said = perfsvc(*arguments)
        assert said.code == 2, arguments
        assert says in said.err


def test_projects_are_listed(perfsvc: Call) -> None:
    added = perfsvc("project", "add", "one")
    assert (added.code, "token create" in added.out) == (0, True)
    assert perfsvc("project", "add", "one").code == 2
    assert [row["name"] for row in perfsvc("project", "list", "--json").json()["projects"]] == ["one"]


def test_nobody_has_a_token_yet(perfsvc: Call) -> None:
    perfsvc("project", "add", "one")
    assert "token create" in perfsvc("token", "list").err
