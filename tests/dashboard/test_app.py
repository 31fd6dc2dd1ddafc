"""The front door: what one sees when the store is not as it should be, and how the server is started."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import dashboard
from tests.dashboard.conftest import text


@pytest.fixture
def front(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AppTest:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PERFSVC_HOME", str(tmp_path))
    return AppTest.from_file(str(dashboard.APP), default_timeout=20)


def test_it_opens_on_tonight(front: AppTest, own_month: Path) -> None:
    assert "Tonight in attention" in text(front.run())


def test_without_a_database_it_says_how_to_make_one(front: AppTest) -> None:
    told = text(front.run())
    assert "there is no perfsvc database" in told
    assert "perfsvc init" in told


def test_a_newer_database_is_left_alone_and_said_so(front: AppTest, own_month: Path) -> None:
    with sqlite3.connect(own_month / "perfsvc.sqlite") as database:
        database.execute("update alembic_version set version_num = '9999'")
    assert "a newer perfsvc wrote it" in text(front.run())


def test_a_misspelt_setting_is_named(front: AppTest, own_month: Path) -> None:
    (own_month / "perfsvc.toml").write_text("[dashboard]\nraed = 'public'\n")
    assert "dashboard.raed" in text(front.run())


def test_where_reading_needs_a_name_a_stranger_sees_nothing(
    front: AppTest, own_month: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERFSVC_DASHBOARD__READ", "signed-in")
    told = text(front.run())
    assert "Sign in to read this." in told
    assert "attention" not in told


def test_a_fault_of_ours_is_told_without_a_trace(
    front: AppTest, own_month: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sqlite3.connect(own_month / "perfsvc.sqlite") as database:
        database.execute("drop table series_state")
    told = text(front.run())
    assert "Something went wrong here." in told
    assert "series_state" not in told


def test_the_server_listens_on_this_machine_and_answers_local_names_only() -> None:
    words = dashboard.command(port=8643)
    assert "--server.address=127.0.0.1" in words
    assert "--server.allowedHosts=localhost" in words
    assert "--browser.gatherUsageStats=false" in words
    assert not [word for word in dashboard.command(port=1, host="0.0.0.0") if "allowedHosts" in word]
