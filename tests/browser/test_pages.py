"""What a person reads and clicks, in a real browser."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open

pytestmark = pytest.mark.browser

CHART = ".stVegaLiteChart svg.marks"


def keep(page: Page, folder: Path, name: str) -> None:
    """A picture of the whole page, once it has come to rest."""
    height = page.evaluate("document.querySelector('.stMain').scrollHeight")
    page.set_viewport_size({"width": page.viewport_size["width"], "height": min(height + 20, 4000)})  # type: ignore[index]
    page.wait_for_timeout(150)
    page.screenshot(path=folder / f"{name}.png")


def state(address: str) -> dict[str, str]:
    """What an address holds, in whatever order."""
    return dict(parse_qsl(urlsplit(address).query))


def open_series(page: Page, name: str) -> None:
    """From a list of series to one of them; its number is the store's business."""
    page.get_by_role("link", name=name).first.click()
    page.locator(CHART).first.wait_for()


def test_from_tonight_to_the_alert_to_the_series_and_back(opened: Open, month_served: str, pictures: Path) -> None:
    page = opened(month_served)
    expect(page.get_by_role("heading", name="Tonight in attention")).to_be_visible()
    expect(page.get_by_text("newest run 2 hours ago on mybox-cpu")).to_be_visible()
    keep(page, pictures, "tonight")

    page.get_by_role("link", name="1.42x slower and 1 other series").click()
    expect(page.get_by_role("heading", name="1.42x slower and 1 other series")).to_be_visible()
    expect(page).to_have_url(f"{month_served}/alert?alert=1")
    expect(page.get_by_text("masks: build the causal mask on every call")).to_be_visible()
    page.wait_for_selector(CHART)
    keep(page, pictures, "alert")

    page.get_by_role("link", name="forward.SingleHead.time_forward('cached'").click()
    expect(page.get_by_role("heading", name="forward.SingleHead.time_forward")).to_be_visible()
    page.wait_for_selector(CHART)
    keep(page, pictures, "series")

    page.get_by_role("link", name="alert 1").click()
    expect(page).to_have_url(f"{month_served}/alert?alert=1")
    page.locator(".pv").get_by_role("link", name="Tonight").click()
    expect(page.get_by_role("heading", name="Tonight in attention")).to_be_visible()


def test_from_a_wrong_result_to_its_guard_and_what_is_fast_but_wrong(
    opened: Open, month_served: str, pictures: Path
) -> None:
    page = opened(month_served)
    page.get_by_role("link", name="G4 fails for masked (1 test)").click()
    page.get_by_role("link", name="G4 masked").click()
    expect(page.get_by_text("First wrong at")).to_contain_text("masks: tidy the offset of the triangle")
    expect(page.get_by_text("1.68x faster, and wrong")).to_be_visible()
    page.wait_for_selector(CHART)
    keep(page, pictures, "correctness")


def test_what_is_chosen_is_in_the_address_and_the_address_chooses(
    opened: Open, month_served: str, pictures: Path
) -> None:
    page = opened(f"{month_served}/series?verdict=no+data")
    expect(page.get_by_text("1 series, those that need eyes first")).to_be_visible()
    page.get_by_role("link", name="backward.Backward.time_backward").click()
    page.wait_for_selector(CHART)
    page.get_by_role("radio", name="date").click()
    expect(page).to_have_url(re.compile(r"axis=date"))
    page.get_by_text("Logarithmic").click()
    expect(page).to_have_url(re.compile(r"log=true"))
    assert state(page.url).keys() == {"series", "axis", "log"}
    page.reload()
    page.wait_for_selector(CHART)
    expect(page.get_by_role("radio", name="date")).to_be_checked()
    keep(page, pictures, "series-by-date")


