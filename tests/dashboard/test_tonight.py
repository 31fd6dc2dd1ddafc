"""The start page answers: is anything wrong?"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from perfsvc.model import AlertState
from perfsvc.store import Store, queries, writes
from perfsvc.triage import accept, dismiss
from tests.dashboard.conftest import NOW, Show, address, link, text


def test_wrong_results_come_before_slow_ones_and_those_before_good_news(show: Show, month: Path) -> None:
    page = text(show("tonight", month))
    order = ["1 wrong results", "G4 fails for masked (1 test)", "1.42x slower and 1 other series", "1.25x faster"]
    places = [page.index(words) for words in order]
    assert places == sorted(places)


def test_each_finding_names_its_commit_and_leads_to_its_alert(show: Show, month: Path) -> None:
    page = show("tonight", month)
    assert "masks: build the causal mask on every call" in text(page)
    assert link(page, "forward.SingleHead.time_forward(&#x27;cached&#x27;") == "alert?alert=1"
    assert link(page, "G4 fails for masked") == "alert?alert=2"
    assert link(page, "train_step.TrainStep.time_step").startswith("series?series=")


def test_what_was_not_judged_says_why(show: Show, month: Path) -> None:
    page = text(show("tonight", month))
    for reason in ("too noisy to judge 1 series", "too few points to judge 1 series", "no data 1 series"):
        assert reason in page


def test_freshness_and_last_nights_jobs_are_told(show: Show, month: Path) -> None:
    page = text(show("tonight", month))
    assert "newest run 2 hours ago on mybox-cpu" in page
    assert "nightly 1 mybox-cpu ✕failed" in page
    assert "▶running 40 % " in page


def test_what_a_runner_had_to_say_of_its_newest_run_is_told_as_text(show: Show, month: Path) -> None:
    assert "The newest run of mybox-cpu says: guards: <b>pytest</b> found no tests" in text(show("tonight", month))


def test_a_machine_that_fell_silent_is_late(show: Show, tmp_path: Path) -> None:
    from tests.dashboard import story

    store = Store.create(address(tmp_path))
    story.fill(store, NOW - timedelta(days=3))
    store.close()
    assert "newest run 3 days ago ?late on mybox-cpu" in text(show("tonight", tmp_path))


def test_project_and_machine_come_from_the_address(show: Show, two_projects: Path) -> None:
    page = show("tonight", two_projects, project="attention")
    assert text(page).startswith("Tonight in attention newest run 2 hours ago on mybox-cpu")
    evil = "<i>evil</i> **project**"
    page = show("tonight", two_projects, project=evil, machine="m1-mps")
    assert text(page).startswith(f"Tonight in {evil} newest run 2 hours ago on m1-mps")
    assert "mybox-cpu" not in text(page)[text(page).index("By machine") :]


def test_another_project_can_be_chosen(show: Show, two_projects: Path) -> None:
    page = show("tonight", two_projects)
    assert [box.label for box in page.selectbox] == ["Project", "Machine"]
    page = page.selectbox[0].select("attention").run()
    assert text(page).startswith("Tonight in attention")
    assert [box.label for box in page.selectbox] == ["Project"]
    assert page.query_params["project"] == "attention"


def test_an_address_about_something_that_is_not_there_is_said_so(show: Show, two_projects: Path) -> None:
    page = show("tonight", two_projects, project="gone")
    assert "there is no project 'gone' here; known: <i>evil</i> **project**, attention" in page.exception[0].message
    page = show("tonight", two_projects, project="attention", machine="gone")
    assert "there is no machine 'gone' here; known: mybox-cpu" in page.exception[0].message


def test_one_alert_tells_a_range_on_several_machines_once(show: Show, two_projects: Path) -> None:
    page = show("tonight", two_projects, project="<i>evil</i> **project**")
    assert "1 regressions" in text(page)
    assert "m1-mps, mybox-cpu" in text(page)


def test_a_store_without_a_project_says_how_to_begin(show: Show, tmp_path: Path) -> None:
    Store.create(address(tmp_path)).close()
    page = text(show("tonight", tmp_path))
    assert "There is no project in this store." in page
    assert "perfsvc up" in page
    assert "perfsvc ingest PATH" in page


def test_a_project_without_a_run_says_how_to_measure(show: Show, tmp_path: Path) -> None:
    store = Store.create(address(tmp_path))
    with store.writing() as tx:
        writes.catalog.keep_project(tx, "young", now=NOW)
    store.close()
    page = text(show("tonight", tmp_path))
    assert "No run is stored yet." in page
    assert "perfsvc measure --last 5" in page


def test_where_nothing_stands_it_says_what_was_checked(show: Show, own_month: Path) -> None:
    store = Store.open(address(own_month))
    accept(store, 1, actor="ada", reason="meant")
    dismiss(store, 2, actor="ada", reason="the guard is wrong")
    with store.reading() as tx:
        assert {row.state for row in queries.alerts(tx)} == {AlertState.ACCEPTED, AlertState.DISMISSED}
    store.close()
    page = text(show("tonight", own_month))
    assert "Nothing got worse. Checked: 7 series and 7 passing guards on mybox-cpu." in page
    assert "No alert stands for it: it was accepted or dismissed." in page
