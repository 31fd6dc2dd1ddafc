"""Layers that share the horizontal axis and one legend. The only file that knows Altair's grammar."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from perfsvc.charts.marks import BLUE
from perfsvc.charts.rows import Axis, Rows
from perfsvc.rows import GuardRow, PointRow

TICKS = 8
LOG_ROOM = 1.05  #: a logarithmic axis reaches so much beyond its values
#: Where marks without a value stand. Expressions, as the page may give the chart another height than was asked for.
NEAR_TOP = alt.value(6)
MIDDLE, NEAR_BOTTOM = alt.value({"expr": "height / 2"}), alt.value({"expr": "height - 6"})

#: Without this a page shows a mark's bare numbers, without units, when one points at it.
SILENT = {"tooltip": None}

SMALL, LARGE = 34, 100  # of a point and of what must not be missed, in square pixels

_COMMIT_TIP = [alt.Tooltip("commit:N"), alt.Tooltip("subject:N"), alt.Tooltip("date:N", title="authored")]
POINT_TIP = [
    alt.Tooltip("shown:N", title="median"),
    alt.Tooltip("quartiles:N"),
    alt.Tooltip("runs:N", title="of"),
    alt.Tooltip("kind:N"),
    *_COMMIT_TIP,
]
MISSING_TIP = [alt.Tooltip("reason:N", title="missing"), *_COMMIT_TIP]
MARK_TIP = [alt.Tooltip("what:N", title="from here"), *_COMMIT_TIP]
GUARD_TIP = [
    alt.Tooltip("kind:N", title="outcome"),
    alt.Tooltip("shown:N", title="error"),
    alt.Tooltip("reason:N", title="message"),
    *_COMMIT_TIP,
]


@dataclass(frozen=True, slots=True)
class Vertical:
    """The vertical axis: every layer with values stands on the same one."""

    title: str
    scale: alt.Scale
    ticks: tuple[float, ...] = ()  #: empty = as Vega finds them

    def of(self, field: str) -> alt.Y:
        axis = alt.Axis(values=self.ticks, format="~g") if self.ticks else alt.Axis()
        return alt.Y(f"{field}:Q", title=self.title, scale=self.scale, axis=axis)


class Drawing:
    """Makes layers; one without rows is None, and the legend names only the kinds of marks that are there."""

    def __init__(self, x: alt.X, marks: Mapping[str, tuple[str, str]], present: set[str], height: int) -> None:
        kinds = [kind for kind in marks if kind in present]
        colours, shapes = [marks[k][0] for k in kinds], [marks[k][1] for k in kinds]
        legend = alt.Legend(title=None, orient="top", symbolSize=LARGE, symbolOpacity=1, columns=4, labelLimit=0)
        self.x, self.height = x, height
        self.colour = alt.Color("kind:N", scale=alt.Scale(domain=kinds, range=colours), legend=legend)
        self.shape = alt.Shape("kind:N", scale=alt.Scale(domain=kinds, range=shapes), legend=legend)

    def points(self, rows: Rows, y: Any, tip: list[alt.Tooltip]) -> alt.Chart | None:
        size = alt.condition("datum.kind == 'measured'", alt.value(SMALL), alt.value(LARGE))
        return self._layer(
            rows,
            # The stroke is not seen: it makes a small point easy to point at.
            {"type": "point", "filled": True, "opacity": 0.85, "stroke": "transparent", "strokeWidth": 12},
            y=y,
            color=self.colour,
            shape=self.shape,
            size=size,
            tooltip=tip,
        )

    def rules(self, rows: Rows) -> alt.Chart | None:
        """A line from top to bottom at each mark; dashed where the surroundings changed and not the code."""
        dash = alt.condition("datum.kind == 'environment changed'", alt.value([3, 4]), alt.value([1, 0]))
        mark = {"type": "rule", "opacity": 0.55, "strokeWidth": 1.5}
        return self._layer(rows, mark, color=self.colour, strokeDash=dash, tooltip=MARK_TIP)

    def band(self, rows: Rows, y: Vertical) -> alt.Chart | None:
        return self._layer(
            rows,
            {"type": "area", "opacity": 0.16, "color": BLUE} | SILENT,
            y=y.of("low"),
            y2="high:Q",
            detail="stretch:N",
        )

    def segments(self, rows: Rows, y: Vertical, colour: str = BLUE) -> alt.Chart | None:
        mark = {"type": "rule", "strokeWidth": 2.5, "color": colour, "opacity": 0.75} | SILENT
        return self._layer(rows, mark, x2="x2:Q", y=y.of("level"))

    def _layer(self, rows: Rows, mark: Any, **channels: Any) -> alt.Chart | None:
        if not rows:
            return None
        chart = alt.Chart({"values": rows}, mark=mark)
        encoded: alt.Chart = chart.encode(x=self.x, **channels)
        return encoded

    def layered(self, *layers: alt.Chart | None) -> alt.LayerChart:
        drawn = [layer for layer in layers if layer is not None]
        return alt.LayerChart(layer=drawn, height=self.height)


def vertical(title: str, values: Sequence[float], log: bool) -> Vertical:
    """Logarithmic where that was asked for and every value is above 0."""
    if not (log and values and min(values) > 0):
        return Vertical(title, alt.Scale(zero=False, nice=True, padding=8))
    low, high = min(values) / LOG_ROOM, max(values) * LOG_ROOM
    return Vertical(title, alt.Scale(type="log", nice=False, domain=[low, high]), log_ticks(low, high))


def log_ticks(low: float, high: float) -> tuple[float, ...]:
    """Round numbers between the two: 1, 2, 5, 10 over decades, even steps within one. Vega names none within one."""
    if high / low > 10:
        exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        wide = [digit * 10.0**k for k in exponents for digit in (1, 2, 5)]
        return tuple(tick for tick in wide if low <= tick <= high) if len(wide) <= 3 * TICKS else decades((low, high))
    power = 10.0 ** math.floor(math.log10((high - low) / 5))
    step = next(digit * power for digit in (1, 2, 5, 10) if (high - low) / (digit * power) <= TICKS)
    return tuple(round(k * step, 12) for k in range(math.ceil(low / step), math.floor(high / step) + 1))


def decades(values: Sequence[float]) -> tuple[float, ...]:
    """Powers of ten around the values and around 1, about eight of them: enough lines for a logarithmic axis."""
    exponents = [math.log10(value) for value in values if 0 < value < math.inf] or [0.0]
    low, high = math.floor(min(*exponents, 0.0)), math.ceil(max(*exponents, 0.0))
    return tuple(10.0**k for k in range(low, high + 1, max(1, (high - low) // TICKS)))


def horizontal(rows: Sequence[PointRow] | Sequence[GuardRow], axis: Axis) -> alt.X:
    """Commits side by side, named at a few ticks; or their author dates, to scale."""
    if axis == "date":
        return alt.X("x:T", title=None, axis=alt.Axis(tickCount=TICKS, grid=False, labelOverlap=True))
    last = max(len(rows) - 1, 0)
    ticks = sorted({round(k * last / (TICKS - 1)) for k in range(TICKS)}) if rows else []
    names = ", ".join(f"'{i}': '{_hex(rows[i].commit.short)}'" for i in ticks)
    named = alt.Axis(values=ticks, labelExpr=f"{{{names}}}[datum.value]", grid=False, labelOverlap=True)
    return alt.X("x:Q", title=None, axis=named, scale=alt.Scale(domain=[-0.5, last + 0.5], nice=False))


def _hex(name: str) -> str:
    """Part of a Vega expression, so nothing but what a commit's hash is made of."""
    return "".join(c for c in name if c.isascii() and c.isalnum())
