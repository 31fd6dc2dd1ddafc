"""The points of series: what their runs measured, one point a commit, in order."""

from __future__ import annotations

import itertools
import math
import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, exists, func, select

from perfsvc.rows import CommitRow, PointRow
from perfsvc.stats import Floats
from perfsvc.store import packing
from perfsvc.store import tables as t
from perfsvc.store.queries.catalog import commit_columns

#: Blocks a statement; their runs and points are in memory together.
BLOCKS = 16


def points(tx: Connection, series_id: int) -> list[PointRow]:
    """A series in order, one point a commit: the median over its runs. Excluded runs are left out."""
    return points_of(tx, [series_id]).get(series_id, [])


def points_of(tx: Connection, series_ids: Sequence[int]) -> dict[int, list[PointRow]]:
    """`points` for many series of one project; a series without a run that counts is not in it."""
    found: dict[int, list[PointRow]] = {}
    wanted: dict[int, list[int]] = defaultdict(list)
    for series_id in sorted(series_ids):
        wanted[packing.block_of(series_id)].append(series_id)
    blocks = list(wanted.items())
    for start in range(0, len(blocks), BLOCKS):
        found |= _points_of(tx, dict(blocks[start : start + BLOCKS]))
    return found


class _Runs(NamedTuple):
    """The runs that count, in the order of a series, column by column; a place is an index into each."""

    ids: list[int]
    commits: list[CommitRow]
    environments: list[str]
    measured_at: list[datetime]
    alone: bool  #: no commit has two of them


class _Outcome(NamedTuple):
    """What one run says of one series. `place`: of the run."""

    place: int
    value: float | None
    q25: float | None
    q75: float | None
    wrong: bool
    skip: str


def _points_of(tx: Connection, wanted: Mapping[int, Sequence[int]]) -> dict[int, list[PointRow]]:
    series_ids = [series_id for ids in wanted.values() for series_id in ids]
    runs = _runs_of(tx, series_ids)
    place = {run_id: i for i, run_id in enumerate(runs.ids)}
    skipped = _skips(tx, series_ids, place)
    found: dict[int, list[PointRow]] = {}
    for column in _columns(tx, wanted, place):
        skips = skipped.pop(column.series_id, None)
        if runs.alone and not skips:
            found[column.series_id] = _lone_points(runs, column)
        else:
            found[column.series_id] = _merged(runs, [*_valued(column), *(skips or ())])
    return found | {series_id: _merged(runs, outcomes) for series_id, outcomes in skipped.items()}


def _runs_of(tx: Connection, series_ids: Sequence[int]) -> _Runs:
    """Those of the machines that these series are of, in order.

    Only commits of the watched line make a series, where that line is known.
    """
    s, commit, run = t.series.c, t.commit.c, t.run.c
    on_line = exists().where(commit.project_id == s.project_id, commit.position.is_not(None))
    of = tx.execute(select(s.project_id, s.machine, on_line).where(s.id.in_(series_ids)).distinct()).all()
    projects, machines, lines = ({row[i] for row in of} for i in range(3))
    query = (
        select(run.id, run.environment_id, func.coalesce(run.started_at, run.stored_at), *commit_columns(t.commit))
        .join(t.commit, commit.id == run.commit_id)
        .where(run.project_id.in_(projects), run.machine.in_(machines), run.excluded.is_(None))
    )
    if any(lines):
        query = query.where(commit.position.is_not(None)).order_by(commit.position, run.id)
    else:
        query = query.order_by(commit.authored_at, commit.hash, run.id)
    digests = {row.id: row.digest for row in tx.execute(select(t.environment.c.id, t.environment.c.digest))}
    rows = tx.execute(query).all()
    if not rows:
        return _Runs([], [], [], [], alone=True)
    run_ids, environment_ids, measured_at, *told = zip(*rows, strict=True)
    commits = list(map(_commit, *told))
    return _Runs(
        ids=list(run_ids),
        commits=commits,
        environments=[digests.get(environment_id, "") for environment_id in environment_ids],
        measured_at=list(measured_at),
        alone=len(set(told[0])) == len(rows),
    )


