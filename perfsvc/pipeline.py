"""The way of a measurement through the service: keep -> detect -> decide -> tell. Each step is a call into one file."""

from __future__ import annotations

import json
import logging
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from perfsvc import decide, judgement, notify, wording
from perfsvc.errors import NotFound
from perfsvc.model import STANDING, AlertKind, ChangeKind, ChangeState, Complaint, RunReport
from perfsvc.rows import AlertRow, ChangeRow, NotificationRow
from perfsvc.settings import Settings
from perfsvc.store import Store, queries, writes
from perfsvc.store.writes.judging import ChangeToKeep, State, WaitingRun

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]  # done, of

#: Whose points are in memory together.
SERIES_AT_ONCE = 256


@dataclass(slots=True)
class Ingested:
    """What became of a source."""

    new: int = 0
    unchanged: int = 0
    complaints: list[Complaint] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)  #: of the new runs


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
    shelf = writes.series.Shelf()
    for report in reports:
        if isinstance(report, Complaint):
            result.complaints.append(report)
            continue
        with store.writing() as tx:
            kept = writes.runs.keep_run(tx, project_id, report, overrule=settings.metric, now=now, shelf=shelf)
        if kept.new:
            result.new += 1
            result.messages += report.messages
        else:
            result.unchanged += 1
    return result


def process(
    store: Store, project_id: int, settings: Settings, now: datetime, *, progress: Progress | None = None
) -> Processed:
    """Judge every run that waits, open and move alerts, and put what people are to be told into the outbox.

    What it writes is one transaction: a kill leaves the runs waiting, and the next call does the same again. Twice
    changes nothing. Judging only reads, so that others may write meanwhile; when they did, it is done again.
    """
    while True:
        with store.reading() as tx:
            waiting = writes.judging.waiting_runs(tx, project_id)
            judged = _judge(tx, project_id, waiting, settings, progress)
        if not waiting:
            return Processed(0, 0, (), ())
        with store.writing() as tx:
            if writes.judging.waiting_runs(tx, project_id) != waiting:
                continue
            _keep_changes(tx, judged, settings, now)
            opened, moved = decide.decide(tx, project_id, now)
            _keep_states(tx, project_id, judged)
            _tell(tx, project_id, (*opened, *moved), settings, now)
            writes.judging.mark_judged(tx, [run.id for run in waiting], now)
        return Processed(len(waiting), len(judged), tuple(opened), tuple(moved))


def _judge(
    tx: Connection, project_id: int, waiting: Sequence[WaitingRun], settings: Settings, progress: Progress | None
) -> list[judgement.Judged]:
    """Every series that the waiting runs touch, some hundreds at a time: their points are not kept."""
    series_ids = writes.judging.series_of_runs(tx, [run.id for run in waiting])
    judged: list[judgement.Judged] = []
    for start in range(0, len(series_ids), SERIES_AT_ONCE):
        chunk = series_ids[start : start + SERIES_AT_ONCE]
        points = queries.points_of(tx, chunk)
        kept: dict[int, list[ChangeRow]] = defaultdict(list)
        for change in queries.changes(tx, project_id, series_ids=chunk):
            kept[change.series].append(change)
        cases = [
            judgement.Case(row, points.get(row.id, []), kept[row.id], settings.minimum_effect(row.label))
            for row in queries.series(tx, project_id, ids=chunk)
        ]
        judged += judgement.judge_all(cases, settings.detect)
        if progress:
            progress(len(judged), len(series_ids))
    return judged


def _keep_changes(tx: Connection, judged: Sequence[judgement.Judged], settings: Settings, now: datetime) -> None:
    """Store each change as candidate or reported: exact ones at once, steps by the night's false discovery rate."""
    worse, better = judgement.family(judged, worse=True), judgement.family(judged, worse=False)
    operators = _operators(tx, judged)
    changes = []
    for one in judged:
        for finding in one.findings:
            q = (worse if finding.worse else better)[finding.change.p] if judgement.is_tested(finding) else None
            exact = finding.change.kind is ChangeKind.EXACT
            told = finding.told or exact or (q is not None and q <= settings.detect.q)
            changes.append(
                ChangeToKeep(
                    kept=finding.kept.id if finding.kept else None,
                    series_id=one.series.id,
                    change=finding.change,
                    state=ChangeState.REPORTED if told else ChangeState.CANDIDATE,
                    worse=finding.worse,
                    last_good=finding.last_good.commit.id,
                    first_bad=finding.first_bad.commit.id,
                    q=finding.kept.q if finding.told and finding.kept else q,
                    environment_moved=finding.environment_moved,
                    explanation=_explained(one, finding, operators),
                )
            )
    writes.judging.keep_changes(tx, changes, now)
    writes.judging.withdraw_changes(tx, (row.id for one in judged for row in one.withdrawn), now)


