"""What the queries answer: frozen rows in the model's words, for `--json`, the API and the pages."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from perfsvc.model import (
    AlertKind,
    AlertState,
    Cause,
    ChangeKind,
    ChangeState,
    Device,
    Direction,
    Evidence,
    JobKind,
    JobState,
    Json,
    Outcome,
    Verdict,
    label,
)
from perfsvc.tokens import Scope


@dataclass(frozen=True, slots=True)
class ProjectRow:
    id: int
    name: str
    repository: str
    branch: str
    commit_url: str
    ordered_by_git: bool  #: False: no repository at hand, points are in order of author date


@dataclass(frozen=True, slots=True)
class RunnerRow:
    id: int
    name: str
    device: Device
    machine_facts: Json
    created_at: datetime
    last_seen_at: datetime | None


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A token without its text, which nobody has but its holder."""

    id: int
    name: str
    scopes: tuple[Scope, ...]
    project: str | None  #: None: for every project
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None  #: to the minute

    def is_valid(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class CommitRow:
    id: int
    hash: str
    position: int | None
    authored_at: datetime
    author: str
    subject: str

    @property
    def short(self) -> str:
        return self.hash[:8]


@dataclass(frozen=True, slots=True)
class SeriesRow:
    id: int
    project: str
    benchmark: str
    version: str
    params: tuple[str, ...]
    param_names: tuple[str, ...]
    metric: str
    unit: str
    direction: Direction
    exact: bool
    machine: str
    verdict: Verdict
    ratio: float | None  #: of the newest standing change: new level over old
    latest: float | None
    latest_commit: str | None  #: hash
    latest_at: datetime | None
    points: int
    last_values: tuple[float, ...]  #: up to 30, oldest first
    sigma: float | None  #: of one point, relative for log-scaled series
    minimum_detectable_effect: float | None  #: smallest step it would tell within 5 points; 0.018 = 1.8 %

    @property
    def label(self) -> str:
        return label(self.benchmark, self.params)


@dataclass(frozen=True, slots=True)
class PointRow:
    """One commit of one series: the median over its runs."""

    commit: CommitRow
    value: float | None  #: None: missing, see `skip`
    q25: float | None
    q75: float | None
    runs: tuple[int, ...]
    wrong: bool
    skip: str
    environment: str  #: digest of the newest run's fingerprint; "" = not known
    measured_at: datetime | None


@dataclass(frozen=True, slots=True)
class ChangeRow:
    id: int
    series: int
    label: str
    metric: str
    unit: str
    machine: str
    kind: ChangeKind
    state: ChangeState
    worse: bool
    ratio: float | None  #: None: from 0 to something
    ratio_low: float | None
    ratio_high: float | None
    before: float
    after: float
    p: float
    q: float | None
    n_before: int
    n_after: int
    flags: tuple[str, ...]
    explanation: str  #: what else the facts say, in words: operators that came and went
    last_good: CommitRow
    first_bad: CommitRow
    alert: int | None
    found_at: datetime
    environment_moved: bool = False  #: what was found on the machine moved where the level moved


@dataclass(frozen=True, slots=True)
class AlertGuardRow:
    """A guard that fails in an alert: from which commit on, on which machine."""

    machine: str
    guard: str
    test: str
    variant: str
    error: float | None
    tolerance: float | None
    message: str
    last_good: CommitRow | None
    first_bad: CommitRow
    recovered_at: datetime | None


@dataclass(frozen=True, slots=True)
class AlertRow:
    id: int
    project: str
    kind: AlertKind
    state: AlertState
    evidence: Evidence
    cause: Cause
    title: str
    explanation: str
    last_good: CommitRow | None
    first_bad: CommitRow | None
    commits_in_range: int  #: untested ones and the first bad; 1 = the commit is named
    worst_ratio: float | None
    machines: tuple[str, ...]
    changes: int
    guards: int
    owner: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Words:
    """What an alert says of itself."""

    title: str
    explanation: str
    cause: Cause
    worst_ratio: float | None  #: None: from nothing to something, or not a matter of how much
    owner: str


@dataclass(frozen=True, slots=True)
class AlertEventRow:
    at: datetime
    actor: str
    action: str
    reason: str


@dataclass(frozen=True, slots=True)
class AlertDetail:
    alert: AlertRow
    commits: tuple[CommitRow, ...]  #: every commit in the range, oldest first
    changes: tuple[ChangeRow, ...]  #: worst first
    guards: tuple[AlertGuardRow, ...]
    events: tuple[AlertEventRow, ...]


@dataclass(frozen=True, slots=True)
class NotificationRow:
    """A message in the outbox. It waits (`next_at`), has left (`sent_at`), or was given up (neither)."""

    id: int
    channel: str
    title: str
    body: str
    tries: int
    created_at: datetime
    next_at: datetime | None
    sent_at: datetime | None
    error: str


@dataclass(frozen=True, slots=True)
class RunRow:
    id: int
    project: str
    machine: str
    env_name: str
    commit: CommitRow
    origin: str
    job: int | None
    suite_revision: str
    environment: str
    started_at: datetime | None
    stored_at: datetime
    duration: float | None
    measurements: int
    skips: int
    guards_passed: int
    guards_failed: int
    noisy: bool
    excluded: str | None
    readings: Json
    canary: Json
    messages: tuple[str, ...]  #: what the runner had to say, and what of the run could not be read


@dataclass(frozen=True, slots=True)
class JobRow:
    id: int
    project: str
    runner: str
    device: Device
    kind: JobKind
    state: JobState
    attempt: int
    cancel_requested: bool
    suite_revision: str
    spec: Json
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    lease_until: datetime | None
    due_at: datetime | None
    done: float
    message: str


@dataclass(frozen=True, slots=True)
class GuardRow:
    """A guard's result at one commit on one machine (the newest run of that commit)."""

    guard: str
    test: str
    variant: str
    device: str
    dtype: str
    machine: str
    outcome: Outcome
    error: float | None
    tolerance: float | None
    covers: str
    message: str
    commit: CommitRow
    run: int

    @property
    def margin(self) -> float | None:
        """Error over tolerance: below 1 passes; None where the guard is not numeric."""
        return None if self.error is None or not self.tolerance else self.error / self.tolerance


def to_json(value: Any) -> Any:
    """A row, or anything made of rows, as what json.dumps takes. Times in ISO 8601; what JSON lacks becomes null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        shown = {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
        shown |= {name: to_json(getattr(value, name)) for name in ("label", "margin") if hasattr(value, name)}
        return shown
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): to_json(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [to_json(v) for v in value]
    return value
