"""Rows of the store as rows of a chart: placed, scaled, and with what a tooltip says of them already in words."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

from perfsvc import units
from perfsvc.charts.marks import plain
from perfsvc.model import Direction
from perfsvc.rows import ChangeRow, CommitRow, GuardRow, PointRow, SeriesRow

Axis = Literal["commit", "date"]
Rows = list[dict[str, Any]]


def place(index: int, commit: CommitRow, axis: Axis) -> float:
    return float(index) if axis == "commit" else commit.authored_at.timestamp() * 1000


def _commit_facts(commit: CommitRow) -> dict[str, str]:
    return {
        "commit": plain(commit.short),
        "subject": plain(commit.subject),
        "date": f"{commit.authored_at:%Y-%m-%d %H:%M} UTC",
    }


def point_row(series: SeriesRow, point: PointRow, x: float, scale: units.Scale) -> dict[str, Any]:
    kind = "missing" if point.value is None else "wrong result" if point.wrong else "measured"
    quartiles = None if point.q25 is None or point.q75 is None else (point.q25, point.q75)
    return {
        "x": x,
        "kind": kind,
        "value": None if point.value is None else scale.of(point.value),
        "low": None if quartiles is None else scale.of(quartiles[0]),
        "high": None if quartiles is None else scale.of(quartiles[1]),
        "shown": units.value(point.value, series.unit, series.metric),
        "quartiles": " to ".join(units.value(q, series.unit, series.metric) for q in quartiles or ()) or "not kept",
        "runs": units.count(len(point.runs), "run"),
        "reason": plain(point.skip),
    } | _commit_facts(point.commit)


def change_rows(
    series: SeriesRow, points: Sequence[PointRow], places: Sequence[float], standing: Mapping[str, ChangeRow]
) -> Rows:
    rows = []
    for point, x in zip(points, places, strict=True):
        change = standing.get(point.commit.hash)
        if change is None:
            continue
        kind = "worse from here" if change.worse else "better from here"
        if series.direction == Direction.NEITHER:
            kind = "different from here"
        told = units.change(change.ratio, series.unit, series.metric, before=change.before, after=change.after)
        rows.append({"x": x, "kind": kind, "what": told} | _commit_facts(point.commit))
    return rows


def environment_rows(points: Sequence[PointRow], places: Sequence[float]) -> Rows:
    rows: Rows = []
    known = ""
    for point, x in zip(points, places, strict=True):
        if point.environment and known and point.environment != known:
            what = f"environment {plain(known)[:8]} became {plain(point.environment)[:8]}"
            rows.append({"x": x, "kind": "environment changed", "what": what} | _commit_facts(point.commit))
        known = point.environment or known
    return rows


def number_stretches(rows: Rows, changed: Collection[float]) -> None:
    """Tell the rows apart that a band must not join: across a change, a wrong or a missing value."""
    stretch = 0
    for row in rows:
        stretch += row["x"] in changed or row["kind"] != "measured"
        row["stretch"] = stretch


def levels(
    points: Sequence[PointRow], places: Sequence[float], standing: Mapping[str, ChangeRow], scale: units.Scale
) -> Rows:
    """One segment between two changes: the level the store fitted, or the median where there is no change at all."""
    starts = [0, *(i for i, p in enumerate(points) if i and p.commit.hash in standing), len(points)]
    rows: Rows = []
    for start, end in pairwise(starts):
        trusted = [i for i in range(start, end) if points[i].value is not None and not points[i].wrong]
        if not trusted:
            continue
        opened, closed = standing.get(points[start].commit.hash), standing.get(_hash_at(points, end))
        level = opened.after if opened else closed.before if closed else _median(points, trusted)
        rows.append({"x": places[trusted[0]], "x2": places[trusted[-1]], "level": scale.of(level), "name": "level"})
    return rows


def _hash_at(points: Sequence[PointRow], i: int) -> str:
    return points[i].commit.hash if i < len(points) else ""


def _median(points: Sequence[PointRow], chosen: Sequence[int]) -> float:
    return statistics.median(v for i in chosen if (v := points[i].value) is not None)


def guard_row(index: int, row: GuardRow) -> dict[str, Any]:
    return {
        "x": float(index),
        "kind": row.outcome.value,
        "value": None if row.margin is None else max(row.margin, 1e-4),  # 0 has no place on a log axis
        "shown": units.margin(row.error, row.tolerance) or "no number",
        "reason": plain(row.message),
    } | _commit_facts(row.commit)
