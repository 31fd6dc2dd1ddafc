"""Are the results right?"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from dashboard.views.correctness import _numbered, gain
from perfsvc.model import Direction, Verdict
from perfsvc.rows import CommitRow, PointRow, SeriesRow
from perfsvc.store import Store, writes
from tests.dashboard.conftest import NOW, Show, address, link, text

WHEN = datetime(2026, 1, 1, tzinfo=UTC)


def test_guards_stand_by_variant_with_their_margin(show: Show, month: Path) -> None:
    told = text(show("correctness", month))
    assert "1 failed, 7 passed, 1 not applicable" in told
    assert "variant G1 G4 G7" in told
    assert "masked ●passed0.49 of the tolerance ✕failed420,000x the tolerance ●passed" in told
    assert "sdpa ●passed0.49 of the tolerance ●passed0.49 of the tolerance -not applicable" in told


def test_guards_stand_in_the_order_of_their_numbers() -> None:
    assert sorted(["G11", "G2", "G1", "", "smoke", "H3"], key=_numbered) == ["", "G1", "G2", "G11", "H3", "smoke"]


def test_the_failing_guard_is_opened_by_itself_and_names_the_first_wrong_commit(show: Show, month: Path) -> None:
    told = text(show("correctness", month))
    assert "First wrong at 27ea626e masks: tidy the offset of the triangle; right at 2673d37f docs: chapter 26." in told
    assert "row 17 reads the future" in told


def test_any_guard_can_be_opened_by_its_address(show: Show, month: Path) -> None:
    page = show("correctness", month, test="tests/guards/test_g1.py::test_it[sdpa]")
    assert "It passes; 30 commits tested." in text(page)
    assert len(page.get("vega_lite_chart")) == 1


def test_fast_but_wrong_leads_to_the_series(show: Show, month: Path) -> None:
    page = show("correctness", month)
    assert "1.68x faster, and wrong" in text(page)
    assert link(page, "forward.SingleHead.time_forward").startswith("series?series=")


def test_a_project_without_guards_says_where_they_are_named(show: Show, tmp_path: Path) -> None:
    store = Store.create(address(tmp_path))
    with store.writing() as tx:
        writes.catalog.keep_project(tx, "young", now=NOW)
    store.close()
    assert "No guard has spoken yet." in text(show("correctness", tmp_path))


def series(direction: Direction = Direction.LOWER) -> SeriesRow:
    return SeriesRow(
        1, "p", "b", "1", (), (), "time", "seconds", direction, False, "box", Verdict.WRONG, None, None, None, None,
        0, (), None, 0.05,
    )  # fmt: skip


def points(right: list[float], wrong: list[float]) -> list[PointRow]:
    told = [(value, False) for value in right] + [(value, True) for value in wrong]
    commit = CommitRow(1, "a", 1, WHEN, "", "")
    return [PointRow(commit, value, None, None, (), is_wrong, "", "", None) for value, is_wrong in told]


def test_a_wrong_series_is_fast_only_where_the_gain_could_be_seen() -> None:
    assert gain(series(), points([1.0, 1.0], [0.5])) == 0.5
    assert gain(series(), points([1.0, 1.0], [0.97])) is None
    assert gain(series(), points([1.0, 1.0], [2.0])) is None
    assert gain(series(Direction.HIGHER), points([1.0], [2.0])) == 2.0
    assert gain(series(Direction.NEITHER), points([1.0], [2.0])) is None
    assert gain(series(), points([], [2.0])) is None
