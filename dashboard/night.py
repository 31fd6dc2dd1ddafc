"""What the start page shows, read once: alerts that stand, series with their verdicts, suspects, guards, jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from dashboard import reading
from dashboard.choice import Choice
from perfsvc.model import STANDING, AlertKind, ChangeState, Verdict
from perfsvc.rows import AlertRow, ChangeRow, GuardRow, JobRow, RunRow, SeriesRow
from perfsvc.store import queries

JOBS_SHOWN = 8

NOT_JUDGED = (Verdict.NOISY, Verdict.NEW, Verdict.NO_DATA)
SHOWN = (Verdict.FASTER, Verdict.CHANGED, *NOT_JUDGED)  # slower ones stand in their alerts, steady ones nowhere


@dataclass(frozen=True, slots=True)
class Night:
    """Everything the page shows, read once."""

    choice: Choice
    now: datetime
    series: Sequence[SeriesRow]  #: those of which a row is shown
    counts: Mapping[str, Mapping[Verdict, int]]  #: of all series, by machine
    alerts: Sequence[AlertRow]
    suspects: Sequence[ChangeRow]
    guards: Sequence[GuardRow]
    jobs: Sequence[JobRow]
    newest: Mapping[str, RunRow]  #: machine -> its newest run

    def having(self, *verdicts: Verdict) -> list[SeriesRow]:
        return [row for row in self.series if row.verdict in verdicts]

    def count(self, *verdicts: Verdict) -> int:
        """How many series of the chosen machines have one of these verdicts; of all series, without any."""
        chosen = [found for machine, found in self.counts.items() if self.choice.machine in (None, machine)]
        return sum(n for found in chosen for verdict, n in found.items() if not verdicts or verdict in verdicts)

    def alerts_of(self, *kinds: AlertKind) -> list[AlertRow]:
        return [row for row in self.alerts if row.kind in kinds]


def read(choice: Choice) -> Night:
    project, machine = choice.project, choice.machine
    alerts = reading.ask(queries.alerts, project.id, states=sorted(STANDING))
    odd = reading.ask(queries.changes, project.id, states=[ChangeState.SUSPECT, ChangeState.CANDIDATE])
    jobs = reading.ask(queries.jobs, project.id, limit=50)
    return Night(
        choice=choice,
        now=reading.now(),
        series=reading.ask(queries.series, project.id, machine=machine, verdicts=SHOWN),
        counts=reading.ask(queries.verdict_counts, project.id),
        alerts=[row for row in alerts if machine is None or not row.machines or machine in row.machines],
        suspects=[row for row in odd if machine in (None, row.machine)],
        guards=reading.ask(queries.guards, project.id, machine=machine),
        jobs=[row for row in jobs if machine in (None, row.runner)][:JOBS_SHOWN],
        newest=reading.ask(queries.newest_runs, project.id),
    )
