"""What was found out: which runs wait, the changes of each series, and what holds of it today."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, LargeBinary, bindparam, delete, func, insert, select, update

from perfsvc.model import Change, ChangeState, Verdict
from perfsvc.rows import PointRow
from perfsvc.store import packing
from perfsvc.store import tables as t

#: Runs named in one statement; SQLite takes 999 values at least.
AT_ONCE = 500


class WaitingRun(NamedTuple):
    """A run that is not judged yet, with all that could change under whoever judges it."""

    id: int
    content_hash: str
    excluded: str | None
    position: int | None


def waiting_runs(tx: Connection, project_id: int) -> list[WaitingRun]:
    """Runs that are stored and not judged yet. Whatever changes a series' points puts a run here, or changes one."""
    query = (
        select(t.run.c.id, t.run.c.content_hash, t.run.c.excluded, t.commit.c.position)
        .join(t.commit, t.commit.c.id == t.run.c.commit_id)
        .where(t.run.c.project_id == project_id, t.run.c.judged_at.is_(None))
        .order_by(t.run.c.id)
    )
    return [WaitingRun(*row) for row in tx.execute(query)]


def series_of_runs(tx: Connection, run_ids: Sequence[int]) -> list[int]:
    """The series that these runs touch: with a value, or with the reason why there is none."""
    m, s = t.measurement.c, t.skip.c
    found: set[int] = set()
    masks: dict[int, int] = defaultdict(int)
    for start in range(0, len(run_ids), AT_ONCE):
        chunk = run_ids[start : start + AT_ONCE]
        mask = func.substr(m.packed, 1, packing.MASK_SIZE, type_=LargeBinary)
        for block, packed in tx.execute(select(m.block, mask).where(m.run_id.in_(chunk))):
            masks[block] |= packing.mask_of(packed)
        found.update(tx.execute(select(s.series_id).where(s.run_id.in_(chunk)).distinct()).scalars())
    found.update(one for block, mask in masks.items() for one in packing.series_in(block, mask))
    return sorted(found)


def mark_judged(tx: Connection, run_ids: Sequence[int], now: datetime) -> None:
    for start in range(0, len(run_ids), AT_ONCE):
        chunk = run_ids[start : start + AT_ONCE]
        tx.execute(update(t.run).where(t.run.c.id.in_(chunk)).values(judged_at=now))


def mark_waiting(tx: Connection, project_id: int) -> None:
    """Have every run judged again, as after a changed setting or a rewritten history."""
    tx.execute(update(t.run).where(t.run.c.project_id == project_id).values(judged_at=None))


# --- changes ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ChangeToKeep:
    """A change as it stands tonight."""

    kept: int | None  #: id of the row that it is; None = new
    series_id: int
    change: Change
    state: ChangeState
    worse: bool
    last_good: int  #: commit's id
    first_bad: int
    q: float | None
    environment_moved: bool
    explanation: str

    def columns(self) -> dict[str, Any]:
        change = self.change
        return {
            "series_id": self.series_id,
            "kind": change.kind,
            "state": self.state,
            "last_good_id": self.last_good,
            "first_bad_id": self.first_bad,
            "worse": self.worse,
            "ratio": _finite(change.ratio),
            "ratio_low": _finite(change.ratio_low),
            "ratio_high": _finite(change.ratio_high),
            "before": change.before,
            "after": change.after,
            "p": change.p,
            "q": self.q,
            "auc": change.auc,
            "sigma": change.sigma,
            "n_before": change.n_before,
            "n_after": change.n_after,
            "flags": sorted(change.flags),
            "environment_moved": self.environment_moved,
            "explanation": self.explanation,
            "withdrawn_at": None,
        }


def keep_changes(tx: Connection, changes: Iterable[ChangeToKeep], now: datetime) -> None:
    """Store changes, or bring the kept ones to tonight's numbers."""
    new: list[dict[str, Any]] = []
    known: list[dict[str, Any]] = []
    for one in changes:
        if one.kept is None:
            new.append(one.columns() | {"found_at": now})
        else:
            known.append(one.columns() | {"key": one.kept})
    if new:
        tx.execute(insert(t.change), new)
    if known:
        tx.execute(update(t.change).where(t.change.c.id == bindparam("key")), known)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def withdraw_changes(tx: Connection, change_ids: Iterable[int], now: datetime) -> None:
    rows = [{"key": one, "state": ChangeState.WITHDRAWN, "withdrawn_at": now} for one in change_ids]
    if rows:
        tx.execute(update(t.change).where(t.change.c.id == bindparam("key")), rows)


def operators(tx: Connection, run_ids: Iterable[int]) -> dict[tuple[int, str, str], dict[str, int]]:
    """(run, benchmark, params) -> the operators that the run told of."""
    wanted = sorted(set(run_ids))
    f = t.fact.c
    found: dict[tuple[int, str, str], dict[str, int]] = {}
    for start in range(0, len(wanted), AT_ONCE):
        chunk = wanted[start : start + AT_ONCE]
        query = select(f.run_id, f.benchmark, f.params, f.operators).where(f.run_id.in_(chunk))
        for row in tx.execute(query.order_by(f.id)):
            if row.operators:
                found[(row.run_id, row.benchmark, row.params)] = dict(row.operators)
    return found


# --- states -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class State:
    """What holds of a series today."""

    series_id: int
    machine: str
    verdict: Verdict
    ratio: float | None
    newest: PointRow | None
    points: int
    last_values: tuple[float, ...]
    sigma: float | None
    minimum_detectable_effect: float | None


def keep_states(tx: Connection, project_id: int, states: Sequence[State]) -> None:
    """The rows that the overview reads."""
    rows = [
        {
            "series_id": state.series_id,
            "project_id": project_id,
            "machine": state.machine,
            "verdict": state.verdict,
            "ratio": None if state.ratio is None else _finite(state.ratio),
            "latest": state.newest.value if state.newest else None,
            "latest_commit_id": state.newest.commit.id if state.newest else None,
            "latest_at": state.newest.measured_at if state.newest else None,
            "points": state.points,
            "last_values": list(state.last_values),
            "sigma": state.sigma,
            "minimum_detectable_effect": state.minimum_detectable_effect,
        }
        for state in states
    ]
    if rows:
        tx.execute(
            delete(t.series_state).where(t.series_state.c.series_id == bindparam("key")),
            [{"key": state.series_id} for state in states],
        )
        tx.execute(insert(t.series_state), rows)
