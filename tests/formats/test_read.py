"""The one door: what a path is, is found out; what is no result is told with what would have been."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from perfsvc.errors import ResultFormatError
from perfsvc.formats import FORMATS, RunIdentity, detect_format, json_text, read
from perfsvc.model import Commit, Complaint, RunReport

DATA = Path(__file__).parents[1] / "data"
RUN = RunIdentity("m1", "py3.11", Commit("a" * 40, datetime(2026, 1, 1, tzinfo=UTC)))


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("asv/2/toy", "asv"),
        ("asv/2/toy/toy", "asv"),
        ("asv/2/toy/toy/c83315cd-existing-py3.11.json", "asv"),
        ("bundle/1/two_rounds", "bundle"),
        ("bundle/1/two_rounds/guards.xml", "junit"),
        ("bundle/1/two_rounds/facts.jsonl", "facts"),
    ],
)
def test_what_a_path_is_is_found_out(place: str, name: str) -> None:
    assert detect_format(DATA / place) == name
    auto, named = (list(read(DATA / place, format, run=RUN)) for format in ("auto", name))
    assert auto == named
    assert any(isinstance(each, RunReport) for each in auto)


def test_a_path_without_results_says_what_would_be_read(tmp_path: Path) -> None:
    with pytest.raises(ResultFormatError, match="there is nothing of that name"):
        read(tmp_path / "absent")
    with pytest.raises(ResultFormatError, match="is not in a format that is known here: bundle, a runner's folder"):
        read(tmp_path)
    with pytest.raises(ResultFormatError, match="'bmf' is no format; wanted auto, bundle, asv, pytest-benchmark, goo"):
        read(tmp_path, "bmf")


@pytest.mark.parametrize("name", ["results.zip", "results.tar.xz", "results.json.gz"])
def test_archives_are_not_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04" + b"\0" * 100)
    with pytest.raises(ResultFormatError, match="is not in a format that is known here"):
        read(tmp_path / name)


@pytest.mark.parametrize("name", ["huge.json", "toy/aaaaaaaa-huge.json"])
def test_a_file_too_large_for_memory_is_not_opened(tmp_path: Path, name: str) -> None:
    tree = Path(shutil.copytree(DATA / "asv" / "2" / "toy", tmp_path / "results"))
    (tree / name).touch()
    os.truncate(tree / name, json_text.MAX_BYTES + 1)
    path = tree / name if "/" not in name else tree
    (complaint,) = [each for each in read(path) if isinstance(each, Complaint)]
    assert complaint == Complaint(str(tree / name), "has 67,108,865 bytes; at most 67,108,864 are read")


def test_what_is_no_json_is_taken_for_asvs_and_told(tmp_path: Path) -> None:
    (tmp_path / "torn.json").write_text("{")
    assert detect_format(tmp_path / "torn.json") == "asv"
    (complaint,) = read(tmp_path / "torn.json")
    assert isinstance(complaint, Complaint)


def test_the_content_of_a_file_tells_its_format(tmp_path: Path) -> None:
    for name in ("pytest_benchmark", "google_benchmark", "bencher"):
        for source in (DATA / name).rglob("*.json"):
            path = Path(shutil.copy(source, tmp_path / "file.json"))
            assert detect_format(path) == name.replace("_", "-")
            found = list(read(path, run=RUN))
            assert [each.machine.split("/")[0] for each in found if isinstance(each, RunReport)] == ["m1"]


@pytest.mark.parametrize("part", ["guards.xml", "facts.jsonl"])
def test_guards_and_facts_alone_must_be_told_their_run(part: str) -> None:
    path = DATA / "bundle" / "1" / "two_rounds" / part
    with pytest.raises(ResultFormatError, match="does not say which machine it is of; wanted one beside it"):
        list(read(path))
    report = next(each for each in read(path, run=RUN) if isinstance(each, RunReport))
    assert (report.machine, report.commit) == (RUN.machine, RUN.commit)
    assert bool(report.guards) is (part == "guards.xml")
    assert list(read(path, run=RUN, known=lambda hashed: hashed == report.content_hash)) == []


def test_a_tree_is_streamed_and_not_gathered(tmp_path: Path) -> None:
    tree = Path(shutil.copytree(DATA / "asv" / "2" / "toy", tmp_path / "results"))
    (file,) = tree.glob("toy/c*.json")
    (tree / "toy" / "ffffffff-later.json").write_bytes(file.read_bytes())
    found = read(tree)
    assert isinstance(next(found), RunReport)
    (tree / "toy" / "ffffffff-later.json").write_text("torn meanwhile")
    assert isinstance(next(found), Complaint)


def test_every_format_of_the_table_has_a_name_of_its_own() -> None:
    assert len({format.name for format in FORMATS}) == len(FORMATS)
