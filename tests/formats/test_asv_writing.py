"""What is written as asv results, asv and this service read back as it was."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from asv.results import Results, iter_results
from hypothesis import given, settings
from hypothesis import strategies as st

from perfsvc.errors import ResultFormatError
from perfsvc.formats import asv_results, asv_writing
from perfsvc.formats.asv_rows import FAILED, SKIPPED
from perfsvc.model import Benchmark, Commit, Direction, Environment, Measurement, Metric, RunReport, Skip
from tests.cli.toy import Toy

BORN = datetime(2026, 1, 1, tzinfo=UTC)
TIME = Metric("time", "seconds", Direction.LOWER)


def commit(number: int) -> Commit:
    return Commit(f"{number:08x}" + "0" * 32, BORN + timedelta(hours=number))


def run(number: int, *outcomes: Measurement | Skip, machine: str = "box", **words: Any) -> RunReport:
    names = dict.fromkeys(each.benchmark for each in outcomes)
    return RunReport(
        machine=machine,
        env_name=words.pop("env_name", "py3.12"),
        commit=commit(number),
        content_hash="",
        benchmarks=words.pop("benchmarks", tuple(Benchmark(name, "1", TIME, ("n",)) for name in names)),
        measurements=tuple(each for each in outcomes if isinstance(each, Measurement)),
        skips=tuple(each for each in outcomes if isinstance(each, Skip)),
        **words,
    )


def back(root: Path) -> list[RunReport]:
    found = list(asv_results.read(root))
    assert all(isinstance(each, RunReport) for each in found)
    return [each for each in found if isinstance(each, RunReport)]


# --- laws -------------------------------------------------------------------------------------------------------------

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
METRICS = st.builds(Metric, NAMES, NAMES, st.sampled_from(Direction), st.booleans()) | st.sampled_from(
    [TIME, Metric("memory", "bytes", Direction.LOWER)]
)


@st.composite
def reports(draw: st.DrawFn) -> list[RunReport]:
    """Some machines at some commits, each with some of the same benchmarks at some of their parameters."""
    arity = {name: draw(st.integers(0, 2)) for name in draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))}
    told = {name: Benchmark(name, draw(NAMES), draw(METRICS), ("p", "q")[:n]) for name, n in arity.items()}
    made = []
    for number in range(draw(st.integers(1, 3))):
        for machine in draw(st.lists(NAMES, min_size=1, max_size=2, unique=True)):
            outcomes: list[Measurement | Skip] = []
            for name, n in arity.items():
                cases = draw(st.lists(st.tuples(*[NAMES] * n), min_size=1, max_size=3, unique=True))
                for case in cases:
                    quartiles = draw(st.none() | NUMBERS), draw(st.none() | NUMBERS)
                    samples = tuple(draw(st.lists(NUMBERS, max_size=2)))
                    value = Measurement(name, case, draw(NUMBERS), *quartiles, (), samples)
                    outcomes.append(
                        draw(st.sampled_from([value, Skip(name, case, draw(st.sampled_from([FAILED, SKIPPED])))]))
                    )
            made.append(run(number, *outcomes, machine=machine, benchmarks=tuple(told.values())))
    return made


def contents(found: Sequence[RunReport]) -> dict[tuple[str, str], Any]:
    return {
        (each.machine, each.commit.hash): (
            each.env_name,
            each.commit.authored_at,
            {(m.benchmark, m.params): m for m in each.measurements},
            {benchmark.name: benchmark for benchmark in each.benchmarks},
        )
        for each in found
    }


@settings(max_examples=60, deadline=None)
@given(reports())
def test_what_is_written_is_read_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, told: list[RunReport]
) -> None:
    root = tmp_path_factory.mktemp("tree")
    written = asv_writing.write_tree(root, told)
    assert (written.files, written.left_out) == (len(told), [])
    found = back(root)
    assert contents(found) == contents(told)
    for mine, read in zip(
        *(sorted(each, key=lambda r: (r.machine, r.commit.hash)) for each in (told, found)), strict=True
    ):
        assert set(mine.skips) <= set(read.skips)
        added = {each.reason for each in set(read.skips) - set(mine.skips)}
        assert added <= {SKIPPED}  # a case that the run did not have


# --- asv --------------------------------------------------------------------------------------------------------------


def test_asv_reads_every_number(tmp_path: Path) -> None:
    outcomes = Measurement("t.time_a", ("1",), 2.0, 1.5, 2.5, (), (1.0, 3.0)), Skip("t.time_a", ("2",), FAILED)
    asv_writing.write_tree(tmp_path, [run(1, *outcomes, Measurement("t.time_b", (), 7.0))])
    (theirs,) = iter_results(str(tmp_path))
    assert isinstance(theirs, Results)
    assert (theirs.commit_hash, theirs.params["machine"], theirs.env_name) == (commit(1).hash, "box", "py3.12")
    assert theirs.get_result_value("t.time_a", [["1", "2"]]) == [2.0, None]
    assert theirs.get_result_stats("t.time_a", [["1", "2"]]) == [{"q_25": 1.5, "q_75": 2.5}, {}]
    assert theirs.get_result_samples("t.time_a", [["1", "2"]]) == [[1.0, 3.0], None]
    assert theirs.get_result_value("t.time_b", []) == [7.0]


def test_asv_publishes_it(tmp_path: Path) -> None:
    toy = Toy.plant(tmp_path / "toy")
    values = (1e-3, 1e-3, 2e-3)
    told = [
        RunReport(
            machine="a machine/with a path",
            env_name="conda-py3.12",
            commit=Commit(hash_, BORN + timedelta(hours=place)),
            content_hash="",
            benchmarks=(Benchmark("speed.time_work", "1", TIME, ("n",)),),
            measurements=(
                Measurement("speed.time_work", ("16",), value),
                Measurement("speed.time_work", ("32",), value),
            ),
            environment=Environment(lock={"python": "3.12"}),
        )
        for place, (hash_, value) in enumerate(zip(toy.hashes, values, strict=True))
    ]
    asv_writing.write_tree(toy.folder / "results", told)
    asv = [sys.executable, "-m", "asv", "publish", "--no-pull"]
    ran = subprocess.run(asv, cwd=toy.folder, capture_output=True, text=True, timeout=100, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    index = json.loads((toy.folder / "html" / "index.json").read_text())
    assert list(index["benchmarks"]) == ["speed.time_work"]
    assert sorted(index["revision_to_hash"].values()) == sorted(toy.hashes)
    (graph,) = (toy.folder / "html" / "graphs").glob("branch-main/**/speed.time_work.json")
    assert [point[1] for point in json.loads(graph.read_text())] == [[value, value] for value in values]


# --- edges ------------------------------------------------------------------------------------------------------------


def test_nothing_is_written_into_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ResultFormatError, match="is there already; wanted the name of a folder to be made"):
        asv_writing.write_tree(tmp_path, [])
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("name", ["..", ".", "../../x", "/etc", "a\\b", "con:", "ä" * 300, "box ", "🙂"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    root = tmp_path / "deep" / "tree"
    asv_writing.write_tree(root, [run(1, Measurement("b", (), 1.0), machine=name, env_name=name)])
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["tree"]
    (found,) = back(root)
    assert (found.machine, found.env_name) == (name, name)


def test_commits_that_begin_alike_are_two_files(tmp_path: Path) -> None:
    one, other = (run(1, Measurement("b", (), value)) for value in (1.0, 2.0))
    twin = replace(other, commit=Commit(one.commit.hash[:8] + "f" * 32, BORN))
    assert asv_writing.write_tree(tmp_path, [one, twin]).files == 2
    assert sorted(each.measurements[0].value for each in back(tmp_path)) == [1.0, 2.0]


def test_the_newest_commit_describes_a_benchmark(tmp_path: Path) -> None:
    old, new = (Benchmark("b", version, TIME, ()) for version in ("1", "2"))
    told = [
        run(2, Measurement("b", (), 1.0), benchmarks=(new,)),
        run(1, Measurement("b", (), 1.0), benchmarks=(old,)),
    ]
    asv_writing.write_tree(tmp_path, told)
    assert json.loads((tmp_path / "benchmarks.json").read_text())["b"]["version"] == "2"
    assert {each.commit.hash: each.benchmarks[0].version for each in back(tmp_path)} == {
        commit(1).hash: "1",
        commit(2).hash: "2",
    }


def test_what_asv_cannot_hold_is_left_out_and_told(tmp_path: Path) -> None:
    uneven = run(1, Measurement("b", (), 1.0), Measurement("b", ("1",), 1.0), Measurement("c", (), 3.0))
    huge = run(2, *(Measurement("d", (str(n), str(n)), 1.0) for n in range(400)))
    written = asv_writing.write_tree(tmp_path, [uneven, huge])
    assert [reason.split(":")[:2] for reason in written.left_out] == [
        ["box, commit 00000001", " b"],
        ["box, commit 00000002", " d"],
    ]
    values = [each.value for report in back(tmp_path) for each in report.measurements]
    assert values == [3.0]
    assert not any(math.isnan(value) for value in values)