def test_project_and_machine_stay_chosen_from_page_to_page(opened: Open, two_served: str, pictures: Path) -> None:
    page = opened(f"{two_served}/?project=second")
    page.get_by_label("Machine").click()
    page.get_by_role("option", name="m1-mps").click()
    expect(page).to_have_url(re.compile("machine=m1-mps"))
    keep(page, pictures, "two-projects")
    page.get_by_role("link", name="Correctness", exact=True).click()
    expect(page.get_by_role("heading", name="Correctness of second")).to_be_visible()
    expect(page).to_have_url(re.compile("correctness[?]project=second&machine=m1-mps"))


def test_a_decision_needs_a_reason_and_is_seen_at_once(opened: Open, month_served: str) -> None:
    page = opened(f"{month_served}/alert?alert=2")
    page.get_by_role("button", name="Dismiss").click()
    expect(page.get_by_text("dismiss needs a reason")).to_be_visible()
    page.get_by_label("Reason").fill("the guard is too strict")
    page.get_by_label("Reason").press("Tab")
    page.get_by_role("button", name="Dismiss").click()
    expect(page.get_by_role("button", name="Reopen")).to_be_visible()
    expect(page.get_by_role("cell", name="the guard is too strict")).to_be_visible()
    page.get_by_role("button", name="Reopen").click()
    expect(page.get_by_role("button", name="Accept")).to_be_visible()


@pytest.mark.parametrize("view", ["", "correctness", "alert?alert=1"])
def test_on_a_phone_nothing_is_wider_than_the_page(opened: Open, month_served: str, pictures: Path, view: str) -> None:
    page = opened(f"{month_served}/{view}", phone=True)
    wide = "[...document.querySelectorAll('.pv *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1)"
    outside = page.evaluate(f"{wide}.filter(e => !e.closest('.scroll, summary')).map(e => e.textContent.slice(0, 60))")
    assert outside == []
    keep(page, pictures, f"phone-{view.split('?')[0] or 'tonight'}")


@pytest.mark.parametrize("view", ["", "series?match=forward"])
def test_the_page_is_dark_where_the_reader_wants_it_dark(
    opened: Open, month_served: str, pictures: Path, view: str
) -> None:
    page = opened(f"{month_served}/{view}", dark=True)
    background = page.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor")
    red, green, blue = (int(part) for part in background.strip("rgb()").split(",")[:3])
    assert max(red, green, blue) < 60
    if "match" in view:
        open_series(page, "forward")
    keep(page, pictures, f"dark-{view.split('?')[0] or 'tonight'}")


def test_times_are_told_in_the_readers_zone(opened: Open, month_served: str) -> None:
    page = opened(month_served)
    hint = page.locator(".pv time").first.get_attribute("title") or ""
    assert " UTC)" in hint
    assert "CET" in hint or "CEST" in hint


@pytest.mark.parametrize("view", ["", "series?match=forward", "correctness", "alert?alert=2"])
def test_a_hostile_name_stays_text(opened: Open, hostile_served: str, pictures: Path, view: str) -> None:
    page = opened(f"{hostile_served}/{view}")
    assert page.locator(".pv script, .pv b[onmouseover], .pv a[href^=javascript], .pv i >> text=evil").count() == 0
    if view == "series?match=forward":
        open_series(page, "forward")
    expect(page.locator("body")).to_contain_text("<script>alert(1)</script> **bold**")
    keep(page, pictures, f"hostile-{view.replace('?', '-').replace('=', '-') or 'tonight'}")


def test_a_hostile_subject_is_text_in_a_tooltip_too(opened: Open, hostile_served: str, pictures: Path) -> None:
    page = opened(f"{hostile_served}/series?match=forward")
    open_series(page, "forward")
    box = page.locator(f"{CHART} [aria-roledescription=point]").nth(5).bounding_box()
    assert box is not None
    tooltip = page.locator("#vg-tooltip-element")
    for nudge in (-6, -3, 0):
        page.mouse.move(box["x"] + box["width"] / 2 + nudge, box["y"] + box["height"] / 2)
    expect(tooltip).to_contain_text("<script>alert(1)</script>")
    assert tooltip.locator("script").count() == 0
    keep(page, pictures, "hostile-tooltip")
