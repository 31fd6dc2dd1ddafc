"""What can be chosen, where it is written, and what holds when nothing is.

`perfsvc.toml` beside `asv.conf.json` holds what belongs to the project; the environment (`PERFSVC_...`, `__` nested)
and secret files (folder in `PERFSVC_SECRETS_DIR`) hold what belongs to the machine. First named wins: arguments,
environment, secret files, perfsvc.toml.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

import platformdirs
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource
from pydantic_settings import SettingsError as SourceError

from perfsvc.errors import SettingsError
from perfsvc.model import Direction, Metric

PREFIX = "PERFSVC_"
PROJECT_FILE = "perfsvc.toml"
SUITE_FILE = "asv.conf.json"

#: Not for perfsvc.toml: whoever writes to a repository does not choose where the service keeps things and listens.
MACHINE_SETTINGS = frozenset({"home", "database_url", "host", "api_port", "dashboard_port", "folder"})

#: Variables that begin like settings and are none.
OTHER_VARIABLES = frozenset({"PERFSVC_SECRETS_DIR"})


class Section(BaseModel):
    """A table of perfsvc.toml. Unknown keys are refused: a misspelt setting must not be silence."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _compiles(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"{value!r} is no regular expression: {error}") from None
    return value


def _is_a_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{value!r} is no time zone; wanted a name like UTC or Europe/Berlin") from None
    return value


def _fits(pattern: str, name: str) -> None:
    """Whether the parentheses that a name takes its parts from are in the pattern."""
    try:
        re.sub(pattern, name, "")
    except (re.error, IndexError) as error:
        raise ValueError(f"{name!r} cannot be filled from {pattern!r}: {error}") from None


Pattern = Annotated[str, AfterValidator(_compiles)]
Zone = Annotated[str, AfterValidator(_is_a_zone)]


class ProjectSection(Section):
    name: str = ""  #: default: `project` of asv.conf.json
    branch: str = "main"
    commit_url: str = ""  #: shown before a hash, as asv's show_commit_url


class MetricRule(Section):
    """Says of every benchmark whose `name(params)` matches what its number counts."""

    match: Pattern
    metric: str = ""
    unit: str = ""
    direction: Direction | None = None
    exact: bool | None = None

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
    minimum_effects: dict[
        Pattern, Annotated[float, Field(gt=0)]
    ] = {}  #: regex over `name(params)` -> its own minimum effect


class RenameRule(Section):
    """Keeps a benchmark whose whole name matches under another name, or every version of it under one."""

    match: Pattern
    to: str = ""  #: may say \\1 for what the first parentheses of `match` found; empty: the name stays
    version: str | None = None  #: None: the version stays

    @model_validator(mode="after")
    def _is_filled(self) -> Self:
        _fits(self.match, self.to)
        return self


class IngestSection(Section):
    """Under which names others' results are kept. A pattern matches the whole name; the first that does counts."""

    pools: dict[Pattern, str] = {}  #: machine -> the name of machines that are alike, or of the one that replaced it
    environments: dict[Pattern, str] = {}  #: environment -> what it is called after the machine's name; "" = not at all
    rename: list[RenameRule] = []

    @field_validator("pools", "environments")
    @classmethod
    def _are_filled(cls, value: dict[str, str]) -> dict[str, str]:
        for pattern, name in value.items():
            _fits(pattern, name)
        return value

    @field_validator("pools")
    @classmethod
    def _are_named(cls, value: dict[str, str]) -> dict[str, str]:
        if not all(value.values()):
            raise ValueError("a pool has no name")
        return value


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
    first: Pattern = ""  #: regex over `name(params)`: what `perfsvc up` measures before there are pages to look at


class NightSection(Section):
    cron: str = "30 3 * * *"
    timezone: Zone = "UTC"
    last: int = Field(20, ge=1)  #: how far back a night looks for commits that are not measured yet
    budget_minutes: float = Field(120.0, gt=0)


#: The channel that is always there.
LOG_FILE = "log-file"


class NotifySection(Section):
    channels: list[str] = []  #: who is told: names of targets, or "log-file"; empty: all of them
    log_file: Path = Path("alerts.log")  #: under PERFSVC_HOME, where it is not absolute
    threshold: float = Field(1.0, ge=1)  #: tell only of changes at least this many times worse


