"""The whole way, without a mock: two planted commits through git, asv and SQLite to alerts, a notification, a page."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from perfsvc import selftest
from perfsvc.settings import Settings

ROOT = Path(__file__).parents[2]
PLAN = ("", "", "mask_not_cached", "", "mask_leaks", "")
SLOW, WRONG = PLAN.index("mask_not_cached"), PLAN.index("mask_leaks")
BENCH = r"^(counters|forward)\.Forward.*'(cached|plain)'"


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    repository = tmp_path_factory.mktemp("history") / "repository"
    return repository, selftest.plant_history(ROOT, repository, PLAN, selftest.read_mutants(ROOT / "tests/mutants"))


@pytest.fixture(scope="module")
def measured(history: tuple[Path, list[str]], shell: Callable[..., Any]) -> Any:
    repository, hashes = history
    guards = selftest.telling_guards(Settings.load(ROOT).guards.command)
    here = shell(repository, PERFSVC_GUARDS__COMMAND=json.dumps(guards))
    here("measure", "--commits", f"{hashes[0]}", "--bench", BENCH)
    here("measure", "--commits", f"{hashes[0]}..main", "--bench", BENCH, wanted=(0, 1))
    return here


@pytest.mark.timeout(290)
def test_the_slowdown_is_told_with_its_commit_and_its_operators(history: Any, measured: Any) -> None:
    (alert,) = [a for a in measured.rows("alerts") if a["kind"] == "regression"]
    assert (alert["first_bad"]["hash"], alert["commits_in_range"]) == (history[1][SLOW], 1)
    assert alert["cause"] == "code"
    (change,) = [c for c in measured.rows("changes") if c["metric"] == "operators" and c["worse"]]
    assert "'cached'" in change["label"]
    assert change["after"] > change["before"]
    assert "triu" in change["explanation"]


def test_the_wrong_result_is_told_with_its_commit(history: Any, measured: Any) -> None:
    (alert,) = [a for a in measured.rows("alerts") if a["kind"] == "wrong result"]
    assert (alert["first_bad"]["hash"], alert["commits_in_range"]) == (history[1][WRONG], 1)
    failed = {g["guard"] for g in measured.rows("guards") if g["outcome"] == "failed"}
    assert {"G1", "G4"} <= failed


def test_timings_of_a_wrong_commit_are_not_believed(measured: Any) -> None:
    verdicts = {s["label"]: s["verdict"] for s in measured.rows("series") if s["benchmark"].startswith("forward")}
    assert verdicts["forward.Forward.time_forward('cached', 'b4_t256_c64')"] == "wrong"


def test_both_are_in_the_alert_log_once(history: Any, measured: Any) -> None:
    log = (measured.home / "alerts.log").read_text()
    for place in (SLOW, WRONG):
        assert log.count(f"since: {history[1][place][:8]}") == 1


def test_measuring_again_finds_nothing_new(measured: Any) -> None:
    before = [(a["id"], a["state"]) for a in measured.rows("alerts")]
    assert "measured" in measured("measure", "--last", "6", "--bench", BENCH)
    assert [(a["id"], a["state"]) for a in measured.rows("alerts")] == before


def test_the_start_page_shows_both(measured: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in measured.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(measured.folder)
    page = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=30).run()
    assert not page.exception
    shown = " ".join(str(element.value) for element in (*page.markdown, *page.get("html"), *page.title, *page.header))
    for text in ("one way to get a mask", "simpler diagonal"):
        assert text in shown


def test_an_accepted_slowdown_stands_no_more(measured: Any) -> None:
    (alert,) = [a for a in measured.rows("alerts") if a["kind"] == "regression"]
    measured("accept", str(alert["id"]), "--reason", "the demo wants it so")
    assert [a["kind"] for a in measured.rows("alerts")] == ["wrong result"]
    assert "the demo wants it so" in measured("show", str(alert["id"]))
