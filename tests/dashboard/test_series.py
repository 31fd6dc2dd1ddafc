"""One series, and the list to find it in."""

from __future__ import annotations

from pathlib import Path

from perfsvc.model import Verdict
from perfsvc.rows import SeriesRow
from perfsvc.store import Store, queries
from tests.dashboard import story
from tests.dashboard.conftest import Show, address, link, text


def found(home: Path, benchmark: str, variant: str = "") -> SeriesRow:
    store = Store.open(address(home))
    with store.reading() as tx:
        rows = queries.series(tx, 1, match=benchmark)
    store.close()
    return next(row for row in rows if not variant or variant in row.params)


def test_those_that_need_eyes_come_first(show: Show, month: Path) -> None:
    page = text(show("series", month))
    assert page.startswith("Series of attention")
    places = [page.index(word) for word in ("✕wrong", "1.42x slower", "1.08x more operators", "1.25x faster", "steady")]
    assert places == sorted(places)


def test_the_list_can_be_narrowed_by_the_address_alone(show: Show, month: Path) -> None:
    page = show("series", month, match="Peak", verdict=Verdict.STEADY.value)
    assert "2 series" in text(page)
    assert "memory.Peak.track_allocated" in text(page)
    assert "forward" not in text(page)


def test_a_name_that_fits_nothing_says_what_to_do(show: Show, month: Path) -> None:
    assert "No series is like that." in text(show("series", month, match="nonesuch"))


def test_a_slowed_series_tells_levels_interval_commit_and_alert(show: Show, month: Path) -> None:
    page = show("series", month, series=str(found(month, story.FORWARD, "'cached'").id))
    told = text(page)
    assert "variant 'cached'" in told
    assert "4.83 ms newest value" in told
    assert "▲1.42x slower 3.42 ms 4.85 ms" in told
    assert "masks: build the causal mask on every call" in told
    assert link(page, "alert 1") == "alert?alert=1"
    assert len(page.get("vega_lite_chart")) == 1


def test_an_exact_series_is_told_in_whole_numbers(show: Show, month: Path) -> None:
    told = text(show("series", month, series=str(found(month, story.COUNTER).id)))
    assert "▲1.08x more operators 12 operators 13 operators exact, every run" in told
    assert "aten::triu 0 -> 1" in told
    assert "any change can be seen" in told


def test_a_missing_value_tells_its_reason(show: Show, month: Path) -> None:
    told = text(show("series", month, series=str(found(month, story.LOST).id)))
    assert "asv reports that this benchmark failed" in told
    assert "no value at the newest commit" in told


def test_a_wrong_value_is_marked_where_it_stands(show: Show, month: Path) -> None:
    told = text(show("series", month, series=str(found(month, story.FORWARD, "'masked'").id)))
    assert told.startswith("Tonight / Series / forward.SingleHead.time_forward")
    assert told.count("✕wrong") == 3


def test_axis_and_scale_come_from_the_address(show: Show, month: Path) -> None:
    state = {"series": str(found(month, story.FORWARD).id), "axis": "date", "log": "true", "span": "newest 100"}
    page = show("series", month, **state)
    spec = page.get("vega_lite_chart")[0].proto.spec
    assert '"type": "temporal"' in spec
    assert '"type": "log"' in spec


def test_a_series_that_is_not_there_is_said_so(show: Show, month: Path) -> None:
    assert "there is no series 999" in str(show("series", month, series="999").exception[0].message)
    assert "is none" in str(show("series", month, series="<b>4").exception[0].message)
