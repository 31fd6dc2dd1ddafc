"""The cases of one run, gathered by the readers of formats that list them one after another."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from perfsvc.errors import ResultFormatError
from perfsvc.model import Benchmark, Commit, Complaint, Measurement, Metric, Skip


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """Which run a file is of, as far as somebody said so beside it. What is said counts before the file's own word."""

    machine: str = ""
    env_name: str = ""
    commit: Commit | None = None

    def needed_machine(self, place: str) -> str:
        """Raises: ResultFormatError when nobody said it."""
        if not self.machine:
            raise ResultFormatError(f"{place}: does not say which machine it is of; wanted one beside it (--machine)")
        return self.machine

    def needed_commit(self, place: str) -> Commit:
        """Raises: ResultFormatError when nobody said it."""
        if self.commit is None:
            raise ResultFormatError(
                f"{place}: does not say which commit it is of; wanted a commit beside it (--commit)"
            )
        return self.commit


#: Nobody said anything: the file must.
UNTOLD = RunIdentity()


@dataclass(slots=True)
class Cases:
    """Benchmarks, outcomes and complaints of one file. Each case counts once, with the metric that was met first."""

    place: str
    benchmarks: dict[str, Benchmark] = field(default_factory=dict)
    complaints: list[Complaint] = field(default_factory=list)
    _outcomes: dict[tuple[str, tuple[str, ...]], Measurement | Skip] = field(default_factory=dict)

    def add(self, outcome: Measurement | Skip, metric: Metric, param_names: tuple[str, ...] = ()) -> None:
        name, case = outcome.benchmark, (outcome.benchmark, outcome.params)
        if case in self._outcomes:
            self.complain(f"{name}: is there twice with the parameters {', '.join(outcome.params) or 'none'}")
        elif name in self.benchmarks and self.benchmarks[name].metric != metric:
            self.complain(f"{name}: counts {metric.name} in {metric.unit}, and something else before")
        else:
            self.benchmarks.setdefault(name, Benchmark(name, "", metric, param_names))
            self._outcomes[case] = outcome

    def complain(self, reason: str) -> None:
        self.complaints.append(Complaint(self.place, reason))

    @property
    def content(self) -> dict[str, Any]:
        """The gathered parts of a RunReport."""
        outcomes = self._outcomes.values()
        return {
            "benchmarks": tuple(self.benchmarks.values()),
            "measurements": tuple(each for each in outcomes if isinstance(each, Measurement)),
            "skips": tuple(each for each in outcomes if isinstance(each, Skip)),
        }
