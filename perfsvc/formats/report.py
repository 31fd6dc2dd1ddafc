"""A run as JSON, as `POST /api/v1/reports` takes it: the service's own format, and the only one that comes over HTTP.

Strict: a key that is not known, a number that is a text or not finite, and a benchmark that is not described are told,
and nothing of the run is kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from perfsvc.errors import ResultFormatError
from perfsvc.model import (
    Benchmark,
    Commit,
    Direction,
    Environment,
    GuardResult,
    Measurement,
    Metric,
    Outcome,
    RunReport,
    Skip,
    content_hash,
)

#: What no database keeps in a text.
_WITHOUT_NUL = r"^[^\x00]*$"
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)

Text = Annotated[str, StringConstraints(max_length=10_000, pattern=_WITHOUT_NUL)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=10_000, pattern=_WITHOUT_NUL)]
ShortName = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_WITHOUT_NUL)]
Short = Annotated[str, StringConstraints(max_length=100, pattern=_WITHOUT_NUL)]
Word = Annotated[str, StringConstraints(max_length=20, pattern=_WITHOUT_NUL)]
Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{6,64}$")]
Moment = Annotated[AwareDatetime, Field(ge=_FIRST, le=_LAST)]
Params = Annotated[tuple[Text, ...], Field(max_length=50)]
Numbers = Annotated[tuple[float, ...], Field(max_length=10_000)]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, frozen=True, from_attributes=True)


class MetricPart(_Part):
    name: Annotated[Short, Field(min_length=1)]
    unit: Short = Field(description="SI: seconds, bytes; 1 for a count or a ratio")
    direction: Direction = Direction.NEITHER
    exact: bool = Field(False, description="the same bits every run: any difference is a change")


class BenchmarkPart(_Part):
    name: Name
    version: Short = Field("", description="another version is another series")
    metric: MetricPart
    param_names: Params = ()


class CommitPart(_Part):
    hash: Hash
    authored_at: Moment
    parents: Annotated[tuple[Hash, ...], Field(max_length=100)] = ()
    author: Text = ""
    subject: Text = ""


class ResultPart(_Part):
    benchmark: Name
    params: Params = ()
    value: float = Field(description="the median of the rounds' medians, in the metric's unit")
    q25: float | None = None
    q75: float | None = None
    rounds: Numbers = ()
    samples: Numbers = ()


class SkipPart(_Part):
    benchmark: Name
    params: Params = ()
    reason: Name


class GuardPart(_Part):
    guard: Annotated[Short, Field(min_length=1)]
    test: Name
    outcome: Outcome
    variant: Annotated[Text, Field(max_length=200)] = ""
    device: Word = ""
    dtype: Word = ""
    error: float | None = None
    tolerance: float | None = None
    covers: Text = Field("", description="regex over `benchmark(params)`; empty: all")
    message: Text = ""


class Report(_Part):
    """One execution of a suite for one commit in one environment on one machine."""

    machine: ShortName
    env_name: Annotated[Text, Field(max_length=300)] = ""
    commit: CommitPart
    benchmarks: Annotated[tuple[BenchmarkPart, ...], Field(max_length=100_000)] = ()
    results: Annotated[tuple[ResultPart, ...], Field(max_length=100_000)] = ()
    skips: Annotated[tuple[SkipPart, ...], Field(max_length=100_000)] = ()
    guards: Annotated[tuple[GuardPart, ...], Field(max_length=100_000)] = ()
    fingerprint: dict[Text, Text] = Field({}, description="what was found: torch's build, driver, OS, CPU")
    started_at: Moment | None = None
    duration: Annotated[float, Field(ge=0)] | None = Field(None, description="seconds")

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        _once("benchmark", (each.name for each in self.benchmarks))
        described = {each.name for each in self.benchmarks}
        _once("result", ((each.benchmark, each.params) for each in self.results))
        _once("guard", (each.test for each in self.guards))
        for name in (*(each.benchmark for each in self.results), *(each.benchmark for each in self.skips)):
            if name not in described:
                raise ValueError(f"{name[:80]!r} has a result and is not among the benchmarks")
        return self


def _once(what: str, met: Iterable[object]) -> None:
    seen: set[object] = set()
    for each in met:
        if each in seen:
            raise ValueError(f"{what} {str(each)[:80]!r} is there twice")
        seen.add(each)


def read(data: bytes) -> RunReport:
    """The run that a report tells. Raises: ResultFormatError with every fault and its place, nothing half read."""
    try:
        told = Report.model_validate_json(data)
    except ValidationError as error:
        raise ResultFormatError(_told(error)) from None
    commit = told.commit
    return RunReport(
        machine=told.machine,
        env_name=told.env_name,
        commit=Commit(
            commit.hash.lower(),
            commit.authored_at,
            parents=tuple(parent.lower() for parent in commit.parents),
            author=commit.author,
            subject=commit.subject,
        ),
        content_hash=content_hash(data),
        benchmarks=tuple(
            Benchmark(each.name, each.version, Metric(**dict(each.metric)), each.param_names)
            for each in told.benchmarks
        ),
        measurements=tuple(Measurement(**dict(each)) for each in told.results),
        skips=tuple(Skip(**dict(each)) for each in told.skips),
        guards=tuple(GuardResult(**dict(each)) for each in told.guards),
        environment=Environment(fingerprint=told.fingerprint) if told.fingerprint else None,
        started_at=told.started_at,
        duration=told.duration,
    )


def write(run: RunReport) -> bytes:
    """The report that tells a run, facts and readings aside. Raises: ResultFormatError for what no report can tell."""
    found = run.environment.fingerprint if run.environment else {}
    try:
        told = Report(
            machine=run.machine,
            env_name=run.env_name,
            commit=CommitPart.model_validate(run.commit),
            benchmarks=tuple(map(BenchmarkPart.model_validate, run.benchmarks)),
            results=tuple(map(ResultPart.model_validate, run.measurements)),
            skips=tuple(map(SkipPart.model_validate, run.skips)),
            guards=tuple(map(GuardPart.model_validate, run.guards)),
            fingerprint={key: str(value) for key, value in found.items()},
            started_at=run.started_at,
            duration=run.duration,
        )
    except ValidationError as error:
        raise ResultFormatError(f"run of {run.commit.hash[:8]} on {run.machine}: {_told(error)}") from None
    return told.model_dump_json(exclude_defaults=True).encode()


def _told(error: ValidationError) -> str:
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    shown = "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'report'}: {fault['msg']}" for fault in faults[:10])
    return f"{shown}; and {len(faults) - 10} more" if len(faults) > 10 else shown
