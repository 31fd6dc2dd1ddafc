"""Draw series and guards: rows in, Altair charts out. Shown by the dashboard and rendered into mails; knows neither.

Names from a measured repository arrive in tooltips as text, shortened and without control characters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import altair as alt

from perfsvc import units
from perfsvc.charts.drawing import (
    GUARD_TIP,
    MARK_TIP,
    MIDDLE,
    MISSING_TIP,
    NEAR_BOTTOM,
    NEAR_TOP,
    POINT_TIP,
    Drawing,
    Vertical,
    decades,
)
from perfsvc.charts.drawing import horizontal as _horizontal
from perfsvc.charts.drawing import vertical as _vertical
from perfsvc.charts.marks import MARKS, OUTCOMES, VERMILLION, plain, sparkline
from perfsvc.charts.rows import (
    Axis,
    change_rows,
    environment_rows,
    guard_row,
    levels,
    number_stretches,
    place,
    point_row,
)
from perfsvc.charts.thinning import MOST_POINTS, thin
from perfsvc.model import ChangeState
from perfsvc.rows import ChangeRow, GuardRow, PointRow, SeriesRow

__all__ = ["MOST_POINTS", "Axis", "guard_chart", "plain", "series_chart", "sparkline", "thin"]

#: Changes that are drawn: what was withdrawn, or only suspected, marks nothing.
STANDING = frozenset({ChangeState.CANDIDATE, ChangeState.REPORTED})


def series_chart(
    series: SeriesRow,
    points: Sequence[PointRow],
    changes: Iterable[ChangeRow] = (),
    *,
    axis: Axis = "commit",
    log: bool = False,
    height: int = 380,
) -> alt.LayerChart:
    """Every point with its quartiles, the levels between changes, and what happened on the way.

    `log` is honoured where every value is above 0.
    """
    standing = {c.first_bad.hash: c for c in changes if c.state in STANDING}
    places = [place(i, p.commit, axis) for i, p in enumerate(points)]
    values = [v for p in points for v in (p.value, p.q25, p.q75) if v is not None]
    scale = units.scale(series.unit, max(map(abs, values), default=0.0))
    drawn = thin(points, keep={i for i, p in enumerate(points) if p.commit.hash in standing})
    rows = [point_row(series, points[i], places[i], scale) for i in drawn]
    number_stretches(rows, {places[i] for i in drawn if points[i].commit.hash in standing})
    marks = change_rows(series, points, places, standing) + environment_rows(points, places)
    title = f"{plain(series.metric)} ({scale.unit})" if scale.unit else plain(series.metric)
    y = _vertical(title, [scale.of(v) for v in values], log)
    draw = Drawing(_horizontal(points, axis), MARKS, {row["kind"] for row in rows + marks}, height)
    return draw.layered(
        draw.band([row for row in rows if row["kind"] == "measured" and row["low"] is not None], y),
        draw.rules(marks),
        draw.segments(levels(points, places, standing, scale), y),
        draw.points([row for row in rows if row["kind"] != "missing"], y.of("value"), POINT_TIP),
        draw.points([row for row in rows if row["kind"] == "missing"], NEAR_BOTTOM, MISSING_TIP),
        draw.points(marks, NEAR_TOP, MARK_TIP),
    )


def guard_chart(rows: Sequence[GuardRow], *, height: int = 260) -> alt.LayerChart:
    """One guard over the commits: its error as a share of the tolerance where it is numeric, else its outcome alone."""
    shown = [guard_row(i, row) for i, row in enumerate(rows)]
    numeric = [row for row in shown if row["value"] is not None]
    y = Vertical("error / tolerance", alt.Scale(type="log", nice=True), decades([row["value"] for row in numeric]))
    draw = Drawing(_horizontal(rows, "commit"), OUTCOMES, {row["kind"] for row in shown}, height)
    limit = [{"x": -0.5, "x2": len(rows) - 0.5, "level": 1.0}] if numeric else []
    return draw.layered(
        draw.segments(limit, y, VERMILLION),
        draw.points(numeric, y.of("value"), GUARD_TIP),
        draw.points([row for row in shown if row["value"] is None], MIDDLE, GUARD_TIP),
    )
