"""One alert in plain text, so that the reader needs nothing else to decide. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from perfsvc import units
from perfsvc.model import AlertKind, AlertState, ChangeState
from perfsvc.rows import AlertDetail, AlertGuardRow, ChangeRow, CommitRow

SHOWN = 5  #: members of each kind; the page has them all


@dataclass(frozen=True, slots=True)
class Message:
    """`title` fits one line; `body` is plain text. Nothing in it is markup."""

    title: str
    body: str

    def payload(self) -> dict[str, Any]:
        return asdict(self)


def compose(detail: AlertDetail, address: str) -> Message:
    """Worst first; what, how much, since when, where, why, and the link. `address`: where the dashboard listens."""
    alert = detail.alert
    head = {AlertState.RESOLVED: "recovered", AlertState.WITHDRAWN: "withdrawn"}.get(alert.state, alert.kind.value)
    lines = [
        f"{head.upper()} in {alert.project} (alert {alert.id})",
        _one_line(alert.title),
        f"since: {_range(detail)}",
        f"on: {', '.join(alert.machines)}",
        f"cause: {alert.cause.value}: {_one_line(alert.explanation)}",
    ]
    left = [c for c in detail.changes if c.state is not ChangeState.WITHDRAWN]
    lines += [f"  {_change(c)}" for c in left[:SHOWN]]
    lines += [f"  {_guard(g)}" for g in detail.guards[:SHOWN]]
    unseen = max(0, len(left) - SHOWN) + max(0, len(detail.guards) - SHOWN)
    if unseen:
        lines.append(f"  and {unseen} more")
    lines.append(f"look: {address}/alert?alert={alert.id}   or: perfsvc show {alert.id}")
    loud = "WRONG RESULT" if alert.kind is AlertKind.WRONG and head == alert.kind.value else head
    return Message(f"[{alert.project}] {loud}: {_one_line(alert.title)}", "\n".join(lines))


def _range(detail: AlertDetail) -> str:
    bad, good = detail.alert.first_bad, detail.alert.last_good
    if bad is None:
        return "not bound to a commit"
    if good is None:
        return f"{_commit(bad)}; nothing good was measured before it"
    if len(detail.commits) == 1:
        return _commit(bad)
    return f"one of {len(detail.commits)} commits after {good.short} up to {_commit(bad)}"


def _commit(commit: CommitRow) -> str:
    said = f" {_one_line(commit.subject)}" if commit.subject else ""
    by = f" ({_one_line(commit.author)})" if commit.author else ""
    return f"{commit.short}{said}{by}"


def _change(change: ChangeRow) -> str:
    how = units.change(change.ratio, change.unit, change.metric, before=change.before, after=change.after)
    before, after = units.value(change.before, change.unit), units.value(change.after, change.unit)
    sure = units.interval(change.ratio_low, change.ratio_high, change.unit, change.metric)
    spread = f", 99 % interval {sure}" if sure and change.ratio_low != change.ratio_high else ""
    return f"{_one_line(change.label)}: {how} ({before} -> {after}{spread}) on {change.machine}"


def _guard(guard: AlertGuardRow) -> str:
    margin = units.margin(guard.error, guard.tolerance)
    numbers = f": {margin}" if margin else ""
    name = f"{guard.guard} {_one_line(guard.variant)}".rstrip()
    now = "fails" if guard.recovered_at is None else "passes again"
    return f"{name} {now} on {guard.machine}{numbers if now == 'fails' else ''} ({_one_line(guard.test)})"


def _one_line(text: str) -> str:
    """Text from a measured repository as one line without control characters: it cannot forge a line of ours."""
    return "".join(c if c.isprintable() else " " for c in text)[:300].strip()
