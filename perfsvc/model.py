"""The nouns of the service, one word per idea, from column to class to label on the screen. Knows nothing but them.

Times are aware datetimes in UTC, durations are seconds, sizes are bytes, ratios are ratios (1.25 = a quarter more).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

Json = Mapping[str, Any]


class Device(StrEnum):
    """What a runner measures on."""

    CPU = "cpu"
    MPS = "mps"
    CUDA = "cuda"


class Direction(StrEnum):
    """Which way of a metric is better. `NEITHER`: a change is shown and is never an alert."""

    LOWER = "lower"
    HIGHER = "higher"
    NEITHER = "neither"


class JobKind(StrEnum):
    NIGHTLY = "nightly"
    BACKFILL = "backfill"
    REMEASURE = "remeasure"
    GUARDS = "guards"
    EXPERIMENT = "experiment"


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Heartbeat(StrEnum):
    """What the service answers to a runner that says it is still at work."""

    OK = "ok"
    CANCEL = "cancel"
    LOST = "lost"  #: somebody else has claimed a newer attempt: stop, and keep the results aside


class Outcome(StrEnum):
    """How a guard ended. An import error or a time-out is `NOT_RUN`, never `FAILED`."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_APPLICABLE = "not applicable"
    NOT_RUN = "not run"


class ChangeKind(StrEnum):
    STEP = "step"
    EXACT = "exact"  #: a deterministic metric moved: certain at once
    TREND = "trend"


class ChangeState(StrEnum):
    SUSPECT = "suspect"  #: one odd point; orders a re-run, never shown as an alert
    CANDIDATE = "candidate"
    REPORTED = "reported"
    WITHDRAWN = "withdrawn"  #: later data dropped it


class Verdict(StrEnum):
    """What the service says of a series today."""

    STEADY = "steady"
    SLOWER = "slower"  #: for metrics that are not a time: worse
    FASTER = "faster"
    CHANGED = "changed"  #: moved, and the metric has no better direction
    SUSPECT = "suspect"
    WRONG = "wrong"  #: a guard that covers it failed: its numbers are shown, never believed
    NOISY = "too noisy to judge"
    NEW = "too few points to judge"
    NO_DATA = "no data"


class AlertKind(StrEnum):
    REGRESSION = "regression"
    WRONG = "wrong result"
    MACHINE = "machine"
    SILENCE = "no data"


class AlertState(StrEnum):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    ACCEPTED = "accepted"
    DISMISSED = "dismissed"
    RESOLVED = "resolved"
    WITHDRAWN = "withdrawn"


#: States in which an alert still asks something of somebody.
STANDING = frozenset({AlertState.OPEN, AlertState.ACKNOWLEDGED})


class Evidence(StrEnum):
    NONE = "none"
    CONFIRMED = "confirmed"
    NOT_CONFIRMED = "not confirmed"


class Cause(StrEnum):
    CODE = "code"
    ENVIRONMENT = "environment"
    MACHINE = "machine"
    NOISE = "noise"
    UNDECIDED = "undecided"


class ExperimentKind(StrEnum):
    CONFIRM = "confirm"
    BISECT = "bisect"
    BRIDGE = "bridge"
    COMPARE = "compare"


class ExperimentVerdict(StrEnum):
    DIFFERENT = "different"
    SAME = "same"
    UNDECIDED = "undecided"


class ClaimKind(StrEnum):
    REPORTED = "reported"  #: someone said so: shown only
    HELD = "held"  #: we say so: broken is an alert


class ClaimVerdict(StrEnum):
    HOLDS = "holds"
    BROKEN = "broken"
    UNDECIDED = "undecided"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit as git tells it. `position` counts along the watched branch's first-parent line, 0 = its root."""

    hash: str
    authored_at: datetime
    parents: tuple[str, ...] = ()
    author: str = ""
    subject: str = ""
    trailers: tuple[tuple[str, str], ...] = ()
    changed_paths: tuple[str, ...] = ()
    position: int | None = None  #: None: not on the watched line, or the repository is not at hand


