"""A badge, a feed, figures: well-formed whatever somebody called a benchmark, and true."""

import re
from urllib.parse import quote
from xml.etree import ElementTree as ET

import pytest
from defusedxml.ElementTree import fromstring
from fastapi.testclient import TestClient

from perfsvc.model import Outcome
from perfsvc.store import writes
from tests.bench import NOON, Bench, guard

HOSTILE = "<script>alert(1)</script>\u202e\"'\\ \x1b[31m"
ATOM = "{http://www.w3.org/2005/Atom}"


def words(svg: str) -> list[str]:
    drawn: ET.Element = fromstring(svg)
    return [text.text or "" for text in drawn.iter("{http://www.w3.org/2000/svg}text")]


def test_a_badge_says_how_the_project_stands(http: TestClient, bench: Bench) -> None:
    assert words(http.get("/api/v1/badge/attention.svg").text) == ["attention", "not judged"]
    bench.run(0, {"time_a": 1.0})
    bench.process()
    assert words(http.get("/api/v1/badge/attention.svg").text) == ["attention", "not judged"]  # one point says nothing
    for place in range(3):
        bench.run(place, {"count": 10}, guards=[guard()])
    bench.process()
    assert words(http.get("/api/v1/badge/attention.svg").text) == ["attention", "steady"]
    for place in range(3, 6):
        bench.run(place, {"count": 20}, guards=[guard(Outcome.FAILED if place == 5 else Outcome.PASSED)])
    bench.process()
    answer = http.get("/api/v1/badge/attention.svg")
    assert words(answer.text) == ["attention", "1 wrong, 1 slower"]
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.headers["content-security-policy"] == "default-src 'none'"
    assert http.get("/api/v1/badge/nobody.svg").status_code == 404


@pytest.mark.parametrize("name", [HOSTILE, "n" * 200, "&amp;", "\U0001f600"])
def test_a_badge_of_any_name_is_well_formed_and_text(http: TestClient, bench: Bench, name: str) -> None:
    with bench.store.writing() as tx:
        writes.catalog.keep_project(tx, name, now=NOON)
    answer = http.get(f"/api/v1/badge/{quote(name, safe='')}.svg")
    shown, said = words(answer.text)
    assert said == "not judged"
    assert len(shown) <= 40
    tags = {element.tag.split("}")[1] for element in fromstring(answer.text).iter()}
    assert tags == {"svg", "title", "rect", "g", "text"}


def test_the_feed_has_the_alerts_newest_first_as_text(http: TestClient, bench: Bench) -> None:
    for place in range(6):
        bench.run(place, {f"count_{HOSTILE}": 10 if place < 3 else 20})
    bench.process()
    answer = http.get("/api/v1/feed.atom", params={"project": "attention"})
    assert answer.headers["content-type"] == "application/atom+xml"
    feed = fromstring(answer.text)
    (entry,) = feed.findall(f"{ATOM}entry")
    assert "<script>" in str(entry.findtext(f"{ATOM}title")) or "<script>" in str(entry.findtext(f"{ATOM}content"))
    assert [child.tag for child in entry if child.tag.startswith(ATOM)] == [c.tag for c in entry]
    assert feed.findtext(f"{ATOM}updated") == entry.findtext(f"{ATOM}updated")
    assert "\x1b" not in answer.text


def test_an_empty_feed_is_a_feed(http: TestClient) -> None:
    assert not fromstring(http.get("/api/v1/feed.atom?project=attention").text).findall(f"{ATOM}entry")


def test_figures_are_those_of_the_store(http: TestClient, bench: Bench) -> None:
    for place in range(6):
        bench.run(place, {"count_a": 10 if place < 3 else 20, "count_b": 5}, machine='a"b\\c\nd')
    bench.process()
    lines = http.get("/metrics").text.splitlines()
    machine = r"a\"b\\c\nd"
    assert f'perfsvc_series{{machine="{machine}",project="attention",verdict="slower"}} 1.0' in lines
    assert f'perfsvc_series{{machine="{machine}",project="attention",verdict="steady"}} 1.0' in lines
    assert 'perfsvc_standing_alerts{kind="regression",project="attention"} 1.0' in lines
    assert any(re.match(r"perfsvc_newest_run_age_seconds\{.*\} [0-9.e+]+$", line) for line in lines)
