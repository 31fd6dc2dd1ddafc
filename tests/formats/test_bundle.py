"""A bundle as a runner makes it: whole, torn, mislabelled, hostile."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from perfsvc.errors import ResultFormatError
from perfsvc.formats import bundle
from perfsvc.model import Complaint, Fact, Outcome, RunReport

TWO_ROUNDS = Path(__file__).parents[1] / "data" / "bundle" / "1" / "two_rounds"
COMMIT = "c83315cd7f58e46a1b02ce4ea763b90f31e9b07d"


def read(folder: Path) -> tuple[RunReport, list[Complaint]]:
    (report, *complaints) = sorted(bundle.read(folder), key=lambda each: isinstance(each, Complaint))
    assert isinstance(report, RunReport)
    return report, [each for each in complaints if isinstance(each, Complaint)]


@pytest.fixture
def torn(tmp_path: Path) -> Path:
    """A copy of the bundle, to be torn; its usual two complaints are silenced."""
    folder = Path(shutil.copytree(TWO_ROUNDS, tmp_path / "bundle"))
    (folder / "facts.jsonl").unlink()
    edit(folder / "bundle.json", messages=[])
    return folder


def edit(path: Path, **changed: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))


def test_a_bundle_is_one_run_of_one_commit() -> None:
    report, _ = read(TWO_ROUNDS)
    assert (report.machine, report.env_name, report.commit.hash) == ("toy-cpu", "existing-py3.11", COMMIT)
    assert (report.origin, report.job, report.attempt) == ("job:7", 7, 2)
    assert report.environment is not None
    assert report.environment.fingerprint == {"torch": "2.13.0+cpu", "cpu": "A processor"}
    assert report.machine_facts["cpu"] == "A processor"
    assert report.duration == 12.5


def test_values_are_medians_of_the_rounds_and_failures_keep_their_reason() -> None:
    report, _ = read(TWO_ROUNDS)
    first = report.measurements[0]
    assert (first.benchmark, first.params) == ("toy.Forward.time_forward", ("'naive'", "16"))
    assert first.value == pytest.approx(sum(first.rounds) / 2)
    assert len(first.rounds) == 2
    assert len(first.samples) == 6
    assert {skip.benchmark for skip in report.skips} >= {"toy.time_broken", "toy.track_text"}


def test_guards_and_facts_come_with_the_run_and_a_torn_line_is_a_complaint() -> None:
    report, complaints = read(TWO_ROUNDS)
    assert sum(guard.outcome is Outcome.FAILED for guard in report.guards) == 2
    assert report.facts[0] == Fact(
        "toy.Forward.time_forward",
        ("'sdpa'", "16"),
        {"aten::mm": 3},
        "flash",
        {"allocated": 1024},
        "attention/__init__.py",
    )
    assert [(Path(each.place).name, each.reason[:24]) for each in complaints] == [
        ("facts.jsonl:2", "is not JSON: Unterminate")
    ]


def test_the_run_keeps_what_its_runner_said_and_what_of_it_could_not_be_read() -> None:
    report, _ = read(TWO_ROUNDS)
    assert [message[:45] for message in report.messages] == [
        "the wheel was built twice",
        "not read: facts.jsonl:2: is not JSON: Untermi",
    ]


def test_a_known_bundle_is_passed_over_and_any_changed_part_makes_it_unknown(torn: Path) -> None:
    hashed = read(torn)[0].content_hash
    assert list(bundle.read(torn, known=lambda each: each == hashed)) == []
    assert read(Path(shutil.copytree(torn, torn.parent / "moved")))[0].content_hash == hashed
    for part in ("bundle.json", "benchmarks.json", "rounds/2.json", "guards.xml"):
        (torn / part).write_text((torn / part).read_text() + "\n")
        assert read(torn)[0].content_hash != hashed


def test_a_case_that_failed_in_one_round_keeps_the_other(torn: Path) -> None:
    path = torn / "rounds" / "2.json"
    results = json.loads(path.read_text())["results"]
    results["toy.time_plain"] = [None, [], "1"]
    edit(path, results=results)
    report, _ = read(torn)
    (plain,) = [m for m in report.measurements if m.benchmark == "toy.time_plain"]
    assert len(plain.rounds) == 1


def test_a_reason_that_the_suite_told_stands_beside_the_skip_and_is_no_fact(torn: Path) -> None:
    lines = [
        {"benchmark": "toy.time_broken", "failed": "RuntimeError: no device"},
        {"benchmark": "toy.time_plain", "failed": "in another round"},
        {"benchmark": "toy.time_plain", "operators": {"aten::mm": 1}},
    ]
    (torn / "facts.jsonl").write_text("\n".join(map(json.dumps, lines)))
    report, _ = read(torn)
    reasons = {skip.benchmark: skip.reason for skip in report.skips}
    assert reasons["toy.time_broken"] == "asv reports that this benchmark failed: RuntimeError: no device"
    assert [fact.operators for fact in report.facts] == [{"aten::mm": 1}]
    assert any(each.benchmark == "toy.time_plain" for each in report.measurements)


def test_a_torn_round_is_a_complaint_and_the_other_stands(torn: Path) -> None:
    path = torn / "rounds" / "1.json"
    path.write_text(path.read_text()[:300])
    report, (complaint,) = read(torn)
    assert complaint.place == str(path)
    assert all(len(measurement.rounds) == 1 for measurement in report.measurements)


@pytest.mark.parametrize("part", ["benchmarks.json", "guards.xml", "rounds/1.json", "rounds/2.json"])
@pytest.mark.parametrize("content", ["", "{", "\0", "[]", "<a>"])
def test_any_part_but_the_manifest_may_be_broken(torn: Path, part: str, content: str) -> None:
    (torn / part).write_text(content)
    report, complaints = read(torn)
    assert str(torn / part) in [each.place for each in complaints]
    assert len(report.measurements) == 8


@pytest.mark.parametrize("part", ["benchmarks.json", "guards.xml", "rounds"])
def test_any_part_but_the_manifest_may_be_missing(torn: Path, part: str) -> None:
    shutil.rmtree(torn / part) if (torn / part).is_dir() else (torn / part).unlink()
    report, complaints = read(torn)
    assert complaints == []
    assert report.env_name == ("cpu" if part == "rounds" else "existing-py3.11")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"bundle": 2}'])
def test_without_its_manifest_a_bundle_is_nothing(torn: Path, content: str) -> None:
    (torn / "bundle.json").write_text(content)
    with pytest.raises(ResultFormatError, match=r"bundle\.json"):
        read(torn)
    (torn / "bundle.json").unlink()
    with pytest.raises(ResultFormatError, match=r"has no bundle\.json; wanted a bundle that a runner made"):
        list(bundle.read(torn))


def test_a_round_that_measured_another_commit_is_left_out(torn: Path) -> None:
    edit(torn / "rounds" / "2.json", commit_hash="f" * 40)
    report, (complaint,) = read(torn)
    assert all(len(measurement.rounds) == 1 for measurement in report.measurements)
    assert complaint.reason == f"measured {'f' * 40}; wanted {COMMIT}, which the bundle is of"


def test_a_row_of_another_version_is_another_benchmark_and_is_left_out(torn: Path) -> None:
    path = torn / "rounds" / "2.json"
    results = json.loads(path.read_text())["results"]
    results["toy.time_plain"][2] = "2"
    edit(path, results=results)
    report, (complaint,) = read(torn)
    assert complaint.reason == "toy.time_plain has version 2; wanted 1, as before"
    (plain,) = [m for m in report.measurements if m.benchmark == "toy.time_plain"]
    assert len(plain.rounds) == 1


def test_rounds_come_in_the_order_of_their_numbers(torn: Path) -> None:
    for number in (10, 3):
        shutil.copy(torn / "rounds" / "1.json", torn / "rounds" / f"{number}.json")
    edit(torn / "rounds" / "10.json", results={"toy.late": [[7.0], []]})
    first, _ = read(torn)
    assert first.benchmarks[-1].name == "toy.late"


def test_no_name_and_no_link_of_a_bundle_leads_anywhere(torn: Path) -> None:
    secret = torn.parent / "secret.json"
    shutil.copy(torn / "rounds" / "2.json", secret)
    (torn / "rounds" / "2.json").unlink()
    (torn / "rounds" / "2.json").symlink_to(secret)
    (torn / "rounds" / "3.json.bak").write_text("not read")
    (torn / "rounds" / "0.json").write_text("not read")
    report, (complaint,) = read(torn)
    assert complaint.reason == "is a link; wanted a file"
    assert all(len(measurement.rounds) == 1 for measurement in report.measurements)
    (torn / "rounds").rename(torn.parent / "elsewhere")
    (torn / "rounds").symlink_to(torn.parent / "elsewhere")
    report, complaints = read(torn)
    assert report.measurements == ()
    assert {each.reason for each in complaints} == {"is a link; wanted a file"}


def test_parts_in_memory_are_read_like_a_folder_and_strange_names_are_not() -> None:
    names = [path for path in TWO_ROUNDS.rglob("*") if path.is_file()]
    parts = {path.relative_to(TWO_ROUNDS).as_posix(): path.read_bytes() for path in names}
    strange = {"../../etc/passwd": b"x", "rounds/../x.json": b"x", "rounds/1.json\n": b"x"}
    (report, *_) = bundle.read_parts({**parts, **strange}, "upload")
    assert report == read(TWO_ROUNDS)[0]