class DashboardSection(Section):
    read: str = "public"
    triage: list[str] = []


class Settings(BaseSettings):
    """All of it. `Settings.load(folder)` is the door."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
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
    targets: dict[str, SecretStr] = {}  #: where alerts are told: a name -> an address of Apprise's, or webhook+https://

    project: ProjectSection = ProjectSection()
    metrics: list[MetricRule] = []
    ingest: IngestSection = IngestSection()
    detect: DetectSection = DetectSection()
    guards: GuardsSection = GuardsSection()
    environment: EnvironmentSection = EnvironmentSection()
    measure: MeasureSection = MeasureSection()
    night: NightSection = NightSection()
    notify: NotifySection = NotifySection()
    dashboard: DashboardSection = DashboardSection()

    folder: Path | None = None  #: where perfsvc.toml was looked for; not a setting of its own

    @field_validator("targets")
    @classmethod
    def _leave_the_log_its_name(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        if LOG_FILE in value:
            raise ValueError(f"{LOG_FILE} is the log's name; wanted another")
        return value

    @classmethod
    def load(cls, folder: Path | None = None, **given: Any) -> Self:
        """Read the settings for the project in `folder` (default: none, the machine's only).

        Raises: SettingsError with file or variable, key, and what was wanted.
        """
        toml = folder / PROJECT_FILE if folder else None
        written = _written(toml) if toml and toml.is_file() else {}
        _refuse_misspelt_variables(set(cls.model_fields))
        loader = cls
        if written:
            loader = type(cls.__name__, (cls,), {"model_config": SettingsConfigDict(toml_file=toml)})
        try:
            return loader(folder=folder, _secrets_dir=os.environ.get("PERFSVC_SECRETS_DIR"), **given)
        except ValidationError as error:
            lines = [f"{_where(e['loc'], toml, written)}: {e['msg']}" for e in error.errors()]
            raise SettingsError("; ".join(lines)) from None
        except SourceError as error:  # a variable that should hold JSON; the text may show a secret: not repeated
            raise SettingsError(f"the environment ({PREFIX}...): {str(error).splitlines()[0]}") from None

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
    def channels(self) -> list[str]:
        """Names of those who are told."""
        return self.notify.channels or [LOG_FILE, *self.targets]

    @property
    def alert_log(self) -> Path:
        return self.home / self.notify.log_file

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


def _written(toml: Path) -> dict[str, Any]:
    """What perfsvc.toml says. Raises: SettingsError when it is no TOML, or names what belongs to the machine."""
    try:
        found = tomllib.loads(toml.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SettingsError(f"{toml}: {error}") from None
    for key in MACHINE_SETTINGS & found.keys():
        raise SettingsError(f"{toml}: {key} belongs to the machine, not to the project: set {PREFIX}{key.upper()}")
    return found


def _where(place: tuple[int | str, ...], toml: Path | None, written: Mapping[str, Any]) -> str:
    """Where a setting was read: the file, unless the environment, which is asked first, has it."""
    steps = [str(step) for step in place]
    variable = PREFIX + "__".join(steps).upper()
    if variable in os.environ or not steps or steps[0] not in written:
        return variable
    return f"{toml}: {'.'.join(steps)}"


def _refuse_misspelt_variables(known: Iterable[str]) -> None:
    """A variable that is nearly a setting's. Others that begin alike are not ours to judge: PERFSVC_DEVICE is asv's."""
    names = [name.upper() for name in known]
    for variable in os.environ:
        name = variable.removeprefix(PREFIX).split("__")[0]
        if not variable.startswith(PREFIX) or name in names or variable in OTHER_VARIABLES:
            continue
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.8)
        if near:
            raise SettingsError(f"{variable}: there is no such setting; did you mean {PREFIX}{near[0]}?")


def project_folder(start: Path) -> Path | None:
    """The nearest folder at or above `start` that holds an asv.conf.json or a perfsvc.toml."""
    for folder in (start, *start.parents):
        if (folder / SUITE_FILE).is_file() or (folder / PROJECT_FILE).is_file():
            return folder
    return None
