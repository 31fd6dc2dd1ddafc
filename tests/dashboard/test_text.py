"""Names of a measured repository are text, on every page."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from dashboard import links, markup
from dashboard.markup import el, foreign
from tests.dashboard import conftest, story
from tests.dashboard.conftest import Show
from tests.dashboard.test_series import found

OURS = {
    "a", "b", "bdi", "code", "details", "div", "h1", "h2", "i", "img", "p", "section", "span", "summary", "table",
    "tbody", "td", "th", "thead", "time", "tr",
}  # fmt: skip
ATTRIBUTES = {
    "alt", "aria-hidden", "class", "data-label", "datetime", "href", "scope", "src", "target", "title",
}  # fmt: skip


class Elements(HTMLParser):
    """Every element and attribute that a browser would make of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.addresses: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.addresses |= {value or "" for name, value in attrs if name in ("href", "src")}


@pytest.mark.parametrize(
    ("view", "state"),
    [("tonight", {}), ("series", {}), ("series", {"series": "?"}), ("alert", {"alert": "1"}), ("alert", {"alert": "2"}),
     ("correctness", {})],
)  # fmt: skip
def test_a_hostile_name_becomes_no_element(show: Show, hostile_month: Path, view: str, state: dict[str, str]) -> None:
    if state.get("series"):
        state = {"series": str(found(hostile_month, story.FORWARD, conftest.HOSTILE.variant).id)}
    page = conftest.markup(show(view, hostile_month, **state))
    made = Elements(page)
    assert made.tags <= OURS
    assert made.attributes <= ATTRIBUTES
    assert not [a for a in made.addresses if not re.match(r"(series|alert|correctness|\.)(\?|$)|data:image/svg", a)]
    assert "\u202e" not in page
    assert "m" * 700 not in page


def test_the_page_of_a_hostile_project_still_reads(show: Show, hostile_month: Path) -> None:
    told = conftest.text(show("tonight", hostile_month))
    assert "<script>alert(1)</script> **bold** [link](javascript:alert(1))" in told
    assert "<i>evil</i> **project**" in told


def test_what_is_not_markup_is_escaped_where_it_joins() -> None:
    assert el("p", "<b>", el("i", "&"), title='"x"') == '<p title="&quot;x&quot;">&lt;b&gt;<i>&amp;</i></p>'
    assert el("td", None, 3, ["a", None]) == "<td>3a</td>"


def test_a_long_name_is_shortened_and_told_when_pointed_at() -> None:
    shown = foreign("x" * 10_000)
    assert shown.startswith('<bdi title="')
    assert len(shown) < 900


def test_only_web_addresses_become_links_to_commits() -> None:
    assert markup.web_address("https://x.org/c/", "ab") == "https://x.org/c/ab"
    assert markup.web_address("javascript:alert(1)//", "ab") is None
    assert markup.web_address("", "ab") is None


def test_an_address_holds_the_whole_state() -> None:
    assert (
        links.to(links.CORRECTNESS, project="a&b", machine=None, test="t[x]")
        == "correctness?project=a%26b&test=t%5Bx%5D"
    )
    assert links.to(links.TONIGHT) == "."
