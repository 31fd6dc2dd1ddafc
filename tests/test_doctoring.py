"""What is missing on this machine is named, and how to get it."""

from __future__ import annotations

import importlib.metadata
import socket
from pathlib import Path
from typing import Any

import pytest

from perfsvc import doctoring
from perfsvc.doctoring import Check, examine, require_free
from perfsvc.errors import PortInUse, SettingsError
from perfsvc.settings import Settings
from perfsvc.store import Store


@pytest.fixture
def settings(tmp_path: Path, clean_environment: None) -> Settings:
    return Settings(home=tmp_path / "not" / "there" / "yet", api_port=1024, dashboard_port=1025)


def check(checks: list[Check], what: str) -> Check:
    (found,) = (each for each in checks if each.what == what)
    return found


def test_a_machine_that_has_all_it_needs(settings: Settings) -> None:
    checks = examine(None, settings)
    assert {each.what for each in checks if each.needed and not each.ok} <= {"disk"}
    assert not settings.home.exists()


def test_outside_a_project_that_is_only_a_note(settings: Settings) -> None:
    found = check(examine(None, settings), "project")
    assert (found.ok, found.needed) == (False, False)
    assert found.remedy_shown == "; go to a project's folder"


def test_a_project_that_cannot_be_measured(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "asv.conf.json").write_text('{"version": 1, "project": "toy", "repo": "."}')
    found = check(examine(tmp_path, settings), "project")
    assert (found.ok, found.needed) == (False, True)
    assert "is not in a git repository" in found.found
    (tmp_path / "asv.conf.json").write_text("{ not json")
    assert "asv.conf.json" in check(examine(tmp_path, settings), "project").found


def test_a_program_and_a_package_that_are_missing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(doctoring.importlib.metadata, "version", missing)
    monkeypatch.setenv("PATH", "")
    checks = examine(None, settings)
    assert check(checks, "git").remedy == "install git from your system's packages"
    assert check(checks, "asv").remedy == "pip install 'perfsvc[runner]'"
    assert check(checks, "streamlit").remedy == "pip install 'perfsvc[dashboard]'"


def test_a_full_disk(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    usage: Any = type("usage", (), {"free": 2**20})
    monkeypatch.setattr(doctoring.shutil, "disk_usage", lambda _: usage)
    found = check(examine(None, settings), "disk")
    assert (found.ok, found.found.startswith("1.00 MiB free under ")) == (False, True)


def test_the_database_that_is_not_made_yet_is_a_note_and_a_newer_one_is_not(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert not check(examine(None, settings), "database").needed
    store = Store.create(settings.database)
    assert check(examine(None, settings), "database").ok
    with store.writing() as tx:
        tx.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    store.close()
    found = check(examine(None, settings), "database")
    assert (found.ok, found.needed) == (False, True)
    assert "a newer perfsvc wrote it" in found.found


def test_settings_that_could_not_be_read(settings: Settings) -> None:
    found = check(examine(None, settings, SettingsError("perfsvc.toml: measure.ruonds: no such key")), "settings")
    assert "ruonds" in found.found
    assert found.needed


def test_a_port_in_use_is_named_with_its_setting() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse, match=f"127.0.0.1:{port}: Address already in use; .* PERFSVC_API_PORT"):
            require_free("127.0.0.1", port, "PERFSVC_API_PORT")
    require_free("127.0.0.1", port, "PERFSVC_API_PORT")


@pytest.mark.parametrize("host", ["203.0.113.7", "no such host"])
def test_a_host_that_is_not_ours(host: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=f"PERFSVC_HOST = {host}"):
        require_free(host, 8642, "PERFSVC_API_PORT")
    assert not check(examine(None, Settings(home=tmp_path, host=host)), "API port").ok
