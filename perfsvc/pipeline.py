"""The way of a measurement through the service: keep -> detect -> decide -> tell. Each step is a call into one file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from perfsvc import decide, detect, judgement, notify
from perfsvc.model import STANDING, AlertKind, ChangeState, Complaint, RunReport
from perfsvc.settings import Settings
from perfsvc.store import Store, queries, writes
from perfsvc.store.rows import AlertRow, ChangeRow

Progress = Callable[[int, int], None]  # done, of


@dataclass(slots=True)
class Ingested:
    """What became of a source."""

    new: int = 0
    unchanged: int = 0
    complaints: list[Complaint] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Processed:
    """What a pass over the waiting runs found."""

    runs: int
    series: int
    opened: tuple[AlertRow, ...]
    moved: tuple[AlertRow, ...]  #: alerts that changed their state: resolved, withdrawn, reopened


def ingest(
    store: Store, project_id: int, reports: Iterable[RunReport | Complaint], settings: Settings, now: datetime
) -> Ingested:
    """Keep what was read, a transaction a run: after a kill there are whole runs, or none."""
    result = Ingested()
    for report in reports:
        if isinstance(report, Complaint):
            result.complaints.append(report)
            continue
        with store.writing() as tx:
            kept = writes.runs.keep_run(tx, project_id, report, overrule=settings.metric, now=now)
        if kept.new:
            result.new += 1
        else:
            result.unchanged += 1
    return result


def process(
    store: Store, project_id: int, settings: Settings, now: datetime, *, progress: Progress | None = None
) -> Processed:
    """Judge every run that waits, open and move alerts, and put what people are to be told into the outbox.

    One transaction: a kill leaves the runs waiting, and the next call does the same again. Twice changes nothing.
    """
    with store.writing() as tx:
        runs = writes.judging.waiting_runs(tx, project_id)
        judged = _judge(tx, project_id, writes.judging.series_of_runs(tx, runs), settings, progress)
        _keep_changes(tx, judged, settings, now)
        opened, moved = decide.decide(tx, project_id, now)
        _keep_states(tx, project_id, judged)
        _tell(tx, project_id, (*opened, *moved), settings, now)
        writes.judging.mark_judged(tx, runs, now)
    return Processed(len(runs), len(judged), tuple(opened), tuple(moved))


def _judge(
    tx: Connection, project_id: int, series_ids: Sequence[int], settings: Settings, progress: Progress | None
) -> list[judgement.Judged]:
    """Every series that the waiting runs touch, with its points and with what is kept of its changes."""
    wanted = set(series_ids)
    rows = [row for row in queries.series(tx, project_id) if row.id in wanted]
    points = queries.points_of(tx, [row.id for row in rows])
    kept: dict[int, list[ChangeRow]] = {}
    for change in queries.changes(tx, project_id):
        kept.setdefault(change.series, []).append(change)
    judged = []
    for number, row in enumerate(rows, start=1):
        effect = settings.minimum_effect(row.label)
        judged.append(judgement.judge(row, points.get(row.id, []), kept.get(row.id, []), settings.detect, effect))
        if progress:
            progress(number, len(rows))
    return judged


def _keep_changes(tx: Connection, judged: Sequence[judgement.Judged], settings: Settings, now: datetime) -> None:
    """Store each change as candidate or reported: exact ones at once, steps by the night's false discovery rate."""
    worse = detect.q_values([one.p_worse for one in judged])
    better = detect.q_values([one.p_better for one in judged])
    for one, q_worse, q_better in zip(judged, worse, better, strict=True):
        writes.judging.withdraw_changes(tx, (row.id for row in one.withdrawn), now)
        for finding in one.findings:
            q = q_worse if finding.worse else q_better
            told = judgement.is_told(finding, q_worse, q_better, settings.detect.q)
            writes.judging.keep_change(
                tx,
                finding.change,
                kept=finding.kept.id if finding.kept else None,
                series_id=one.series.id,
                state=ChangeState.REPORTED if told else ChangeState.CANDIDATE,
                worse=finding.worse,
                last_good=finding.last_good,
                first_bad=finding.first_bad,
                q=q,
                explanation=decide.explain(tx, one.series, finding),
                now=now,
            )


def _keep_states(tx: Connection, project_id: int, judged: Sequence[judgement.Judged]) -> None:
    """The rows that the overview reads: what holds of each series today, after the alerts were decided."""
    open_alerts = {row.id for row in queries.alerts(tx, project_id, states=STANDING)}
    speaking = {
        (row.series, row.first_bad.id)
        for row in queries.changes(tx, project_id, states=[ChangeState.REPORTED])
        if not row.worse or row.alert in open_alerts
    }
    for one in judged:
        newest = len(one.points) - judgement.NEWS_POINTS
        standing = [
            finding
            for finding in one.findings
            if (one.series.id, finding.first_bad.commit.id) in speaking
            and (finding.worse or finding.change.index >= newest)
        ]
        word, ratio = judgement.verdict(one, standing)
        writes.judging.keep_state(
            tx,
            project_id,
            one.series.id,
            one.points,
            verdict=word,
            ratio=ratio,
            sigma=one.sigma,
            minimum_detectable_effect=one.minimum_detectable_effect,
        )


def _tell(tx: Connection, project_id: int, rows: Iterable[AlertRow], settings: Settings, now: datetime) -> None:
    """One message for each state that an alert comes to, in the transaction that brought it there."""
    for row in rows:
        if row.kind is AlertKind.REGRESSION and (row.worst_ratio or math.inf) < settings.notify.threshold:
            continue
        detail = queries.alert(tx, row.id)
        key = f"alert {row.id}: {row.state.value} #{len(detail.events)}"
        message = notify.compose(detail, settings.dashboard_address)
        writes.judging.add_notification(tx, project_id, "log-file", key, message.payload(), now)


def send(store: Store, settings: Settings, now: datetime, channels: Sequence[notify.Channel] | None = None) -> int:
    """Empty the outbox as far as the channels take it; what fails is tried again later. How many left."""
    by_name = {c.name: c for c in channels or [notify.LogFile(settings.alert_log)]}
    sent = 0
    with store.reading() as tx:
        due = writes.judging.due_notifications(tx, now)
    for row in due:
        try:
            by_name[row.channel].send(notify.Message(**row.payload), now)
        except (OSError, KeyError) as error:
            with store.writing() as tx:
                writes.judging.mark_failed(tx, row.id, repr(error), notify.retry_at(row.tries + 1, now))
            continue
        with store.writing() as tx:
            writes.judging.mark_sent(tx, row.id, now)
        sent += 1
    return sent
