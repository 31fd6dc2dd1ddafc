"""What can be chosen, where it is written, and what holds when nothing is.

`perfsvc.toml` beside `asv.conf.json` holds what belongs to the project; the environment (`PERFSVC_...`, `__` nested)
and secret files (folder in `PERFSVC_SECRETS_DIR`) hold what belongs to the machine. First named wins: arguments,
environment, secret files, perfsvc.toml.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Self

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from perfsvc.errors import SettingsError
from perfsvc.model import Direction, Metric

PROJECT_FILE = "perfsvc.toml"
SUITE_FILE = "asv.conf.json"


class Section(BaseModel):
    """A table of perfsvc.toml. Unknown keys are refused: a misspelt setting must not be silence."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ProjectSection(Section):
    name: str = ""  #: default: `project` of asv.conf.json
    branch: str = "main"
    commit_url: str = ""  #: shown before a hash, as asv's show_commit_url


class MetricRule(Section):
    """Says of every benchmark whose `name(params)` matches what its number counts."""

    match: str
    metric: str = ""
    unit: str = ""
    direction: Direction | None = None
    exact: bool | None = None

    @field_validator("match")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return value

    def applied(self, metric: Metric) -> Metric:
        return Metric(
            name=self.metric or metric.name,
            unit=self.unit or metric.unit,
            direction=self.direction or metric.direction,
            exact=metric.exact if self.exact is None else self.exact,
        )


class DetectSection(Section):
    """Everything else of the method is fixed, and documented in docs/detection.md."""

    alpha: float = Field(0.01, gt=0, lt=1)  #: a candidate's
    q: float = Field(0.05, gt=0, lt=1)  #: share of false alerts among all of a night
    minimum_effect: float = Field(0.01, gt=0)  #: smaller steps are nobody's business
    minimum_effects: dict[str, float] = {}  #: regex over `name(params)` -> its own minimum effect


class GuardsSection(Section):
    command: list[str] = []  #: started in the suite's worktree; empty: this project has no guards
    timeout: float = 900.0


class EnvironmentSection(Section):
    """What a runner installs into the environment that it measures in."""

    requirements: list[str] = []
    python: Path | None = None  #: measure in this interpreter's environment as it is; build none
    variables: dict[str, str] = {}


class MeasureSection(Section):
    rounds: int = Field(3, ge=1, le=40)  #: fresh processes per benchmark; the median of their medians is the value
    launch_method: str = "auto"  #: "auto": forkserver on a Linux cpu, spawn elsewhere
    timeout: float = 3600.0  #: wall clock for one commit; asv's own limits watch for silence only


class NightSection(Section):
    cron: str = "30 3 * * *"
    timezone: str = "UTC"
    last: int = Field(20, ge=1)  #: how far back a night looks for commits that are not measured yet
    budget_minutes: float = Field(120.0, gt=0)


class NotifySection(Section):
    log_file: Path | None = None  #: default: alerts.log under PERFSVC_HOME
    threshold: float = Field(1.0, ge=1)  #: tell only of changes at least this many times worse


class DashboardSection(Section):
    read: str = "public"
    triage: list[str] = []


class Settings(BaseSettings):
    """All of it. `Settings.load(folder)` is the door."""

    model_config = SettingsConfigDict(
        env_prefix="PERFSVC_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,  # otherwise a validation error prints the secret
    )

    home: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("perfsvc")))
    database_url: SecretStr = SecretStr("")
    host: str = "127.0.0.1"
    api_port: int = Field(8642, ge=1, le=65535)
    dashboard_port: int = Field(8643, ge=1, le=65535)

    project: ProjectSection = ProjectSection()
    metrics: list[MetricRule] = []
    detect: DetectSection = DetectSection()
    guards: GuardsSection = GuardsSection()
    environment: EnvironmentSection = EnvironmentSection()
    measure: MeasureSection = MeasureSection()
    night: NightSection = NightSection()
    notify: NotifySection = NotifySection()
    dashboard: DashboardSection = DashboardSection()

    folder: Path | None = None  #: where perfsvc.toml was looked for; not a setting of its own

    @classmethod
    def load(cls, folder: Path | None = None, **given: Any) -> Self:
        """Read the settings for the project in `folder` (default: none, the machine's only).

        Raises: SettingsError with file, key and what was wanted.
        """
        toml = folder / PROJECT_FILE if folder else None
        try:
            loader = cls
            if toml and toml.is_file():
                loader = type(cls.__name__, (cls,), {"model_config": SettingsConfigDict(toml_file=toml)})
            return loader(folder=folder, _secrets_dir=os.environ.get("PERFSVC_SECRETS_DIR"), **given)
        except ValidationError as error:
            lines = [f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in error.errors()]
            where = toml if toml and toml.is_file() else "the environment (PERFSVC_...)"
            raise SettingsError(f"{where}: " + "; ".join(lines)) from None
        except ValueError as error:  # TOML that is no TOML
            raise SettingsError(f"{toml}: {error}") from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # a .env file is not read
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        sources: list[PydanticBaseSettingsSource] = [init_settings, env_settings, file_secret_settings]
        if settings_cls.model_config.get("toml_file"):
            sources.append(TomlConfigSettingsSource(settings_cls))
        return tuple(sources)

    @property
    def database(self) -> str:
        """The database's URL: what was set, or a SQLite file under `home`."""
        return self.database_url.get_secret_value() or f"sqlite:///{self.home / 'perfsvc.sqlite'}"

    @property
    def dashboard_address(self) -> str:
        return f"http://{self.host}:{self.dashboard_port}"

    @property
    def alert_log(self) -> Path:
        return self.notify.log_file or self.home / "alerts.log"

    def metric(self, label: str, told: Metric) -> Metric:
        """What the suite told of the benchmark `label`, overruled by the first rule of perfsvc.toml that matches."""
        for rule in self.metrics:
            if re.search(rule.match, label):
                return rule.applied(told)
        return told

    def minimum_effect(self, label: str) -> float:
        for pattern, effect in self.detect.minimum_effects.items():
            if re.search(pattern, label):
                return effect
        return self.detect.minimum_effect


def project_folder(start: Path) -> Path | None:
    """The nearest folder at or above `start` that holds an asv.conf.json or a perfsvc.toml."""
    for folder in (start, *start.parents):
        if (folder / SUITE_FILE).is_file() or (folder / PROJECT_FILE).is_file():
            return folder
    return None
