"""Which points are drawn, what the marks say, and that no name becomes anything but text."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from perfsvc import charts
from perfsvc.charts.drawing import decades, log_ticks
from perfsvc.charts.marks import MARKS
from perfsvc.model import ChangeKind, ChangeState, Direction, Outcome, Verdict
from perfsvc.rows import ChangeRow, CommitRow, GuardRow, PointRow, SeriesRow

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
SERIES = SeriesRow(
    1, "p", "bench.time", "1", ("'a'",), ("variant",), "time", "seconds", Direction.LOWER, False, "box",
    Verdict.STEADY, None, 1e-3, "c0", FIRST, 30, (), 0.01, 0.02,
)  # fmt: skip


def commit(i: int, subject: str = "docs") -> CommitRow:
    return CommitRow(i, f"{i:08x}", i, FIRST + timedelta(days=i), "Ada", subject)


def point(i: int, value: float | None = 1e-3, *, wrong: bool = False, env: str = "e1", subject: str = "") -> PointRow:
    quartiles = (None, None) if value is None else (value * 0.99, value * 1.01)
    skip = "" if value is not None else "it failed"
    return PointRow(commit(i, subject), value, *quartiles, (i,), wrong, skip, env, FIRST)


def change(i: int, *, worse: bool = True, state: ChangeState = ChangeState.REPORTED) -> ChangeRow:
    ratio = 1.5 if worse else 0.5
    return ChangeRow(
        1, 1, "bench.time('a')", "time", "seconds", "box", ChangeKind.STEP, state, worse, ratio, 1.4, 1.6, 1e-3,
        1.5e-3, 0.001, 0.01, 10, 10, (), "", commit(i - 1), commit(i), None, FIRST,
    )  # fmt: skip


def rows_of(chart: Any) -> list[dict[str, Any]]:
    told = chart.to_dict()
    layers = [layer.get("data", {}) for layer in (told, *told["layer"])]
    named = told.get("datasets", {})
    return [row for data in layers for row in data.get("values", named.get(data.get("name"), []))]


def kinds(chart: Any) -> set[str]:
    return {row["kind"] for row in rows_of(chart) if "kind" in row}


def test_a_short_series_is_drawn_whole() -> None:
    assert charts.thin([point(i) for i in range(2000)]) == list(range(2000))


def test_a_long_series_keeps_its_ends_its_changes_and_its_newest() -> None:
    points = [point(i, 1.0 + (i == 700) - 0.5 * (i == 800)) for i in range(10_000)]
    drawn = charts.thin(points, keep={4321})
    assert len(drawn) <= charts.MOST_POINTS
    assert {700, 800, 4321} <= set(drawn)
    assert drawn[-200:] == list(range(9800, 10_000))


def test_a_wrong_and_a_missing_value_are_not_thinned_away() -> None:
    points = [point(i, None if i == 50 else 1.0, wrong=i == 60) for i in range(9000)]
    assert {50, 60} <= set(charts.thin(points))


@given(st.integers(0, 6000), st.sets(st.integers(0, 5999), max_size=300))
def test_never_more_points_than_are_allowed_and_always_in_order(n: int, keep: set[int]) -> None:
    drawn = charts.thin([point(i, float(i % 7)) for i in range(n)], keep=keep)
    assert len(drawn) <= charts.MOST_POINTS
    assert drawn == sorted(set(drawn))
    assert all(0 <= i < n for i in drawn)


def test_each_kind_of_point_and_of_event_has_its_mark() -> None:
    points = [point(i, None if i == 3 else 1e-3, wrong=i == 5, env="e1" if i < 8 else "e2") for i in range(20)]
    assert kinds(charts.series_chart(SERIES, points, [change(10), change(15, worse=False)])) == {
        "measured", "missing", "wrong result", "environment changed", "worse from here", "better from here",
    }  # fmt: skip


def test_no_two_marks_differ_by_colour_alone() -> None:
    shapes = [shape for _, shape in MARKS.values()]
    assert len(set(shapes)) == len(shapes)


def test_a_withdrawn_change_marks_nothing() -> None:
    chart = charts.series_chart(SERIES, [point(i) for i in range(20)], [change(10, state=ChangeState.WITHDRAWN)])
    assert kinds(chart) == {"measured"}


def test_levels_are_those_of_the_store_on_either_side_of_a_change() -> None:
    chart = charts.series_chart(SERIES, [point(i) for i in range(20)], [change(10)])
    assert [(r["x"], r["x2"], r["level"]) for r in rows_of(chart) if "level" in r] == [(0, 9, 1.0), (10, 19, 1.5)]


def test_values_carry_their_unit_and_one_prefix_serves_the_axis() -> None:
    chart = charts.series_chart(SERIES, [point(i, 3.42e-3) for i in range(3)])
    assert rows_of(chart)[0]["shown"] == "3.42 ms"
    assert "time (ms)" in json.dumps(chart.to_dict())


def test_a_series_without_a_single_value_can_be_drawn() -> None:
    assert kinds(charts.series_chart(SERIES, [point(0, None)])) == {"missing"}
    assert charts.series_chart(SERIES, [point(0, 0.0)], log=True).to_dict()


def test_dates_are_to_scale_where_dates_are_asked_for() -> None:
    rows = rows_of(charts.series_chart(SERIES, [point(0), point(3)], axis="date"))
    places = sorted({row["x"] for row in rows if "kind" in row})
    assert places[1] - places[0] == 3 * 86_400_000


def test_a_guard_stands_on_the_share_of_its_tolerance() -> None:
    rows = [guard(0, 3e-6), guard(1, 0.0), guard(2, 4e-5, Outcome.FAILED), guard(3, None, Outcome.NOT_RUN)]
    shown = [row for row in rows_of(charts.guard_chart(rows)) if "kind" in row]
    assert [row["value"] and round(row["value"], 4) for row in shown] == [0.3, 0.0001, 4.0, None]
    assert shown[2]["shown"] == "4.00x the tolerance"


def guard(i: int, error: float | None, outcome: Outcome = Outcome.PASSED) -> GuardRow:
    return GuardRow("G1", "t", "sdpa", "cpu", "float32", "box", outcome, error, 1e-5, "", "", commit(i), i)


def test_a_logarithmic_axis_names_round_numbers() -> None:
    assert log_ticks(8.4, 9.4) == (8.4, 8.6, 8.8, 9.0, 9.2, 9.4)
    assert log_ticks(0.9, 60) == (1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
    assert decades([0.2, 4.2e5]) == (0.1, 1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6)


HOSTILE = "<img src=x onerror=alert(1)>\n\u202egnol\u202c" + "x" * 10_000


def test_a_foreign_name_is_one_short_line_without_control_characters() -> None:
    shown = charts.plain(HOSTILE)
    assert shown.startswith("<img src=x onerror=alert(1)> gnol xxx")
    assert len(shown) == 120
    assert charts.plain("a\x00b\r\n\tc\u2028d\u200be") == "a b c d e"
    assert charts.plain("naïve 🚀 שלום") == "naïve 🚀 שלום"


def test_a_hostile_subject_reaches_a_chart_as_text_only() -> None:
    told = charts.series_chart(SERIES, [point(i, subject=HOSTILE) for i in range(3)]).to_dict()
    assert HOSTILE not in json.dumps(told)


def test_what_says_nothing_in_words_says_nothing_when_pointed_at() -> None:
    told = charts.series_chart(SERIES, [point(i) for i in range(20)], [change(10)]).to_dict()
    bare = [layer for layer in told["layer"] if "tooltip" not in layer["encoding"]]
    assert len(bare) == 2
    assert all(layer["mark"]["tooltip"] is None for layer in bare)


def test_a_hostile_hash_cannot_leave_its_quotes_in_an_axis_label() -> None:
    told = charts.series_chart(SERIES, [replace(point(0), commit=replace(commit(0), hash="'};x{'"))]).to_dict()
    labels = {layer["encoding"]["x"]["axis"]["labelExpr"] for layer in told["layer"]}
    assert labels == {"{'0': 'x'}[datum.value]"}


def test_a_sparkline_is_a_picture_of_numbers() -> None:
    assert charts.sparkline([1.0]) == ""
    assert charts.sparkline([1.0, 1.0, 2.0]).count(",") == 3
    quiet, loud = charts.sparkline([1.0, 1.001, 1.0]), charts.sparkline([1.0, 2.0, 1.0])
    assert quiet != loud
