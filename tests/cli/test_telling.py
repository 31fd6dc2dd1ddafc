"""Do messages arrive? `perfsvc notify test` tries, `perfsvc notify list` tells."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Call


def test_every_target_is_tried_and_one_that_fails_is_named(
    perfsvc: Call, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert perfsvc("notify", "test").out == "log-file: took it\n"
    assert "a test from" in (home / "alerts.log").read_text()
    monkeypatch.setenv("PERFSVC_TARGETS", json.dumps({"team": "webhook+http://:s3cret@127.0.0.1:9/"}))
    tried = perfsvc("notify", "test")
    assert tried.code == 3
    assert "log-file: took it" in tried.out
    assert "team: did not take it: NotTaken: team: ConnectError" in tried.out
    assert "s3cret" not in tried.out + tried.err
    assert perfsvc("notify", "test", "log-file").code == 0
    unknown = perfsvc("notify", "test", "nobody")
    assert (unknown.code, "there are: log-file, team" in unknown.err) == (2, True)


def test_an_address_that_nobody_understands_is_named_and_not_shown(
    perfsvc: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERFSVC_TARGETS", json.dumps({"team": "nonsense://s3cret"}))
    said = perfsvc("notify", "test")
    assert (said.code, "PERFSVC_TARGETS: team: is no address" in said.out) == (3, True)
    assert "log-file: took it" in said.out
    assert "s3cret" not in said.out + said.err


def test_nobody_had_to_be_told_anything_yet(perfsvc: Call) -> None:
    perfsvc("init")
    assert "nobody had to be told" in perfsvc("notify", "list").err
