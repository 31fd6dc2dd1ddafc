"""Is an alert right? Its last good and first bad commit are measured by turns; its evidence says what came of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from perfsvc.errors import NotFound
from perfsvc.experiments import LOOKS
from perfsvc.model import Evidence
from perfsvc.rows import AlertDetail
from perfsvc.runner.processes import Cancelled
from perfsvc.runner.request import Request
from perfsvc.store import Store, queries, writes
from perfsvc.work.comparing import Compared, Comparison, Verdict, compare
from perfsvc.work.doing import Show

ACTION = "confirm"
DIFFERENT = frozenset({Verdict.SLOWER, Verdict.CHANGED, Verdict.FAILS})
AS_GOOD = frozenset({Verdict.SAME, Verdict.FASTER})


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What was measured, and what it says of the alert: NONE where nothing could be decided."""

    evidence: Evidence
    comparison: Comparison


def confirm(
    store: Store,
    alert_id: int,
    request: Request,
    *,
    actor: str,
    pairs: int = LOOKS[-1],
    progress: Show = lambda _: None,
    cancelled: Cancelled = lambda: False,
) -> Confirmed:
    """Compare what the alert's changes are about, and keep the answer as its evidence and in its history.

    Raises: NotFound when the alert names no two commits or no benchmark to measure, and as `compare` does.
    """
    with store.reading() as tx:
        detail = queries.alert(tx, alert_id)
    good, bad, bench = _question(detail)
    chosen = replace(request, bench=bench, guards=False)
    done = compare(chosen, good, bad, pairs=pairs, progress=progress, cancelled=cancelled)
    evidence = evidence_of(done.rows)
    worst = done.rows[0]
    told = f"{evidence.value}: {worst.label} is {worst.verdict}: {worst.reason}"
    with store.writing() as tx:
        writes.alerts.add_event(tx, alert_id, actor=actor, action=ACTION, reason=told, now=datetime.now(UTC))
        if evidence is not Evidence.NONE:
            writes.alerts.set_evidence(tx, alert_id, evidence)
    return Confirmed(evidence, done)


def _question(detail: AlertDetail) -> tuple[str, str, str]:
    """The two commits, and a regex that takes the benchmarks that became worse."""
    alert = detail.alert
    labels = sorted({change.label for change in detail.changes if change.worse})
    if not labels:
        raise NotFound(f"alert {alert.id}: is a {alert.kind.value}, about no benchmark that could be measured again")
    if alert.last_good is None or alert.first_bad is None:
        raise NotFound(f"alert {alert.id}: has no commit from before the change; there is nothing to compare with")
    return alert.last_good.hash, alert.first_bad.hash, f"^(?:{'|'.join(map(re.escape, labels))})$"


def evidence_of(rows: Sequence[Compared]) -> Evidence:
    """One benchmark that differs confirms an alert; it is refuted when all that could be judged are as good."""
    if any(row.verdict in DIFFERENT for row in rows):
        return Evidence.CONFIRMED
    judged = [row for row in rows if row.verdict is not Verdict.NOT_COMPARED]
    return Evidence.NOT_CONFIRMED if judged and all(row.verdict in AS_GOOD for row in judged) else Evidence.NONE