@lru_cache(maxsize=8_192)
def _commit(*columns: Any) -> CommitRow:
    """Equal columns are the same row: series after series has the same commits, and making a row costs more."""
    return CommitRow(*columns)


def _columns(tx: Connection, wanted: Mapping[int, Sequence[int]], place: Mapping[int, int]) -> Iterator[packing.Column]:
    """The values of the wanted series, series by series; their `places` are those of the runs, in order."""
    m = t.measurement.c
    held: dict[int, list[tuple[int, bytes]]] = defaultdict(list)
    for block, run_id, packed in tx.execute(select(m.block, m.run_id, m.packed).where(m.block.in_(wanted))).all():
        if run_id in place:
            held[block].append((place[run_id], packed))
    for block, pairs in held.items():
        places, several = zip(*sorted(pairs, key=itemgetter(0)), strict=True)
        yield from packing.columns(wanted[block], np.array(places), several)


def _skips(tx: Connection, series_ids: Sequence[int], place: Mapping[int, int]) -> dict[int, list[_Outcome]]:
    k = t.skip.c
    query = select(k.series_id, k.run_id, k.wrong, k.reason).where(k.series_id.in_(series_ids))
    found: dict[int, list[_Outcome]] = defaultdict(list)
    for series_id, run_id, wrong, reason in tx.execute(query):
        if run_id in place:
            found[series_id].append(_Outcome(place[run_id], None, None, None, wrong, reason))
    return found


def _known(quartiles: Floats) -> list[float | None]:
    told: list[float | None] = quartiles.tolist()
    return [None if q is None or math.isnan(q) else q for q in told] if np.isnan(quartiles).any() else told


def _lone_points(runs: _Runs, column: packing.Column) -> list[PointRow]:
    """A point for each run: the usual case, and the quick one."""
    places, n = column.places.tolist(), len(column.places)
    return list(
        map(
            PointRow,
            [runs.commits[i] for i in places],
            column.values[:, 0].tolist(),
            _known(column.values[:, 1]),
            _known(column.values[:, 2]),
            [(runs.ids[i],) for i in places],
            column.wrong.tolist(),
            [""] * n,
            [runs.environments[i] for i in places],
            [runs.measured_at[i] for i in places],
        )
    )


def _valued(column: packing.Column) -> list[_Outcome]:
    value, q25, q75 = column.values.T
    told = zip(*(column.places.tolist(), value.tolist(), _known(q25), _known(q75), column.wrong.tolist()), strict=True)
    return [_Outcome(*each, "") for each in told]


def _merged(runs: _Runs, outcomes: list[_Outcome]) -> list[PointRow]:
    """The runs of one commit as one point."""
    outcomes.sort(key=itemgetter(0))
    by_commit = itertools.groupby(outcomes, key=lambda one: runs.commits[one.place].id)
    return [_point(runs, list(group)) for _, group in by_commit]


def _point(runs: _Runs, outcomes: Sequence[_Outcome]) -> PointRow:
    """A skip counts only where no run has a value; wrong as soon as one run is. The newest run tells the rest."""
    valued = [one for one in outcomes if one.value is not None]
    newest = (valued or outcomes)[-1]
    quartiles = [(one.q25, one.q75) for one in valued if one.q25 is not None and one.q75 is not None]
    return PointRow(
        commit=runs.commits[newest.place],
        value=statistics.median(one.value for one in valued if one.value is not None) if valued else None,
        q25=statistics.median(q25 for q25, _ in quartiles) if quartiles else None,
        q75=statistics.median(q75 for _, q75 in quartiles) if quartiles else None,
        runs=tuple(runs.ids[one.place] for one in outcomes),
        wrong=any(one.wrong for one in outcomes),
        skip=newest.skip,
        environment=runs.environments[newest.place],
        measured_at=runs.measured_at[newest.place],
    )