@dataclass(frozen=True, slots=True)
class Metric:
    """What a number counts. Told by the suite's attributes or by `perfsvc.toml`, never guessed from values."""

    name: str  #: "time", "operators", "allocated"
    unit: str  #: "seconds", "bytes", "1"
    direction: Direction = Direction.NEITHER
    exact: bool = False  #: the same bits every run: any difference is a change


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark as its suite describes it."""

    name: str  #: asv's name: "forward.SingleHead.time_forward"
    version: str  #: asv's version of the benchmark: a new one is a new series
    metric: Metric
    param_names: tuple[str, ...] = ()
    attributes: Json = field(default_factory=dict)  #: flops, bytes, variant, calibration, ...


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """What must be equal for two measurements to be comparable."""

    project: str
    benchmark: str  #: asv's name
    version: str
    params: tuple[str, ...]  #: as asv wrote them (Python reprs), in asv's order
    metric: str
    machine: str  #: the runner's name: "m1-mps"

    @property
    def label(self) -> str:
        """The benchmark and its parameters as one line, as asv prints it: `name(a, b)`."""
        return label(self.benchmark, self.params)


def label(benchmark: str, params: tuple[str, ...]) -> str:
    """`name(a, b)`, the text that `covers` of a guard and `--bench` are matched against."""
    return f"{benchmark}({', '.join(params)})" if params else benchmark


@dataclass(frozen=True, slots=True)
class Measurement:
    """The value of one benchmark and parameter set in one run: the median of its per-round medians."""

    benchmark: str
    params: tuple[str, ...]
    value: float
    q25: float | None = None
    q75: float | None = None
    rounds: tuple[float, ...] = ()  #: per-round medians, where the source keeps rounds apart
    samples: tuple[float, ...] = ()  #: raw samples, where the source keeps them


@dataclass(frozen=True, slots=True)
class Skip:
    """A value that is missing, and why. Nothing vanishes."""

    benchmark: str
    params: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class GuardResult:
    """One correctness test that a run executed on its device."""

    guard: str  #: "G4"
    test: str  #: the test's own name, unique in its run
    outcome: Outcome
    variant: str = ""
    device: str = ""
    dtype: str = ""
    error: float | None = None
    tolerance: float | None = None
    covers: str = ""  #: regex over `benchmark(params)`; empty = all
    message: str = ""


@dataclass(frozen=True, slots=True)
class Fact:
    """What one benchmark process told about itself besides its number (a line of facts.jsonl)."""

    benchmark: str
    params: tuple[str, ...]
    operators: Json = field(default_factory=dict)  #: {"aten::mm": 3}
    backend: str = ""  #: what SDPA really took: "flash", "math"
    device_state: Json = field(default_factory=dict)
    imported_from: str = ""
    reason: str = ""  #: why it gave no number


@dataclass(frozen=True, slots=True)
class Environment:
    """*lock*: what was ordered. *fingerprint*: what was found. A moved fingerprint is a moved environment."""

    lock: Json = field(default_factory=dict)
    fingerprint: Json = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """The fingerprint's name: equal digests are equal environments."""
        return content_hash(json.dumps(dict(self.fingerprint), sort_keys=True).encode())[:16]


@dataclass(frozen=True, slots=True)
class RunReport:
    """One run as it arrived: one execution of the suite for one commit in one environment on one machine."""

    machine: str
    env_name: str
    commit: Commit
    content_hash: str  #: of the bytes it was read from: an equal one is skipped, a different one updates
    benchmarks: tuple[Benchmark, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    skips: tuple[Skip, ...] = ()
    guards: tuple[GuardResult, ...] = ()
    facts: tuple[Fact, ...] = ()
    environment: Environment | None = None
    started_at: datetime | None = None
    duration: float | None = None
    machine_facts: Json = field(default_factory=dict)  #: machine.json: os, arch, cpu, ram
    readings: Json = field(default_factory=dict)  #: load, heat, power before and after
    canary: Json = field(default_factory=dict)  #: seconds of the runner's own arithmetic and memory read, twice
    suite_revision: str = ""
    messages: tuple[str, ...] = ()  #: what the runner has to say of the run, and what of it could not be read
    #: "" = ingested (one run per machine, env_name, commit); "machine:box" = ingested into a pool, from that machine;
    #: "bundle:..." and "run:..." = by content, from a bundle or a command; "job:7" = measured by that job
    origin: str = ""
    job: int | None = None
    attempt: int | None = None


@dataclass(frozen=True, slots=True)
class Complaint:
    """Something in a source that could not be read: where, and why. The rest went in."""

    place: str
    reason: str


@dataclass(frozen=True, slots=True)
class Change:
    """A finding in one series of values in time order."""

    index: int  #: into the values as given: the first point of the new level
    ratio: float  #: new level over old level; inf when the old level is 0
    ratio_low: float  #: 99 % interval
    ratio_high: float
    p: float  #: after correction for having chosen the place
    before: float = 0.0  #: the levels themselves
    after: float = 0.0
    n_before: int = 0
    n_after: int = 0
    sigma: float = 0.0
    auc: float = 1.0
    kind: ChangeKind = ChangeKind.STEP
    flags: frozenset[str] = frozenset()  #: "recurrent", "transient"


def content_hash(*parts: bytes) -> str:
    """SHA-256 over the parts with their lengths, so that a moved boundary is a different content."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()
