"""Result trees: what asv 0.6.6 wrote is read as asv reads it; what is broken is told, and the rest goes in."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from asv.results import Results

from perfsvc.errors import ResultFormatError
from perfsvc.formats import asv_results, scan
from perfsvc.formats.asv_results import read
from perfsvc.formats.asv_rows import parameter_sets
from perfsvc.model import Complaint, Direction, Metric, RunReport, Skip

TOY = Path(__file__).parents[1] / "data" / "asv" / "2" / "toy"
TOY_FILE = TOY / "toy" / "c83315cd-existing-py3.11.json"


def split(found: Sequence[RunReport | Complaint]) -> tuple[list[RunReport], list[Complaint]]:
    return [r for r in found if isinstance(r, RunReport)], [c for c in found if isinstance(c, Complaint)]


def reports(path: Path) -> list[RunReport]:
    found, complaints = split(list(read(path)))
    assert complaints == []
    return found


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the toy's tree, to be broken."""
    return Path(shutil.copytree(TOY, tmp_path / "results"))


def write(path: Path, commit: str = "b" * 40, **changed: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    words = {"commit_hash": commit, "date": 0, "params": {}, "results": {"b.time_x": 1.0}, "version": 1, **changed}
    path.write_text(json.dumps(words))
    return path


def test_every_number_of_a_file_is_what_asv_reads() -> None:
    (report,) = reports(TOY)
    theirs = Results.load(str(TOY_FILE))
    ours = {(m.benchmark, m.params): m for m in report.measurements}
    skips = {(s.benchmark, s.params) for s in report.skips}
    for name in theirs.get_all_result_keys():
        params = theirs.get_result_params(name)
        cases = parameter_sets(tuple(map(tuple, params)))
        columns = (theirs.get_result_value, theirs.get_result_stats, theirs.get_result_samples)
        for case, value, stats, samples in zip(cases, *(column(name, params) for column in columns), strict=True):
            if not isinstance(value, int | float) or math.isnan(value):
                assert (name, case) in skips
                continue
            mine = ours.pop((name, case))
            assert (mine.value, mine.samples) == (value, tuple(samples or ()))
            assert (mine.q25, mine.q75) == ((stats or {}).get("q_25"), (stats or {}).get("q_75"))
    assert ours == {}


def test_what_the_suite_says_stands_beside_the_numbers() -> None:
    (report,) = reports(TOY)
    told = {benchmark.name: benchmark for benchmark in report.benchmarks}
    assert told["toy.track_operators"].metric == Metric("operators", "1", Direction.LOWER, exact=True)
    assert told["toy.track_speed"].metric == Metric("track", "unit", Direction.NEITHER)
    assert told["toy.track_steps"].metric == Metric("time", "seconds", Direction.LOWER)
    assert told["toy.Forward.time_forward"].param_names == ("variant", "length")
    assert told["toy.Forward.time_forward"].attributes == {"flops": {"16": 1e9}, "tags": ["smoke"]}
    assert report.skips == (
        Skip("toy.Forward.time_forward", ("'naive'", "32"), "asv reports that this benchmark failed"),
        Skip("toy.Forward.time_forward", ("'sdpa'", "32"), "skipped by the suite"),
        Skip("toy.time_broken", (), "asv reports that this benchmark failed"),
        Skip("toy.track_text", (), "the suite reported 'fast', not a number"),
    )


def test_a_run_knows_its_machine_commit_and_environment() -> None:
    (report,) = reports(TOY)
    assert (report.machine, report.env_name) == ("toy", "existing-py3.11")
    assert report.commit.hash.startswith("c83315cd")
    assert report.commit.authored_at.year == 2026
    assert report.machine_facts == {"machine": "toy", "os": "Linux", "cpu": "A processor", "ram": "4"}
    assert report.environment is not None
    assert report.environment.fingerprint["python"] == "3.11"
    assert report.duration == pytest.approx(2.2, abs=0.1)


@pytest.mark.parametrize("place", ["", "toy", f"toy/{TOY_FILE.name}"])
def test_a_tree_a_machine_and_a_file_are_read_alike(place: str) -> None:
    assert reports(TOY / place) == reports(TOY)


@pytest.mark.parametrize("place", ["results", ".asv/results"])
def test_a_repository_may_be_named_in_place_of_its_results(tmp_path: Path, place: str) -> None:
    shutil.copytree(TOY, tmp_path / place)
    assert reports(tmp_path) == reports(TOY)


def test_a_known_file_is_passed_over_before_it_is_parsed(tree: Path) -> None:
    ((file, hashed),) = scan(tree)
    assert list(read(tree, known=lambda each: each == hashed)) == []
    assert reports(tree)[0].content_hash == hashed
    file.write_text("no JSON at all")
    ((_, changed),) = scan(tree)
    assert changed != hashed
    assert list(read(tree, known=lambda each: each == changed)) == []


def test_a_changed_metric_makes_a_file_unknown_and_a_grown_suite_does_not(tree: Path) -> None:
    before = list(scan(tree))
    path = tree / "benchmarks.json"
    words = json.loads(path.read_text())
    path.write_text(json.dumps({**words, "toy.time_new": {"type": "time", "unit": "seconds"}}))
    assert list(scan(tree)) == before
    words["toy.track_speed"]["direction"] = "higher"
    path.write_text(json.dumps(words))
    assert list(scan(tree)) != before


def test_a_tree_without_descriptions_is_read_by_the_names(tree: Path) -> None:
    (tree / "benchmarks.json").unlink()
    (report,) = reports(tree)
    assert {b.name: b.metric.name for b in report.benchmarks}["toy.peakmem_list"] == "peakmemory"
    assert len(report.measurements) == len(reports(TOY)[0].measurements)


def test_a_benchmark_that_left_the_suite_keeps_its_history(tree: Path) -> None:
    path = tree / "benchmarks.json"
    path.write_text(json.dumps({"version": 2}))
    (report,) = reports(tree)
    assert {b.name: b.version for b in report.benchmarks}["toy.time_plain"] == "1"


def test_the_version_of_a_row_counts_before_the_version_of_the_suite(tree: Path) -> None:
    path = tree / "benchmarks.json"
    path.write_text(path.read_text().replace('"version": "1"', '"version": "2"'))
    (report,) = reports(tree)
    assert {b.name: b.version for b in report.benchmarks}["toy.time_plain"] == "1"
    write(tree / "toy" / "bbbbbbbb-old.json", results={"toy.time_plain": 1.0})
    old = next(r for r in reports(tree) if r.commit.hash == "b" * 40)
    assert old.benchmarks[0].version == "2"


def test_both_formats_live_in_one_tree(tree: Path) -> None:
    write(tree / "toy" / "bbbbbbbb-old.json", params={"machine": "toy"})
    assert sorted(report.commit.hash[0] for report in reports(tree)) == ["b", "c"]


def test_each_machine_and_environment_is_a_run_of_its_own(tree: Path) -> None:
    for machine, env in (("m1", "py3.11"), ("m1", "py3.12"), ("deep/m2", "py3.11")):
        write(tree / machine / f"bbbbbbbb-{env}.json", params={"machine": Path(machine).name}, env_name=env)
    found = {(report.machine, report.env_name) for report in reports(tree)}
    assert found == {("toy", "existing-py3.11"), ("m1", "py3.11"), ("m1", "py3.12"), ("m2", "py3.11")}


@pytest.mark.parametrize("facts", [None, '{"machine": "toy", "version": 1}'])
def test_a_machine_with_nothing_but_its_name_takes_its_facts_from_the_files(tree: Path, facts: str | None) -> None:
    (tree / "toy" / "machine.json").unlink()
    if facts:
        (tree / "toy" / "machine.json").write_text(facts)
    (report,) = reports(tree)
    assert report.machine == "toy"
    assert report.machine_facts["cpu"] == "A processor"


def test_a_files_own_machine_counts_before_its_folder(tree: Path) -> None:
    write(tree / "toy" / "bbbbbbbb-x.json", params={"machine": "visitor", "os": "BeOS"})
    visitor = next(report for report in reports(tree) if report.machine == "visitor")
    assert visitor.machine_facts == {"machine": "visitor", "os": "BeOS"}


def test_equal_files_of_two_nameless_machines_are_two_runs(tmp_path: Path) -> None:
    for machine in ("one", "two"):
        write(tmp_path / machine / "bbbbbbbb-x.json")
    first, second = reports(tmp_path)
    assert (first.machine, second.machine) == ("one", "two")
    assert first.content_hash != second.content_hash


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("", "is not JSON: Expecting value"),
        ("[]", "holds a list; wanted an object"),
        (TOY_FILE.read_text()[:500], "is not JSON"),
        ("[" * 100_000, "is nested too deeply to be read"),
        ('{"a": 1, "a": 2}', "the key 'a' stands twice in one object"),
        ('{"date": ' + "9" * 5000 + "}", "is not JSON: Exceeds the limit"),
        ("\xff\xfe\x00binary", "is not JSON: 'utf-8' codec can't decode"),
        ('{"version": 3, "commit_hash": "", "date": 0, "results": {}}', "has format 3; wanted 1 or 2"),
    ],
)
def test_a_broken_file_is_a_complaint_and_the_rest_goes_in(tree: Path, broken: str, reason: str) -> None:
    path = tree / "toy" / "aaaaaaaa-x.json"
    path.write_bytes(broken.encode("latin-1"))
    found, complaints = split(list(read(tree)))
    assert len(found) == 1
    (only,) = complaints
    assert only.place == str(path)
    assert only.reason.startswith(reason) or reason in only.reason


