"""Where settings come from, which wins, and what is said of those that are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from perfsvc.errors import SettingsError
from perfsvc.model import Direction, Metric
from perfsvc.settings import PROJECT_FILE, Settings, project_folder

pytestmark = pytest.mark.usefixtures("clean_environment")


def written(folder: Path, text: str) -> Path:
    (folder / PROJECT_FILE).write_text(text)
    return folder


def test_without_anything_there_are_defaults() -> None:
    settings = Settings.load()
    assert settings.host == "127.0.0.1"
    assert settings.database == f"sqlite:///{settings.home / 'perfsvc.sqlite'}"
    assert settings.alert_log == settings.home / "alerts.log"
    assert settings.dashboard.triage == []


def test_the_file_of_the_project_is_read(tmp_path: Path) -> None:
    settings = Settings.load(written(tmp_path, "[detect]\nalpha = 0.001\n[project]\nbranch = 'develop'\n"))
    assert (settings.detect.alpha, settings.detect.q, settings.project.branch) == (0.001, 0.05, "develop")


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERFSVC_DETECT__ALPHA", "0.002")
    settings = Settings.load(written(tmp_path, "[detect]\nalpha = 0.001\nq = 0.1\n"))
    assert (settings.detect.alpha, settings.detect.q) == (0.002, 0.1)


def test_arguments_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERFSVC_API_PORT", "1000")
    assert Settings.load(api_port=2000).api_port == 2000


def test_the_environment_wins_over_a_secret_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "PERFSVC_DATABASE_URL").write_text("postgresql://from@file/x\n")
    monkeypatch.setenv("PERFSVC_SECRETS_DIR", str(tmp_path))
    assert Settings.load().database == "postgresql://from@file/x"
    monkeypatch.setenv("PERFSVC_DATABASE_URL", "postgresql://from@environment/x")
    assert Settings.load().database == "postgresql://from@environment/x"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[detect]\nalhpa = 0.1", r"perfsvc.toml: detect.alhpa: Extra inputs are not permitted"),
        ("[detekt]\nalpha = 0.1", r"perfsvc.toml: detekt: Extra inputs are not permitted"),
        ("[detect]\nalpha = 'much'", r"perfsvc.toml: detect.alpha: Input should be a valid number"),
        ("[detect]\nalpha = 2", r"perfsvc.toml: detect.alpha: Input should be less than 1"),
        ("[measure]\nrounds = 0", r"perfsvc.toml: measure.rounds: Input should be greater than or equal to 1"),
        ("[detect\nalpha", r"perfsvc.toml: "),
        ("[[metrics]]\nmatch = '('", r"perfsvc.toml: metrics.0.match: .*'\(' is no regular expression"),
        ("[[metrics]]\nmatch = 'x'\ndirection = 'down'", r"metrics.0.direction: Input should be 'lower', 'higher' or"),
        ("[detect.minimum_effects]\n'(' = 0.1", r"is no regular expression"),
        ("[detect.minimum_effects]\n'time' = 0", r"Input should be greater than 0"),
        ("[ingest.pools]\n'(' = 'x'", r"perfsvc.toml: ingest.pools.*: .*'\(' is no regular expression"),
        (
            "[ingest.pools]\n'a' = '\\2'",
            r"perfsvc.toml: ingest.pools: .*cannot be filled from 'a': invalid group reference",
        ),
        ("[ingest.pools]\n'a' = ''", r"perfsvc.toml: ingest.pools: .*a pool has no name"),
        (
            "[ingest.environments]\n'a' = '\\g<x>'",
            r"ingest.environments: .*cannot be filled from 'a': unknown group name",
        ),
        ("[[ingest.rename]]\nto = 'b'", r"perfsvc.toml: ingest.rename.0.match: Field required"),
        ("[night]\ntimezone = 'Mars'", r"night.timezone: .*'Mars' is no time zone; wanted a name like UTC"),
        ("database_url = 'sqlite:///x'", r"database_url belongs to the machine.*: set PERFSVC_DATABASE_URL"),
        ("home = '/x'", r"home belongs to the machine.*: set PERFSVC_HOME"),
    ],
)
def test_what_is_wrong_in_the_file_names_the_file_and_the_key(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        Settings.load(written(tmp_path, text))


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("PERFSVC_API_PORT", "many", "PERFSVC_API_PORT: Input should be a valid integer"),
        ("PERFSVC_API_PORT", "70000", "PERFSVC_API_PORT: Input should be less than or equal to 65535"),
        ("PERFSVC_DETECT__ALHPA", "0.1", "PERFSVC_DETECT__ALHPA: Extra inputs are not permitted"),
        (
            "PERFSVC_DATABSE_URL",
            "x",
            "PERFSVC_DATABSE_URL: there is no such setting; did you mean PERFSVC_DATABASE_URL?",
        ),
        ("PERFSVC_DETEKT__ALPHA", "1", "PERFSVC_DETEKT__ALPHA: there is no such setting; did you mean PERFSVC_DETECT?"),
        ("PERFSVC_METRICS", "[{", "the environment .*metrics"),
    ],
)
def test_what_is_wrong_in_the_environment_names_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=said.replace("?", r"\?")):
        Settings.load(written(tmp_path, "[detect]\nq = 0.1\n"))


@pytest.mark.parametrize("name", ["PERFSVC_DEVICE", "PERFSVC_GRID", "PERFSVC_FACTS", "PERFSVC_EXPECT"])
def test_a_variable_of_the_suites_is_no_misspelt_setting(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "x")
    Settings.load()


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"alpha.*; .*night.last"):
        Settings.load(written(tmp_path, "[detect]\nalpha = 2\n[night]\nlast = 0\n"))


def test_no_secret_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERFSVC_DATABASE_URL", "postgresql://me:hunter2@host/x")
    settings = Settings.load()
    assert "hunter2" not in repr(settings) + str(settings) + settings.model_dump_json()
    assert "hunter2" in settings.database
    monkeypatch.setenv("PERFSVC_API_PORT", "hunter2")
    with pytest.raises(SettingsError) as told:
        Settings.load()
    assert "hunter2" not in str(told.value)


def test_the_first_rule_that_matches_says_what_a_number_counts(tmp_path: Path) -> None:
    first = "[[metrics]]\nmatch = 'peak'\nunit = 'bytes'\ndirection = 'lower'\nexact = true\n"
    settings = Settings.load(written(tmp_path, first + "[[metrics]]\nmatch = '.'\nmetric = 'x'\n"))
    told = Metric("memory", "1")
    assert settings.metric("track_peak(1)", told) == Metric("memory", "bytes", Direction.LOWER, exact=True)
    assert settings.metric("track_other(1)", told) == Metric("x", "1")


def test_a_series_may_have_its_own_minimum_effect(tmp_path: Path) -> None:
    settings = Settings.load(written(tmp_path, "[detect.minimum_effects]\n'noisy' = 0.2\n"))
    assert (settings.minimum_effect("time_noisy(1)"), settings.minimum_effect("time_calm")) == (0.2, 0.01)


def test_rules_for_names_come_from_the_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings.load(
        written(tmp_path, "[ingest.environments]\n'.*' = ''\n[[ingest.rename]]\nmatch = 'a'\nto = 'b'\n")
    )
    assert settings.ingest.environments == {".*": ""}
    assert (settings.ingest.rename[0].match, settings.ingest.rename[0].to) == ("a", "b")
    monkeypatch.setenv("PERFSVC_INGEST__POOLS", '{"fv-.*": "hosted"}')
    assert Settings.load().ingest.pools == {"fv-.*": "hosted"}


@pytest.mark.parametrize(("log", "lies"), [("mine.log", "/home/mine.log"), ("/var/mine.log", "/var/mine.log")])
def test_the_log_lies_under_home_unless_it_is_told_otherwise(log: str, lies: str) -> None:
    settings = Settings.load(home=Path("/home"), notify={"log_file": log})
    assert settings.alert_log == Path(lies)


def test_the_project_is_the_nearest_folder_with_a_suite(tmp_path: Path) -> None:
    (tmp_path / "asv.conf.json").write_text("{}")
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert project_folder(tmp_path / "a" / "b") == tmp_path
    (tmp_path / "a" / PROJECT_FILE).write_text("")
    assert project_folder(tmp_path / "a" / "b") == tmp_path / "a"