Operators = Mapping[tuple[int, str, str], Mapping[str, int]]  # (run, benchmark, params) -> operator -> times


def _operators(tx: Connection, judged: Iterable[judgement.Judged]) -> Operators:
    """What the runs on both sides of each change told of their operators."""
    findings = [finding for one in judged for finding in one.findings]
    return writes.judging.operators(tx, (r for f in findings for r in (*f.last_good.runs, *f.first_bad.runs)))


def _explained(one: judgement.Judged, finding: judgement.Finding, operators: Operators) -> str:
    case = (one.series.benchmark, json.dumps(one.series.params))
    before, after = (
        next((operators[(run, *case)] for run in reversed(point.runs) if (run, *case) in operators), None)
        for point in (finding.last_good, finding.first_bad)
    )
    return "" if before is None or after is None else wording.operators(before, after)


def _keep_states(tx: Connection, project_id: int, judged: Sequence[judgement.Judged]) -> None:
    """The rows that the overview reads: what holds of each series today, after the alerts were decided."""
    standing = {row.id for row in queries.alerts(tx, project_id, states=STANDING)}
    speaking = {
        (row.series, row.first_bad.id)
        for row in queries.changes(tx, project_id, states=[ChangeState.REPORTED])
        if not row.worse or row.alert in standing
    }
    states = []
    for one in judged:
        told = [
            finding
            for finding in one.findings
            if (one.series.id, finding.first_bad.commit.id) in speaking and (finding.worse or finding.recent)
        ]
        word, ratio = judgement.verdict(one, told)
        states.append(
            State(
                one.series.id,
                one.series.machine,
                word,
                ratio,
                one.newest,
                one.points,
                one.last_values,
                one.sigma,
                one.minimum_detectable_effect,
            )
        )
    writes.judging.keep_states(tx, project_id, states)


def _tell(tx: Connection, project_id: int, rows: Iterable[AlertRow], settings: Settings, now: datetime) -> None:
    """One message for each state that an alert comes to, in the transaction that brought it there."""
    for row in rows:
        if row.kind is AlertKind.REGRESSION and (row.worst_ratio or math.inf) < settings.notify.threshold:
            continue
        detail = queries.alert(tx, row.id)
        key = f"alert {row.id}: {row.state.value} #{len(detail.events)}"
        message = notify.compose(detail, settings.dashboard_address)
        for channel in settings.channels:
            writes.outbox.add_notification(tx, project_id, channel, key, message.payload(), now)


def send(store: Store, settings: Settings, now: datetime, channels: Sequence[notify.Channel] | None = None) -> int:
    """Empty the outbox as far as the channels take it; what fails is tried again later. How many left.

    Several senders may work at once: each message is taken first. One that dies while sending is sent again, once.
    """
    by_name = {channel.name: channel for channel in channels or notify.channels(settings)}
    with store.reading() as tx:
        due = queries.due_notifications(tx, now)
    return sum(_send(store, row, by_name, now) for row in due)


def _send(store: Store, row: NotificationRow, channels: Mapping[str, notify.Channel], now: datetime) -> bool:
    with store.writing() as tx:
        if not writes.outbox.begin_sending(tx, row.id, row.tries, now + notify.SENDING):
            return False
    try:
        if row.channel not in channels:
            raise NotFound(f"no channel is called {row.channel!r}; there are: {', '.join(sorted(channels))}")
        channels[row.channel].send(notify.Message(row.title, row.body), now)
    except Exception as error:  # whatever a channel raises, the others' messages still leave
        _failed(store, row, error, now)
        return False
    with store.writing() as tx:
        writes.outbox.mark_sent(tx, row.id, now)
    return True


def _failed(store: Store, row: NotificationRow, error: Exception, now: datetime) -> None:
    tries = row.tries + 1
    again = notify.retry_at(tries, now)
    reason = f"{type(error).__name__}: {error}"
    with store.writing() as tx:
        writes.outbox.mark_failed(tx, row.id, reason, again)
    if again is None:
        log.error("gave up on message %d to %s after %d tries: %s (%s)", row.id, row.channel, tries, row.title, reason)
    else:
        log.warning("message %d to %s did not leave, next try at %s: %s", row.id, row.channel, again, reason)