@pytest.mark.parametrize("name", ["benchmarks.json", "toy/machine.json"])
def test_broken_surroundings_are_complaints_and_the_numbers_go_in(tree: Path, name: str) -> None:
    (tree / name).write_text('{"machine": ')
    found, complaints = split(list(read(tree)))
    assert len(found[0].measurements) == len(reports(TOY)[0].measurements)
    assert [each.place for each in complaints] == [str(tree / name)]


def test_text_that_no_database_takes_is_replaced(tree: Path) -> None:
    write(tree / "toy" / "bbbbbbbb-x.json", results={"a\0b\ud800.time_x": 1.0, "\U0001f642\x1b[31m": 2.0})
    found = next(report for report in reports(tree) if report.commit.hash == "b" * 40)
    assert [m.benchmark for m in found.measurements] == ["a\ufffdb\ufffd.time_x", "\U0001f642\x1b[31m"]


def test_a_windows_editor_may_have_put_a_mark_before_the_text(tree: Path) -> None:
    file = next(tree.glob("toy/c*.json"))
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert len(reports(tree)) == 1


def test_other_json_beside_the_tree_is_not_taken_for_results(tree: Path) -> None:
    (tree / "package.json").write_text("{}")
    (tree / "asv.conf.json").write_text("{}")
    assert len(reports(tree)) == 1


def test_a_tree_that_was_never_filled_says_so(tree: Path) -> None:
    shutil.rmtree(tree / "toy")
    (complaint,) = read(tree)
    assert isinstance(complaint, Complaint)
    assert complaint.reason.startswith("holds no result files")


def test_a_folder_without_results_says_what_was_wanted(tmp_path: Path) -> None:
    with pytest.raises(ResultFormatError, match=r"holds no asv results; wanted benchmarks\.json"):
        list(asv_results.read(tmp_path))
